//! A parent that is there, and sends on less than it gets: the backup reports how far it is, so the child finds out.

use crate::common::*;
use crate::repair::{Network, FRAME, MS, NAME};
use treecast_core::counters::Counter;
use treecast_core::datagram::{TreeName, MIN_TREE_LEN};
use treecast_core::events::Event;
use treecast_core::forward::NO_PATH;
use treecast_core::reason::Reason;
use treecast_core::tree_mark::TreeMark;
use treecast_core::withheld::ParentFailure;

/// A second of one datagram a millisecond: those that the child has got, and when it grafted, if it did. `sent_on`: whether the
/// relay sends on the datagram of this number.
fn second(network: &mut Network, sent_on: impl Fn(u64) -> bool) -> (Vec<u64>, Vec<u64>) {
    second_of(network, sent_on, true)
}

/// The same; `is_there`: whether the relay sends ticks.
fn second_of(network: &mut Network, sent_on: impl Fn(u64) -> bool, is_there: bool) -> (Vec<u64>, Vec<u64>) {
    let (mut got, mut grafted) = (Vec::new(), Vec::new());
    for ms in 0..1000 {
        network.now_ns += MS;
        let datagram = seal_tree(&network.tree(), FRAME);
        let next_hops = network.pass(&network.backup, 1, &datagram).unwrap();
        let mut deliver = |from: u8, datagram: &[u8]| {
            let counter = u64::from_be_bytes(datagram[20..28].try_into().unwrap());
            if network.pass(&network.child, from, datagram).is_ok() {
                got.push(counter);
            }
        };
        if sent_on(ms) {
            deliver(2, &datagram);
        }
        if next_hops.contains(&3) {
            deliver(4, &datagram);
        }
        if ms % 20 == 19 {
            if is_there {
                network.tick();
            }
            for (child, mark) in network.backup.turn_trees(network.now_ns).marks {
                assert_eq!((child, network.mark(&network.backup, &mark, endpoint(4))), (3, Ok(())));
            }
            for (_, graft) in network.child.turn_trees(network.now_ns).grafts {
                grafted.push(ms);
                if let Ok(retransmission) = network.graft(graft.counter) {
                    retransmission.bytes.chunks(MIN_TREE_LEN + FRAME.len()).for_each(|one| deliver(4, one));
                }
            }
        }
    }
    got.sort_unstable();
    (got, grafted)
}

fn failures(network: &Network) -> Vec<Event> {
    let events = network.child.drain(1000, || {});
    events.into_iter().filter(|event| matches!(event, Event::ParentFailed { .. })).collect()
}

fn failed(failure: ParentFailure) -> Event {
    Event::ParentFailed { tree: NAME, parent: 2, failure }
}

#[test]
fn a_parent_that_sends_on_nothing_or_half_costs_no_datagram_and_is_reported_once() {
    for sent_on in [|_| false, |ms| ms % 2 == 0, |ms| ms % 4 != 0] {
        let mut network = Network::new();
        let (got, grafted) = second(&mut network, |_| true);
        assert_eq!((got, grafted), ((1..=1000).collect(), vec![]));
        let (got, grafted) = second(&mut network, sent_on);
        assert_eq!(got, (1001..=2000).collect::<Vec<_>>());
        assert!(grafted.len() == 1 && grafted[0] < 700, "{grafted:?}");
        let (got, grafted) = second(&mut network, sent_on);
        assert_eq!((got, grafted), ((2001..=3000).collect(), vec![]));
        assert_eq!(failures(&network), [failed(ParentFailure::Withholds)]);
        assert_eq!(network.child.counters.get(Counter::Grafts), 1);
    }
}

/// The child has got too few to think the stream fast, and its backup has not.
#[test]
fn a_parent_of_which_nothing_at_all_has_come_is_silent_and_not_one_that_withholds() {
    for (is_there, failure) in [(true, ParentFailure::Withholds), (false, ParentFailure::Silent)] {
        let mut network = Network::new();
        let (got, grafted) = second_of(&mut network, |ms| ms < 60, is_there);
        assert_eq!((got, grafted.len()), ((1..=1000).collect(), 1));
        assert_eq!(failures(&network), [failed(failure)]);
    }
}

#[test]
fn losses_of_one_in_ten_are_nobodys_fault() {
    let mut network = Network::new();
    let (got, grafted) = second(&mut network, |ms| ms % 10 != 0);
    assert_eq!((got.len(), grafted), (900, vec![]));
    assert_eq!(failures(&network), []);
}

#[test]
fn of_a_parent_that_has_sent_on_nothing_yet_the_root_judges() {
    let mut network = Network::new();
    let (got, grafted) = second(&mut network, |_| false);
    assert_eq!((got, grafted), (vec![], vec![]));
    second(&mut network, |_| false);
    let failures = failures(&network);
    assert!((1..=2).contains(&failures.len()) && failures[0] == failed(ParentFailure::SendsNothing), "{failures:?}");
}

#[test]
fn a_mark_is_taken_of_the_backup_on_its_own_path_only() {
    let mut network = Network::new();
    second(&mut network, |_| true);
    let mark = TreeMark { tree: NAME, counter: 1 << 40 };
    let other = TreeMark { tree: TreeName { epoch: EPOCH + 1, ..NAME }, ..mark };
    assert_eq!(network.mark(network.relay(), &mark, endpoint(2)), Err(Reason::TickUnexpected));
    assert_eq!(network.mark(&network.backup, &mark, NO_PATH), Err(Reason::TickUnexpected));
    assert_eq!(network.mark(&network.backup, &other, endpoint(4)), Err(Reason::TickUnexpected));
    assert!(second(&mut network, |_| true).1.is_empty());
}

#[test]
fn a_backup_that_lies_gets_itself_a_child_and_no_more() {
    let mut network = Network::new();
    second(&mut network, |_| true);
    let mut grafts = Vec::new();
    for turn in 1..100 {
        let mark = TreeMark { tree: NAME, counter: 1 << (10 + turn / 2) };
        network.mark(&network.backup, &mark, endpoint(4)).unwrap();
        network.tick();
        network.now_ns += 20 * MS;
        grafts.extend(network.child.turn_trees(network.now_ns).grafts);
    }
    assert!((1..=4).contains(&grafts.len()), "{grafts:?}");
    assert!(grafts.iter().all(|(backup, graft)| *backup == 4 && graft.counter <= 1 << 60));
}
