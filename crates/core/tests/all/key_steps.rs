//! Steps of sender keys: who joins reads nothing old, members read all that is new, and no member's steps disturb the others'.

use std::sync::Arc;

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::datagram::{TreeName, KIND_SENDER_KEY};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::key_steps::STEP_NS;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Hops, RootTree, SenderKey};
use zeroize::Zeroizing;

const NAME: TreeName = TreeName { root: 1, stream: 5, epoch: EPOCH };
const FRAME: &[u8] = &[7; 60];
const SECOND_NS: u64 = 1_000_000_000;
const HOUR: u64 = 360;

/// Node 1 has a tree, of which node 2 is a member.
struct Tree {
    tables: ForwardingTables,
    member: ForwardingTables,
    root: Arc<RootTree>,
}

impl Tree {
    fn new() -> Self {
        let (tables, member) = (tables(1), tables(2));
        join(&tables, &member, 10, Aead::Aes256Gcm);
        let (root, _) = tree(&tables, &member, 5, leaf());
        Self { tables, member, root }
    }

    /// A datagram of the root at a time.
    fn send(&self, now_ns: u64) -> Vec<u8> {
        self.root.advance(&self.root.members.load(), now_ns);
        seal_tree(&self.root, FRAME)
    }

    /// An offer at a time, as `changed` by who gets it, taken by node 2.
    fn offer(&self, now_ns: u64, changed: impl FnOnce(&mut [u8])) {
        let mut offer = self.tables.offer(5, KEY_ID, NO_KEY_BEFORE, b"\xc0", now_ns).unwrap().to_vec();
        changed(&mut offer);
        let datagram = seal(&self.tables.session_to(2).unwrap(), KIND_SENDER_KEY, &offer);
        receive_at(&self.member, &datagram, endpoint(1), now_ns).unwrap();
        assert_eq!(self.member.accept_key(NAME.stream_name(), KEY_ID, None), Ok(true));
        take_place(&self.tables, &self.member, NAME, &leaf());
    }

    fn take(&self, datagram: &[u8], now_ns: u64) -> Result<(), Reason> {
        receive_tree_at(&self.member, datagram, now_ns).map(|frame| assert_eq!(frame, FRAME))
    }
}

/// A datagram of a member that holds the keys, at any step.
fn forge(step: u64, counter: u64) -> Vec<u8> {
    let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
    key.set_sealed(counter - 1);
    let tree = tree_with(NAME, 9, key);
    tree.advance(&tree.members.load(), NOW_NS);
    tree.advance(&tree.members.load(), NOW_NS + step * STEP_NS);
    seal_tree(&tree, FRAME)
}

#[test]
fn who_joins_reads_nothing_that_was_sent_more_than_10_s_before() {
    let tree = Tree::new();
    let recorded: Vec<(u64, Vec<u8>)> =
        (0..150).map(|number| NOW_NS + number * SECOND_NS / 5).map(|at_ns| (at_ns, tree.send(at_ns))).collect();
    let joined_ns = NOW_NS + 30 * SECOND_NS;
    tree.member.leave_stream(NAME.stream_name());
    // The joiner takes all counters, whatever the root said of the first.
    tree.offer(joined_ns, |offer| offer[12..20].copy_from_slice(&1u64.to_be_bytes()));
    for (at_ns, datagram) in &recorded {
        assert_eq!(tree.take(datagram, joined_ns), Err(Reason::TreeStep), "sent at {at_ns}");
    }
    let datagram = tree.send(joined_ns + STEP_NS - 1);
    assert_eq!(tree.take(&datagram, joined_ns + STEP_NS - 1), Ok(()));
}

#[test]
fn an_offer_is_of_the_step_that_is_due_however_long_nothing_was_sent() {
    let tree = Tree::new();
    let old = tree.send(NOW_NS);
    let joined_ns = NOW_NS + 100 * SECOND_NS;
    tree.member.leave_stream(NAME.stream_name());
    tree.offer(joined_ns, |offer| offer[12..20].copy_from_slice(&1u64.to_be_bytes()));
    assert_eq!(tree.take(&old, joined_ns), Err(Reason::TreeStep));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_member_reads_all_that_comes_within_10_s_whatever_the_pauses(
        sent in prop::collection::vec((0u64..40 * SECOND_NS, 0u64..10 * SECOND_NS, 0u64..12), 1..60),
    ) {
        let tree = Tree::new();
        let mut at_ns = NOW_NS;
        let mut arrivals = Vec::new();
        for (gap_ns, delay_ns, long) in sent {
            // One pause in twelve is one of minutes.
            at_ns += if long == 0 { gap_ns * 30 } else { gap_ns };
            arrivals.push((at_ns + delay_ns, tree.send(at_ns)));
        }
        arrivals.sort();
        for (at_ns, datagram) in arrivals {
            prop_assert_eq!(tree.take(&datagram, at_ns), Ok(()));
        }
    }

    #[test]
    fn steps_that_another_member_makes_up_disturb_no_stream(forged in prop::collection::vec(0u64..2 * HOUR, 1..40)) {
        let tree = Tree::new();
        for (number, step) in forged.into_iter().enumerate() {
            let at_ns = NOW_NS + number as u64 * 3 * SECOND_NS;
            let _ = tree.take(&forge(step, 10_000 + number as u64), at_ns);
            prop_assert_eq!(tree.take(&tree.send(at_ns), at_ns), Ok(()));
        }
    }
}

#[test]
fn steps_far_ahead_are_derived_ten_times_a_second_at_most() {
    let tree = Tree::new();
    let taken = (0..1000).filter(|number| {
        let at_ns = NOW_NS + number * SECOND_NS / 1000;
        tree.take(&forge(HOUR, 1 + number), at_ns).is_ok()
    });
    // The first one that opens is kept: it costs nothing from then on.
    assert_eq!(taken.count(), 1000);
    let steps = (100..200).filter(|step| tree.take(&forge(*step, 2000 + step), NOW_NS + 2 * SECOND_NS).is_ok());
    assert_eq!(steps.count(), 1);
    assert_eq!(tree.take(&forge(2000, 3000), NOW_NS + 9 * SECOND_NS), Err(Reason::TreeStep));
}

#[test]
fn a_member_whose_clock_stood_still_goes_on_and_learns_from_offers() {
    let tree = Tree::new();
    assert_eq!(tree.take(&tree.send(NOW_NS + HOUR * STEP_NS), NOW_NS), Ok(()));
    assert_eq!(tree.take(&tree.send(NOW_NS + (HOUR + 1) * STEP_NS), NOW_NS + 2 * SECOND_NS), Ok(()));
    let early = forge(HOUR, 9);
    tree.offer(NOW_NS + (HOUR + 9) * STEP_NS, |_| {});
    let late_ns = NOW_NS + (HOUR + 10) * STEP_NS;
    assert_eq!(tree.take(&forge(HOUR + 5, 10), late_ns), Err(Reason::TreeStep), "steps before an offer's are over");
    assert_eq!(tree.take(&early, late_ns), Ok(()), "unless something opened with them");
    assert_eq!(tree.take(&tree.send(late_ns), late_ns), Ok(()));
}

#[test]
fn a_key_is_made_with_the_first_datagram_that_it_seals() {
    let root = tables(1);
    root.create_tree(5, 1, 1, secrets(1, 2)).unwrap();
    root.set_tree_members(5, Hops::new(&[], &[2])).unwrap();
    let tree = root.tree(5).unwrap();
    assert!(root.offer(5, 1, NO_KEY_BEFORE, b"", NOW_NS).is_ok());
    assert!(!tree.has_key_made(), "neither a tree nor its offer needs it");
    seal_tree(&tree, b"a frame of a host");
    assert!(tree.has_key_made());
}
