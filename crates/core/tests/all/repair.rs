//! Repair: a node whose parent is silent grafts at its backup, and gets there what it has missed.
//!
//! ```text
//! 1 root ---- 2 relay ---- 3 child ---- 5
//!        \--- 4 its backup . . /
//! ```

use std::sync::Arc;

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Received, Recent};
use treecast_core::counters::Counter;
use treecast_core::datagram::{TreeName, MIN_TREE_LEN};
use treecast_core::downstream_tree::{GraftState, InstalledPlace};
use treecast_core::events::Event;
use treecast_core::forward::NO_PATH;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::history::Retransmission;
use treecast_core::path::Endpoint;
use treecast_core::reason::Reason;
use treecast_core::root_tree::RootTree;
use treecast_core::silence::TURN_NS;
use treecast_core::tree_mark::{TreeMark, KIND_GRAFT, KIND_TICK};
use treecast_core::tree_state::TreePlace;
use treecast_core::tree_turns::Turn;
use treecast_core::withheld::ParentFailure;

pub const NAME: TreeName = TreeName { root: 1, stream: 5, epoch: EPOCH };
pub const MS: u64 = 1_000_000;
pub const FRAME: &[u8] = &[7; 60];

pub struct Network {
    pub root: ForwardingTables,
    relay: ForwardingTables,
    pub child: ForwardingTables,
    pub backup: ForwardingTables,
    pub now_ns: u64,
}

fn backup_place() -> TreePlace {
    TreePlace { backup_children: [3].into(), ..leaf() }
}

fn child_place() -> TreePlace {
    TreePlace { parent: 2, backup: 4, ..relaying(&[5]) }
}

impl Network {
    pub fn new() -> Self {
        let network = Self { root: tables(1), relay: tables(2), child: tables(3), backup: tables(4), now_ns: NOW_NS };
        let Self { root, relay, child, backup, .. } = &network;
        for (index, (one, two)) in
            (10..).step_by(2).zip([(root, relay), (root, child), (root, backup), (relay, child), (backup, child)])
        {
            join(one, two, index, Aead::Aes256Gcm);
        }
        root.create_tree(5, EPOCH, KEY_ID, secrets(9, 8)).unwrap();
        take_place(root, relay, NAME, &relaying(&[3]));
        take_place(root, child, NAME, &child_place());
        take_place(root, backup, NAME, &backup_place());
        network
    }

    pub fn relay(&self) -> &ForwardingTables {
        &self.relay
    }

    pub fn tree(&self) -> Arc<RootTree> {
        self.root.tree(5).unwrap()
    }

    /// A datagram comes to a node that sends it on, with this traffic class.
    pub fn pass(&self, node: &ForwardingTables, from: u8, datagram: &[u8]) -> Result<Vec<u32>, Reason> {
        let mut recent = Recent::default();
        let passed = node.relay((datagram, 0x2E), endpoint(from).address, self.now_ns, &mut recent).unwrap();
        passed.map(|(_, next_hops)| next_hops.to_vec())
    }

    /// Datagrams come to the child's backup, and the first of them by the relay to the child, one a millisecond.
    pub fn stream(&mut self, count: usize, to_child: usize) -> Vec<Vec<u8>> {
        let datagrams: Vec<Vec<u8>> = (0..count).map(|_| seal_tree(&self.tree(), FRAME)).collect();
        for (number, datagram) in datagrams.iter().enumerate() {
            self.pass(&self.backup, 1, datagram).unwrap();
            if number < to_child {
                assert_eq!(self.pass(&self.child, 2, datagram), Ok(vec![5]));
            }
            self.now_ns += MS;
            if number % 20 == 19 {
                self.child.turn_trees(self.now_ns);
            }
        }
        datagrams
    }

    /// The tree of the next epoch is in use: the child's parent there is its backup of before, and sends on a datagram.
    fn follow(&self) -> TreeName {
        let next = TreeName { epoch: EPOCH + 1, ..NAME };
        self.root.make_key(5, KEY_ID + 1, next.epoch, secrets(9, 7)).unwrap();
        take_place(&self.root, &self.child, next, &TreePlace { parent: 4, backup: 2, ..relaying(&[5]) });
        self.root.use_key(5, KEY_ID + 1).unwrap();
        assert_eq!(self.pass(&self.child, 4, &seal_tree(&self.tree(), FRAME)), Ok(vec![5]));
        next
    }

    /// The child's turns during this time: all that it grafts and all whom it sends a word.
    pub fn turns(&mut self, for_ns: u64) -> Turn {
        let mut all = Turn::default();
        let end_ns = self.now_ns + for_ns;
        while self.now_ns < end_ns {
            self.now_ns += TURN_NS;
            let turn = self.child.turn_trees(self.now_ns);
            all.grafts.extend(turn.grafts);
            all.ticks.extend(turn.ticks);
        }
        all
    }

    fn graft_from(
        &self,
        node: &ForwardingTables,
        graft: &TreeMark,
        from: Endpoint,
    ) -> Result<Arc<Retransmission>, Reason> {
        let mut datagram = seal(&node.session_to(4).unwrap(), KIND_GRAFT, &graft.emit());
        match self.backup.receive_session(&mut datagram, from, self.now_ns, &mut Recent::default())? {
            Received::Retransmission(retransmission, to) => {
                assert_eq!(to, node.node_index);
                Ok(retransmission)
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn graft(&self, after: u64) -> Result<Arc<Retransmission>, Reason> {
        self.graft_from(&self.child, &TreeMark { tree: NAME, counter: after }, endpoint(3))
    }

    /// A node reports to the child how far it is in the tree.
    pub fn mark(&self, node: &ForwardingTables, mark: &TreeMark, from: Endpoint) -> Result<(), Reason> {
        let mut tick = seal(&node.session_to(3).unwrap(), KIND_TICK, &mark.emit());
        self.child.receive_session(&mut tick, from, self.now_ns, &mut Recent::default()).map(|_| ())
    }

    /// The relay is there still.
    /// The failures of parents that the child has reported since this was called last.
    pub fn failures(&self) -> Vec<ParentFailure> {
        let of = |event| if let Event::ParentFailed { failure, .. } = event { Some(failure) } else { None };
        self.child.drain(100, || {}).into_iter().filter_map(of).collect()
    }

    pub fn tick(&self) {
        let mut tick = seal(&self.relay.session_to(3).unwrap(), KIND_TICK, &[]);
        let received = self.child.receive_session(&mut tick, endpoint(2), self.now_ns, &mut Recent::default());
        assert!(matches!(received, Ok(Received::Done)));
    }
}

#[test]
fn a_child_of_a_dead_relay_gets_all_that_it_has_missed_from_its_backup_once() {
    let mut network = Network::new();
    let datagrams = network.stream(200, 150);
    let Turn { grafts, .. } = network.turns(80 * MS);
    let [(4, graft)] = grafts[..] else { panic!("{grafts:?}") };
    assert_eq!((graft.tree, graft.counter < 150), (NAME, true));
    let retransmission = network.graft(graft.counter).unwrap();
    assert_eq!(retransmission.bytes, datagrams[graft.counter as usize..].concat());
    assert!(retransmission.datagrams.iter().all(|known| *known == (MIN_TREE_LEN + FRAME.len(), 0x2E)));
    let again: Vec<_> = retransmission
        .bytes
        .chunks(MIN_TREE_LEN + FRAME.len())
        .map(|one| network.pass(&network.child, 4, one))
        .collect();
    assert_eq!(again.iter().filter(|passed| **passed == Ok(vec![5])).count(), 50);
    assert!(again.iter().all(|passed| *passed == Ok(vec![5]) || *passed == Err(Reason::TreeReplay)));
    assert_eq!(network.pass(&network.backup, 1, &seal_tree(&network.tree(), FRAME)), Ok(vec![3]));
    assert_eq!(network.graft(0), Err(Reason::GraftRepeated));
    assert_eq!(network.child.counters.get(Counter::Grafts), 1);
    assert_eq!(network.backup.counters.get(Counter::GraftsTaken), 1);
    assert_eq!(network.backup.counters.get(Counter::Retransmissions), retransmission.datagrams.len() as u64);
    let events = network.child.drain(100, || {});
    assert!(events.contains(&Event::ParentFailed { tree: NAME, parent: 2, failure: ParentFailure::Silent }));
}

#[test]
fn a_place_is_shown_as_it_is_installed_with_who_sends_since_a_graft() {
    let mut network = Network::new();
    let place = |node: &ForwardingTables| node.places(NAME.stream_name()).unwrap().1.pop().unwrap();
    let began = place(&network.child);
    assert_eq!((began.parent, began.backup, &*began.next_hops, began.graft), (2, 4, &[5][..], GraftState::None));
    let datagrams = network.stream(200, 150);
    let Turn { grafts, .. } = network.turns(80 * MS);
    network.graft(grafts[0].1.counter).unwrap();
    assert_eq!(
        (place(&network.child).graft, &*place(&network.backup).next_hops),
        (GraftState::InsteadOfParent, &[3][..])
    );
    network.now_ns += MS;
    network.pass(&network.child, 2, &datagrams[150]).unwrap();
    assert_eq!(place(&network.child), InstalledPlace { graft: GraftState::BesideParent, ..began });
}

#[test]
fn nobody_but_a_backup_child_on_its_own_path_grafts() {
    let mut network = Network::new();
    network.stream(10, 0);
    let graft = TreeMark { tree: NAME, counter: 0 };
    assert_eq!(network.graft_from(&network.root, &graft, endpoint(1)), Err(Reason::GraftUnexpected));
    assert_eq!(network.graft_from(&network.child, &graft, NO_PATH), Err(Reason::GraftUnexpected));
    let other = TreeMark { tree: TreeName { epoch: EPOCH + 1, ..NAME }, counter: 0 };
    assert_eq!(network.graft_from(&network.child, &other, endpoint(3)), Err(Reason::GraftUnexpected));
    take_place(&network.root, &network.backup, NAME, &relaying(&[9]));
    assert_eq!(network.graft(0), Err(Reason::GraftUnexpected));
    assert_eq!(network.backup.counters.get(Counter::Retransmissions), 0);
}

#[test]
fn a_state_that_is_repeated_ends_neither_the_history_nor_a_graft() {
    let mut network = Network::new();
    network.stream(10, 0);
    take_place(&network.root, &network.backup, NAME, &backup_place());
    assert_eq!(network.graft(4).unwrap().datagrams.len(), 6);
    take_place(&network.root, &network.backup, NAME, &backup_place());
    assert_eq!(network.graft(4), Err(Reason::GraftRepeated));
    assert_eq!(network.pass(&network.backup, 1, &seal_tree(&network.tree(), FRAME)), Ok(vec![3]));
    take_place(&network.root, &network.backup, NAME, &TreePlace { backup_children: [6].into(), ..leaf() });
    assert_eq!(network.pass(&network.backup, 1, &seal_tree(&network.tree(), FRAME)), Ok(vec![]));
}

#[test]
fn a_relay_that_is_there_keeps_its_children_though_nothing_comes_by_it() {
    let mut network = Network::new();
    network.stream(150, 150);
    for _ in 0..100 {
        network.tick();
        let turn = network.turns(TURN_NS);
        assert_eq!(turn.grafts, []);
    }
    assert_eq!(network.turns(1800 * MS).grafts.len(), 4, "and four grafts where nothing answers");
}

#[test]
fn a_node_whose_upstream_is_silent_sends_its_own_children_a_word() {
    let mut network = Network::new();
    network.stream(150, 150);
    let fast = network.turns(500 * MS).ticks;
    assert!(fast.iter().all(|child| *child == 5) && fast.len() >= 20, "{fast:?}");
    network.turns(2000 * MS);
    let slow = network.turns(1000 * MS).ticks.len();
    assert!((3..=5).contains(&slow), "{slow}");
    network.turns(3000 * MS);
    assert!(!network.child.watches_trees());
}

#[test]
fn a_slow_tree_waits_for_a_second_and_one_that_has_ended_for_nothing() {
    let mut network = Network::new();
    network.stream(10, 10);
    assert_eq!(network.turns(900 * MS).grafts, []);
    assert_eq!(network.turns(150 * MS).grafts.len(), 1);
    let mut idle = Network::new();
    idle.stream(10, 10);
    for _ in 0..200 {
        idle.tick();
        assert_eq!(idle.turns(TURN_NS).grafts, []);
    }
    assert_eq!(idle.turns(3000 * MS).grafts, []);
}

#[test]
fn a_node_that_did_not_run_takes_nobody_for_dead() {
    let mut network = Network::new();
    network.stream(150, 150);
    network.now_ns += 500 * MS;
    assert_eq!(network.turns(TURN_NS).grafts, []);
    assert_eq!(network.turns(80 * MS).grafts.len(), 1, "but from then on");
}

#[test]
fn a_node_that_runs_now_and_then_finds_a_parent_silent_all_the_same_and_later() {
    let mut network = Network::new();
    network.stream(150, 150);
    let grafts = (0..4).map(|_| {
        network.now_ns += 80 * MS;
        network.child.turn_trees(network.now_ns).grafts.len()
    });
    assert_eq!(grafts.collect::<Vec<_>>(), [0, 0, 1, 0]);
}

#[test]
fn who_takes_the_turns_is_called_once_where_none_were_due_before() {
    let mut network = Network::new();
    assert!(!network.child.begins_to_watch_trees());
    for _ in 0..2 {
        network.stream(10, 10);
        assert!(network.child.begins_to_watch_trees());
        assert!(!network.child.begins_to_watch_trees());
        network.stream(10, 10);
        assert!(!network.child.begins_to_watch_trees());
        network.turns(6000 * MS);
        assert!(!network.child.watches_trees());
    }
}

#[test]
fn a_tree_is_as_fast_as_the_one_before_it_in_its_stream() {
    let mut network = Network::new();
    network.stream(150, 150);
    network.follow();
    assert_eq!(network.turns(80 * MS).grafts.len(), 1);
}

/// Its parent there has nothing to send any more, and may have no child.
#[test]
fn a_tree_that_another_one_has_followed_is_left_alone() {
    let mut network = Network::new();
    network.stream(150, 150);
    let next = network.follow();
    let grafts = network.turns(1500 * MS).grafts;
    assert!(grafts.iter().all(|(_, graft)| graft.tree == next), "{grafts:?}");
}

#[test]
fn a_child_of_the_root_and_one_without_a_backup_graft_nowhere() {
    for place in [TreePlace { backup: 4, ..relaying(&[5]) }, TreePlace { backup: 0, ..child_place() }] {
        let mut network = Network::new();
        take_place(&network.root, &network.child, NAME, &place);
        let from = place.parent as u8;
        for _ in 0..150 {
            let datagram = seal_tree(&network.tree(), FRAME);
            network.pass(&network.child, from, &datagram).unwrap();
            network.now_ns += MS;
        }
        assert_eq!(network.turns(1500 * MS).grafts, []);
    }
}
