//! A node that subscribes to a stream again: its keys count on when the root confirms them, for who has left meanwhile may have them.

use crate::anchor_requests::answer_requests;
use crate::anchors::{Members, NAME};
use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::anchor::Anchor;
use treecast_core::datagram::{KIND_ANCHOR, KIND_SENDER_KEY};
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Hops, KeyBefore};

const SECOND_NS: u64 = 1_000_000_000;

/// The member subscribes again, a moment after it began; its keys are over in a second.
fn subscribe_again(members: &Members) {
    members.member.confirm_stream(NAME.stream_name(), Some(NOW_NS + SECOND_NS), NOW_NS);
}

fn take(members: &Members, after_ns: u64) -> Result<(), Reason> {
    receive_tree_at(&members.member, &members.genuine(), NOW_NS + after_ns).map(|_| ())
}

#[test]
fn keys_that_the_root_does_not_confirm_are_over_in_time() {
    for is_copied in [false, true] {
        let members = Members::new(leaf());
        if is_copied {
            members.root.set_tree_members(5, Hops::new(&[], &[2])).unwrap();
        }
        subscribe_again(&members);
        if is_copied {
            assert_eq!(answer_requests(&members), 1, "the tree does not serve it");
        }
        assert_eq!(take(&members, SECOND_NS - 1), Ok(()));
        assert_eq!(take(&members, SECOND_NS), Err(Reason::TreeKeyUnknown));
    }
}

#[test]
fn keys_that_the_root_confirms_or_offers_again_count_on() {
    for is_offered in [false, true] {
        let members = Members::new(leaf());
        subscribe_again(&members);
        if is_offered {
            let before = KeyBefore { key_id: 0, ends_ms: 0 };
            let offer = members.root.offer(5, KEY_ID, before, b"\xc0", NOW_NS).unwrap();
            let sealed = seal(&members.root.session_to(2).unwrap(), KIND_SENDER_KEY, &offer);
            receive(&members.member, &sealed, endpoint(1)).unwrap();
            assert_eq!(members.member.accept_key(NAME.stream_name(), KEY_ID, None), Ok(true));
        } else {
            assert_eq!(answer_requests(&members), 1);
        }
        assert_eq!(take(&members, 5 * SECOND_NS), Ok(()));
    }
}

#[test]
fn nobody_but_the_root_confirms_keys() {
    let members = Members::new(leaf());
    subscribe_again(&members);
    let (session, _) = join(&tables(3), &members.member, 30, Aead::Aes256Gcm);
    let word = Anchor { first_counter: 1, ..Anchor::at(NAME, KEY_ID, 0) };
    let sealed = seal(&session, KIND_ANCHOR, &word.emit());
    receive(&members.member, &sealed, endpoint(3)).unwrap();
    assert_eq!(take(&members, SECOND_NS), Err(Reason::TreeKeyUnknown));
}

#[test]
fn the_root_is_queried_again_until_it_has_confirmed_and_once_in_a_while() {
    let members = Members::new(leaf());
    let again = |after_ns| members.member.confirm_stream(NAME.stream_name(), None, NOW_NS + after_ns);
    again(0);
    assert_eq!(members.member.anchor_requests.take(), [], "no key is doubted");
    subscribe_again(&members);
    again(49_999_999);
    assert_eq!(members.member.anchor_requests.take().len(), 1);
    again(50_000_000);
    assert_eq!(answer_requests(&members), 1);
    again(200_000_000);
    assert_eq!(members.member.anchor_requests.take(), []);
    assert_eq!(take(&members, SECOND_NS), Ok(()));
}
