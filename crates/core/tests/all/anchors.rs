//! Forged datagrams beside a stream, which stays whole: their source addresses, anchors, the end of a key.

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::anchor::{Anchor, CounterRange, ANCHOR_DATAGRAMS, ANCHOR_INTERVAL};
use treecast_core::arrival::{Received, Recent};
use treecast_core::datagram::{TreeName, KIND_ANCHOR, KIND_SENDER_KEY};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Hops, KeyBefore, RootTree, SenderKey};
use treecast_core::served_counters::LAST_RANGE;
use treecast_core::tree_state::TreePlace;
use zeroize::Zeroizing;

pub(crate) const NAME: TreeName = TreeName { root: 1, stream: 5, epoch: EPOCH };
pub(crate) const FRAME: &[u8] = &[7; 60];
/// Half a window, as in docs/protocol.md.
const AHEAD: u64 = 16_384;

/// Node 2 is a member of a tree of node 1; node 3 has its keys too: `forge` seals with them.
pub(crate) struct Members {
    pub(crate) root: ForwardingTables,
    pub(crate) member: ForwardingTables,
}

impl Members {
    pub(crate) fn new(place: TreePlace) -> Self {
        let (root, member) = (tables(1), tables(2));
        join(&root, &member, 10, Aead::Aes256Gcm);
        tree(&root, &member, 5, place);
        Self { root, member }
    }

    /// A datagram of the root.
    pub(crate) fn genuine(&self) -> Vec<u8> {
        seal_tree(&self.root.tree(5).unwrap(), FRAME)
    }

    /// The member takes a datagram.
    pub(crate) fn take(&self, datagram: &[u8]) -> Result<Vec<u8>, Reason> {
        receive_tree(&self.member, datagram)
    }

    /// The root's anchor, on its session.
    fn anchor(&self, counter: u64) {
        let session = self.root.session_to(2).unwrap();
        let anchor = Anchor::at(NAME, KEY_ID, counter);
        assert_eq!(receive(&self.member, &seal(&session, KIND_ANCHOR, &anchor.emit()), endpoint(1)), Ok(None));
    }
}

/// The counter of the anchor that is due at a root before its next datagram, and who gets it, each with the counters that it gets by
/// the tree.
pub(crate) fn due(root: &RootTree) -> Option<(u64, Vec<(u32, CounterRange)>)> {
    let members = root.members.load_full();
    let (anchor, served) = root.anchor(&members);
    Some((anchor.counter, served.collect::<Vec<_>>())).filter(|(_, served)| !served.is_empty())
}

/// All counters from this one on.
pub(crate) fn from(first: u64) -> CounterRange {
    CounterRange { first, last: 0 }
}

/// A datagram of who holds the tree's keys, with any counter.
pub(crate) fn forge(counter: u64) -> Vec<u8> {
    let key = SenderKey::new(KEY_ID, Aead::preferred(), Zeroizing::new([8; 32]));
    key.set_sealed(counter - 1);
    seal_tree(&tree_with(NAME, 9, key), FRAME)
}

#[test]
fn a_forged_counter_far_ahead_is_refused_and_the_stream_goes_on() {
    let members = Members::new(leaf());
    for counter in [1 << 30, 1 << 20, AHEAD + 1] {
        assert_eq!(members.take(&forge(counter)), Err(Reason::TreeAhead));
    }
    assert_eq!(members.take(&forge(AHEAD)), Ok(FRAME.to_vec()), "who holds the keys may forge this much");
    for _ in 1..AHEAD {
        assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()));
    }
}

#[test]
fn a_stream_goes_on_behind_its_anchors_and_waits_for_one_that_is_lost() {
    let members = Members::new(leaf());
    let root = members.root.tree(5).unwrap();
    let mut anchors = 0;
    for _ in 0..3 * AHEAD {
        if let Some((counter, firsts)) = due(&root) {
            assert_eq!((counter % ANCHOR_INTERVAL, firsts), (0, vec![(2, from(u64::from(counter == 0)))]));
            members.anchor(counter);
            anchors += 1;
        }
        assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()));
    }
    // The first is of counter 0, for a new next hop.
    assert_eq!(anchors, 3 * AHEAD / ANCHOR_INTERVAL);
    let sealed = 3 * AHEAD;
    for _ in 0..AHEAD - ANCHOR_INTERVAL {
        assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()));
    }
    assert_eq!(members.take(&members.genuine()), Err(Reason::TreeAhead), "all anchors were lost");
    members.anchor(sealed + AHEAD - ANCHOR_INTERVAL);
    members.anchor(1);
    assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()), "a late one changes nothing");
}

#[test]
fn a_new_next_hop_and_no_other_gets_an_anchor_at_once() {
    let members = Members::new(leaf());
    let (tables, root) = (&members.root, members.root.tree(5).unwrap());
    assert_eq!(due(&root), Some((0, vec![(2, from(1))])));
    members.genuine();
    assert_eq!(due(&root), None);
    for _ in 1..LAST_RANGE {
        assert_eq!(due(&root), None, "it had no copies");
        members.genuine();
    }
    tables.set_tree_members(5, Hops::new(&[2, 3], &[])).unwrap();
    tables.set_tree_members(5, Hops::new(&[2, 3, 4], &[])).unwrap();
    let first = LAST_RANGE + 1;
    assert_eq!(
        due(&root),
        Some((LAST_RANGE, vec![(3, from(first)), (4, from(first))])),
        "also who came before the anchor went"
    );
    assert_eq!(due(&root), None);
}

#[test]
fn an_anchor_is_taken_from_a_parent_only_and_sent_on_by_a_relay() {
    let members = Members::new(leaf());
    let other = tables(3);
    let (session, _) = join(&other, &members.member, 30, Aead::Aes256Gcm);
    let anchor = Anchor { in_use_ms: 7, first_counter: 9, ..Anchor::at(NAME, KEY_ID, 1 << 29) };
    receive(&members.member, &seal(&session, KIND_ANCHOR, &anchor.emit()), endpoint(3)).unwrap();
    assert_eq!(members.take(&forge(1 << 29)), Err(Reason::TreeAhead));
    let short = seal(&session, KIND_ANCHOR, &anchor.emit()[..23]);
    assert_eq!(receive(&members.member, &short, endpoint(3)), Err(Reason::InnerMalformed));
    let place = TreePlace { backup: 3, ..relaying(&[4]) };
    take_place(&members.root, &members.member, NAME, &place);
    let mut again = seal(&session, KIND_ANCHOR, &anchor.emit());
    match members.member.receive_session(&mut again, endpoint(3), NOW_NS, &mut Recent::default()) {
        Ok(Received::Anchor(sent, next_hops)) => {
            assert_eq!((sent, &**next_hops), (Anchor { first_counter: 0, ..anchor }, &[4][..]))
        }
        other => panic!("an anchor for the next hops: {other:?}"),
    }
    assert_eq!(members.take(&forge(1 << 29)), Err(Reason::TreeAhead), "the counter is the root's to say");
}

/// A further key, and the tree that is made with it, that the member holds and the root uses.
pub(crate) fn rotate(members: &Members, key_id: u32) {
    let name = make_next(members, key_id);
    take_key(&members.root, &members.member, name, key_id);
    members.root.use_key(5, key_id).unwrap();
}

/// A further key, of whose tree the member knows.
pub(crate) fn make_next(members: &Members, key_id: u32) -> TreeName {
    let name = TreeName { epoch: EPOCH + key_id, ..NAME };
    members.root.make_key(5, key_id, name.epoch, secrets(9, key_id as u8)).unwrap();
    take_place(&members.root, &members.member, name, &leaf());
    name
}

/// Members whose root uses a next key from now on, and two datagrams under the one before.
fn rotated() -> (Members, [Vec<u8>; 2]) {
    let members = Members::new(leaf());
    let old = [members.genuine(), members.genuine()];
    rotate(&members, KEY_ID + 1);
    (members, old)
}

/// Takes these at these times after the offer of the next key.
fn taken_at(members: &Members, datagrams: &[Vec<u8>; 2], at_ms: [u64; 2]) -> [Result<(), Reason>; 2] {
    let take = |datagram: &[u8], ms| receive_tree_at(&members.member, datagram, NOW_NS + ms * 1_000_000).map(|_| ());
    [take(&datagrams[0], at_ms[0]), take(&datagrams[1], at_ms[1])]
}

const ENDED: [Result<(), Reason>; 2] = [Ok(()), Err(Reason::TreeKeyUnknown)];

/// A holder of the next key could make a datagram with it before its root uses it.
#[test]
fn a_key_ends_when_the_offer_of_the_next_one_says_whatever_comes() {
    for datagrams_come in [false, true] {
        let (members, old) = rotated();
        if datagrams_come {
            assert!(members.take(&members.genuine()).is_ok());
        }
        assert_eq!(taken_at(&members, &old, [2_749, 2_750]), ENDED);
    }
}

/// A member that was away, or got no offer, has a key that somebody may have who left long ago.
#[test]
fn a_key_that_is_older_than_the_one_before_ends_as_the_next_one_is_taken() {
    let (members, old) = rotated();
    assert!(members.take(&old[0]).is_ok());
    let name = make_next(&members, KEY_ID + 3);
    take_key(&members.root, &members.member, name, KEY_ID + 3);
    let under_the_one_before = members.genuine();
    assert_eq!(members.take(&under_the_one_before), Err(Reason::TreeKeyUnknown), "its offer names another one");
    members.root.use_key(5, KEY_ID + 3).unwrap();
    assert!(members.take(&members.genuine()).is_ok());
}

#[test]
fn an_offer_that_is_repeated_ends_the_key_before_when_it_says_but_no_later_than_another_one_said() {
    for (again_ms, at_ms) in [(300, [1_299, 1_300]), (5_000, [2_749, 2_750])] {
        let (members, old) = rotated();
        let offer = members
            .root
            .offer(5, KEY_ID + 1, KeyBefore { key_id: KEY_ID, ends_ms: again_ms }, b"\xc0", NOW_NS)
            .unwrap();
        let session = members.root.session_to(2).unwrap();
        let sealed = seal(&session, KIND_SENDER_KEY, &offer);
        receive_at(&members.member, &sealed, endpoint(1), NOW_NS + 1_000_000_000).unwrap();
        assert_eq!(members.member.accept_key(NAME.stream_name(), KEY_ID + 1, None), Ok(true));
        assert_eq!(taken_at(&members, &old, at_ms), ENDED);
    }
}

/// A member that has left forges with the last key that it had while its root sends nothing.
#[test]
fn a_key_ends_a_second_and_a_half_after_the_anchor_of_the_next_one_where_no_datagram_comes() {
    let (members, old) = rotated();
    let (anchor, _) = members.root.tree(5).unwrap().anchor_now(NOW_NS);
    assert_eq!((anchor.key_id, anchor.counter), (KEY_ID + 1, 0));
    let of_next = seal(&members.root.session_to(2).unwrap(), KIND_ANCHOR, &anchor.emit());
    receive_at(&members.member, &of_next, endpoint(1), NOW_NS + 500_000_000).unwrap();
    assert_eq!(taken_at(&members, &old, [1_999, 2_000]), ENDED);
}

#[test]
fn a_key_ends_a_second_and_a_half_after_the_next_came_into_use_though_its_first_anchor_was_lost() {
    let (members, old) = rotated();
    let tree = members.root.tree(5).unwrap();
    tree.anchor_now(NOW_NS + 100_000_000);
    let (again, _) = tree.anchor_again(NOW_NS + 1_000_000_000).unwrap();
    assert_eq!((again.key_id, again.counter, again.in_use_ms), (KEY_ID + 1, 0, 900));
    let sealed = seal(&members.root.session_to(2).unwrap(), KIND_ANCHOR, &again.emit());
    receive_at(&members.member, &sealed, endpoint(1), NOW_NS + 1_000_000_000).unwrap();
    assert_eq!(taken_at(&members, &old, [1_599, 1_600]), ENDED);
}

/// Another parent could end the key that its root still uses.
#[test]
fn an_anchor_of_another_parent_ends_no_key() {
    let (members, old) = rotated();
    let name = TreeName { epoch: EPOCH + KEY_ID + 1, ..NAME };
    take_place(&members.root, &members.member, name, &TreePlace { backup: 3, ..leaf() });
    let (session, _) = join(&tables(3), &members.member, 30, Aead::Aes256Gcm);
    let anchor = Anchor { in_use_ms: u16::MAX, ..Anchor::at(name, KEY_ID + 1, 0) };
    let sealed = seal(&session, KIND_ANCHOR, &anchor.emit());
    receive_at(&members.member, &sealed, endpoint(3), NOW_NS + 500_000_000).unwrap();
    assert_eq!(taken_at(&members, &old, [2_749, 2_750]), ENDED);
}

#[test]
fn an_anchor_is_repeated_of_a_next_key_only_and_until_datagrams_say_the_same() {
    let members = Members::new(leaf());
    let tree = members.root.tree(5).unwrap();
    assert_eq!(tree.anchor_again(NOW_NS).map(|(anchor, _)| anchor), None, "there was none before");
    rotate(&members, KEY_ID + 1);
    tree.anchor_now(NOW_NS);
    members.root.set_tree_members(5, Hops::new(&[2, 3], &[])).unwrap();
    for counter in 0..ANCHOR_DATAGRAMS {
        let (anchor, of) = tree.anchor_again(NOW_NS + 70_000_000_000).unwrap();
        assert_eq!((anchor.counter, anchor.in_use_ms), (counter, u16::MAX));
        assert_eq!(of.served.known(anchor.counter).collect::<Vec<_>>(), [(3, from(counter + 1))]);
        members.genuine();
    }
    assert_eq!(tree.anchor_again(NOW_NS).map(|(anchor, _)| anchor), None);
}

#[test]
fn a_key_older_than_one_that_was_used_is_taken_no_more() {
    let members = Members::new(leaf());
    let session = members.root.session_to(2).unwrap();
    let name = make_next(&members, KEY_ID + 1);
    let old = members.root.offer(5, KEY_ID + 1, before(KEY_ID + 1), b"\xc0", NOW_NS).unwrap();
    rotate(&members, KEY_ID + 2);
    rotate(&members, KEY_ID + 3);
    assert!(members.take(&members.genuine()).is_ok());
    receive(&members.member, &seal(&session, KIND_SENDER_KEY, &old), endpoint(1)).unwrap();
    members.member.accept_key(name.stream_name(), KEY_ID + 1, None).unwrap();
    assert!(members.take(&members.genuine()).is_ok());
    assert!(members.take(&members.genuine()).is_ok());
}

#[test]
fn the_counter_of_each_key_begins_at_one_and_has_a_window_of_its_own() {
    let members = Members::new(leaf());
    assert!(members.take(&forge(AHEAD)).is_ok());
    rotate(&members, KEY_ID + 1);
    let first = members.genuine();
    assert_eq!(first[20..28], 1u64.to_be_bytes());
    assert!(members.take(&first).is_ok());
    assert_eq!(members.take(&first), Err(Reason::TreeReplay));
}

#[test]
fn a_key_seals_no_more_than_its_limit() {
    let root = tables(1);
    root.create_tree(5, EPOCH, KEY_ID, secrets(9, 8)).unwrap();
    let tree = root.tree(5).unwrap();
    tree.set_sealed((1 << 30) - 1);
    let inner = treecast_core::datagram::Inner { kind: 0, checksum: None };
    let seal = || tree.seal(&tree.members.load(), inner, 60, &mut [0; 200]).map(|_| ());
    assert_eq!((seal(), seal()), (Ok(()), Err(Reason::TreeExhausted)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A holder of the keys makes up any counters, at any time: only genuine datagrams with just these are lost.
    #[test]
    fn forged_counters_cost_the_genuine_datagrams_of_the_same_counters_and_no_others(
        forged in prop::collection::vec((0u64..3000, prop_oneof![1u64..40_000, Just(1 << 30)]), 0..40)
    ) {
        let members = Members::new(leaf());
        let root = members.root.tree(5).unwrap();
        let mut used = std::collections::HashSet::new();
        for counter in 1..3000 {
            for (_, made_up) in forged.iter().filter(|(at, _)| *at == counter) {
                if members.take(&forge(*made_up)).is_ok() {
                    used.insert(*made_up);
                }
            }
            if let Some((anchor, _)) = due(&root) {
                members.anchor(anchor);
            }
            prop_assert_eq!(members.take(&members.genuine()).is_ok(), !used.contains(&counter));
        }
    }
}
