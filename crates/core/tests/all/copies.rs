//! A member that has copies of a stream takes none of it by the tree, then or later.

use crate::anchors::{due, from, rotate, Members, FRAME, NAME};
use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::anchor::{Anchor, CounterRange};
use treecast_core::datagram::{KIND_ANCHOR, KIND_FRAME};
use treecast_core::forward::NO_PATH;
use treecast_core::reason::Reason;
use treecast_core::root_tree::Hops;
use treecast_core::served_counters::LAST_RANGE;
use treecast_core::tree_state::TreePlace;

/// One may be lost.
#[test]
fn who_is_served_anew_is_told_its_first_counter_again_and_again_and_not_for_ever() {
    let members = Members::new(leaf());
    let root = members.root.tree(5).unwrap();
    (0..100).for_each(|_| drop(members.genuine()));
    assert!(due(&root).is_some());
    members.root.set_tree_members(5, Hops { beyond: [4].into(), ..Hops::new(&[2, 3], &[]) }).unwrap();
    let mut reported = Vec::new();
    for gone in 0..2 * LAST_RANGE {
        if let Some((_, firsts)) = due(&root) {
            assert_eq!(firsts, [(3, from(101)), (4, from(101))]);
            reported.push(gone);
        }
        members.genuine();
        if gone == 9 {
            members.root.set_tree_members(5, Hops { beyond: [4].into(), ..Hops::new(&[2, 3], &[]) }).unwrap();
        }
    }
    assert_eq!(
        reported,
        [0, 1, 3, 7, 10, 11, 13, 17, 25, 41, 73],
        "those that may not know it yet begin anew with the others"
    );
    members.root.set_tree_members(5, Hops { beyond: [4].into(), ..Hops::new(&[2, 3], &[]) }).unwrap();
    assert_eq!(due(&root), None);
}

/// The root's word, on its session, that the tree serves the member from this counter on.
fn serve(members: &Members, from: u64) {
    let session = members.root.session_to(2).unwrap();
    let (anchor, _) = members.root.tree(5).unwrap().anchor_now(NOW_NS);
    let word = Anchor { counter: from - 1, first_counter: from, ..anchor };
    assert_eq!(receive(&members.member, &seal(&session, KIND_ANCHOR, &word.emit()), endpoint(1)), Ok(None));
}

/// The member takes a datagram of the tree, as a subscriber or as a relay does.
fn take_or_relay(members: &Members, relays: bool, datagram: &[u8]) -> Result<(), Reason> {
    if relays {
        return relay(&members.member, datagram).unwrap().map(|_| ());
    }
    members.take(datagram).map(|_| ())
}

#[test]
fn who_had_copies_takes_nothing_by_the_tree_while_it_has_a_route_until_its_root_says_so() {
    for place in [leaf(), relaying(&[3])] {
        let relays = place.relays();
        let members = Members::new(place);
        let take = |datagram: &[u8]| take_or_relay(&members, relays, datagram);
        assert_eq!(take(&members.genuine()), Ok(()));
        members.member.set_node_route(1, 3).unwrap();
        let copied: Vec<_> = (0..5).map(|_| members.genuine()).collect();
        assert_eq!(take(&copied[0]), Err(Reason::TreeRpf), "who writes the root's address is not the root");
        serve(&members, 7);
        for old in &copied {
            assert_eq!(take(old), Err(Reason::TreeReplay), "it came as a copy");
        }
        let late: Vec<_> = (0..2).map(|_| members.genuine()).collect();
        assert_eq!(take(&late[1]), Ok(()));
        serve(&members, 7);
        assert_eq!(take(&late[0]), Ok(()), "what overtook the word is no replay");
        members.member.set_node_route(1, 4).unwrap();
        assert_eq!(take(&members.genuine()), Err(Reason::TreeRpf), "that was before the path was lost again");
        members.member.remove_node_route(1);
        assert_eq!(take(&members.genuine()), Ok(()));
    }
}

#[test]
fn who_takes_its_path_again_before_its_root_does_waits_for_the_word_of_that_and_not_for_ever() {
    for says_so in [true, false] {
        let members = Members::new(leaf());
        let take = |datagram: &[u8], now_ns| receive_tree_at(&members.member, datagram, NOW_NS + now_ns).map(|_| ());
        members.member.set_node_route(1, 3).unwrap();
        let copy = seal(&members.root.session_to(2).unwrap(), KIND_FRAME, FRAME);
        assert_eq!(receive(&members.member, &copy, NO_PATH), Ok(Some(FRAME.to_vec())));
        members.member.remove_node_route(1);
        assert_eq!(take(&members.genuine(), 0), Err(Reason::TreeRpf), "copies go on");
        assert_eq!(take(&members.genuine(), 3_999_999_999), Err(Reason::TreeRpf));
        if says_so {
            serve(&members, 3);
        }
        let came = take(&members.genuine(), 3_999_999_999);
        assert_eq!(came, if says_so { Ok(()) } else { Err(Reason::TreeRpf) });
        assert_eq!(take(&members.genuine(), 4_000_000_000), Ok(()));
    }
}

#[test]
fn nobody_but_the_root_says_from_which_counter_on_the_tree_serves_a_node() {
    let members = Members::new(TreePlace { backup: 3, ..leaf() });
    let (session, _) = join(&tables(3), &members.member, 30, Aead::Aes256Gcm);
    let word = Anchor { first_counter: 1 << 20, ..Anchor::at(NAME, KEY_ID, 1) };
    receive(&members.member, &seal(&session, KIND_ANCHOR, &word.emit()), endpoint(3)).unwrap();
    assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()));
}

#[test]
fn who_gets_copies_again_learns_the_last_counter_that_it_gets_by_the_tree_again_and_again_and_not_for_ever() {
    let members = Members::new(leaf());
    let root = members.root.tree(5).unwrap();
    let with_beyond = || Hops { beyond: [3, 4].into(), ..Hops::new(&[2], &[]) };
    members.root.set_tree_members(5, with_beyond()).unwrap();
    (0..100).for_each(|_| drop((due(&root), members.genuine())));
    members.root.set_tree_members(5, Hops::new(&[2], &[3])).unwrap();
    let mut learned = Vec::new();
    for gone in 0..2 * LAST_RANGE {
        if let Some((_, served)) = due(&root) {
            assert_eq!(served, [(3, CounterRange { first: 0, last: 100 })], "node 4 is no member any more");
            learned.push(gone);
        }
        members.genuine();
    }
    assert_eq!(learned, [0, 1, 3, 7, 15, 31, 63]);
    members.root.set_tree_members(5, with_beyond()).unwrap();
    assert_eq!(due(&root), Some((228, vec![(3, from(229)), (4, from(229))])));
}

#[test]
fn what_comes_as_a_copy_again_is_no_more_taken_by_the_tree() {
    for place in [leaf(), relaying(&[3])] {
        let relays = place.relays();
        let members = Members::new(place);
        let take = |datagram: &[u8]| take_or_relay(&members, relays, datagram);
        let word = |range: CounterRange| {
            let session = members.root.session_to(2).unwrap();
            let word = Anchor::at(NAME, KEY_ID, 0).with(range).emit();
            assert_eq!(receive(&members.member, &seal(&session, KIND_ANCHOR, &word), endpoint(1)), Ok(None));
        };
        let datagrams: Vec<_> = (0..9).map(|_| members.genuine()).collect();
        assert_eq!(take(&datagrams[0]), Ok(()));
        word(CounterRange { first: 0, last: 3 });
        assert_eq!(take(&datagrams[2]), Ok(()), "it was on its way");
        assert_eq!(take(&datagrams[3]), Err(Reason::TreeReplay), "it came as a copy");
        word(from(6));
        assert_eq!(take(&datagrams[4]), Err(Reason::TreeReplay), "it came as a copy");
        assert_eq!(take(&datagrams[5]), Ok(()));
        word(CounterRange { first: 0, last: 3 });
        assert_eq!(take(&datagrams[6]), Ok(()), "a late word is of before");
    }
}

#[test]
fn copies_under_a_key_end_the_one_before_at_once() {
    let members = Members::new(leaf());
    let old: Vec<_> = (0..2).map(|_| members.genuine()).collect();
    rotate(&members, KEY_ID + 1);
    serve(&members, 1);
    assert_eq!(members.take(&old[0]), Ok(FRAME.to_vec()), "it was served when the next one came into use");
    members.genuine();
    serve(&members, 2);
    assert_eq!(members.take(&old[1]), Err(Reason::TreeKeyUnknown));
    assert_eq!(members.take(&members.genuine()), Ok(FRAME.to_vec()));
}

#[test]
fn an_anchor_of_before_its_later_fields_is_read() {
    let anchor = Anchor { in_use_ms: 7, first_counter: 9, answers: 3, last_counter: 5, ..Anchor::at(NAME, KEY_ID, 1) };
    let bytes = [&[1, 0, 0, 0, 5][..], &EPOCH.to_be_bytes(), &KEY_ID.to_be_bytes()].concat();
    assert_eq!(anchor.emit()[3..16], bytes);
    let later = [0, 0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5];
    assert_eq!(anchor.emit()[16..], later);
    assert_eq!(Anchor::parse(&anchor.emit()), Ok(anchor));
    let anchor = Anchor { last_counter: 0, ..anchor };
    assert_eq!(Anchor::parse(&anchor.emit()[..42]), Ok(anchor));
    let anchor = Anchor { answers: 0, ..anchor };
    assert_eq!(Anchor::parse(&anchor.emit()[..34]), Ok(anchor));
    assert_eq!(Anchor::parse(&anchor.emit()[..26]), Ok(Anchor { first_counter: 0, ..anchor }));
    assert_eq!(Anchor::parse(&anchor.emit()[..24]), Ok(Anchor { first_counter: 0, in_use_ms: 0, ..anchor }));
}
