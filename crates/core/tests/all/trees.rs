//! Trees of other roots: which datagrams are theirs, where they go, which offers of keys are kept.

use std::sync::Arc;

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Received, Recent};
use treecast_core::datagram::KIND_SENDER_KEY;
use treecast_core::downstream_stream::KeyOffer;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;
use treecast_core::root_tree::MAX_CONTEXT_LEN;
use treecast_core::session::Session;

const FRAME: &[u8] = &[7; 60];
/// The most offers of one root that wait.
const OFFERS: u32 = 4096;

#[test]
fn a_wrong_tree_tag_is_refused_at_a_leaf_before_anything_is_opened() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    let mut datagram = seal_tree(&root, FRAME);
    *datagram.last_mut().unwrap() ^= 1;
    assert_eq!(receive_tree(&two, &datagram), Err(Reason::TreeTag));
    *datagram.last_mut().unwrap() ^= 1;
    assert_eq!(receive_tree(&two, &datagram), Ok(FRAME.to_vec()));
}

#[test]
fn a_node_that_relays_one_tree_passes_nothing_of_another_on() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    tree(&one, &two, 5, relaying(&[3]));
    let (root, _) = tree(&one, &two, 6, leaf());
    assert!(two.relays());
    let datagram = seal_tree(&root, FRAME);
    assert!(relay(&two, &datagram).is_none());
    assert_eq!(receive_tree(&two, &datagram), Ok(FRAME.to_vec()));
    assert_eq!(receive_tree(&two, &datagram), Err(Reason::TreeReplay));
}

#[test]
fn a_tree_of_a_root_that_was_restarted_is_another_tree_though_its_name_is_the_same() {
    let (one, two, again) = (tables(1), tables(2), tables(1));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, name) = tree(&one, &two, 5, leaf());
    let (first, second) = (seal_tree(&root, FRAME), seal_tree(&root, FRAME));
    assert_eq!(receive_tree(&two, &first), Ok(FRAME.to_vec()));
    join(&again, &two, 20, Aead::Aes256Gcm);
    again.create_tree(5, EPOCH, KEY_ID, secrets(1, 2)).unwrap();
    take_key(&again, &two, name, KEY_ID);
    take_place(&again, &two, name, &leaf());
    let anew = seal_tree(&again.tree(5).unwrap(), FRAME);
    assert_eq!(receive_tree(&two, &anew), Ok(FRAME.to_vec()), "its counter begins again, and so does the window");
    assert_eq!(receive_tree(&two, &second), Err(Reason::TreeTag));
}

#[test]
fn a_datagram_is_sent_on_neither_to_its_root_nor_to_oneself() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (_, name) = tree(&one, &two, 5, leaf());
    for children in [[1, 3], [2, 3]] {
        assert_eq!(give_place(&one, &two, name, &relaying(&children)), Err(Reason::TreeStateMalformed));
    }
    assert_eq!(offered_places(&two), []);
    assert!(!two.relays());
}

/// An offer of a key that was not offered before.
fn offer(root: &ForwardingTables, session: &Arc<Session>, key_id: u32) -> Vec<u8> {
    root.make_key(5, key_id, EPOCH + key_id, secrets(9, 0)).unwrap();
    seal(session, KIND_SENDER_KEY, &root.offer(5, key_id, NO_KEY_BEFORE, b"\xc0", NOW_NS).unwrap())
}

#[test]
fn offers_of_one_root_are_bounded_and_leave_room_for_those_of_another() {
    let (one, two, three) = (tables(1), tables(2), tables(3));
    let (of_one, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let (of_three, _) = join(&three, &two, 30, Aead::Aes256Gcm);
    for root in [&one, &three] {
        root.create_tree(5, EPOCH, KEY_ID, secrets(9, 0)).unwrap();
    }
    let at = |milliseconds: u32, mut datagram: Vec<u8>| {
        two.events.drain(10_000, || {});
        let now_ns = NOW_NS + u64::from(milliseconds) * 1_000_000;
        two.receive_session(&mut datagram, endpoint(1), now_ns, &mut Recent::default())
    };
    let later = |datagram| at(10_000, datagram);
    for number in 0..OFFERS {
        assert!(matches!(at(number, offer(&one, &of_one, 100 + number)), Ok(Received::Done)));
    }
    assert_eq!(later(offer(&one, &of_one, 99)).err(), Some(Reason::KeyOffersFull));
    assert!(matches!(later(offer(&one, &of_one, 100)), Ok(Received::Done)), "one that waits may be repeated");
    assert!(matches!(later(offer(&three, &of_three, 99)), Ok(Received::Done)));
}

#[test]
fn the_context_of_an_offer_has_its_limit() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    tree(&one, &two, 5, leaf());
    let mut longest = one.offer(5, KEY_ID, NO_KEY_BEFORE, &[1; MAX_CONTEXT_LEN], NOW_NS).unwrap().to_vec();
    assert_eq!(KeyOffer::parse(1, &longest, NOW_NS).unwrap().context, [1; MAX_CONTEXT_LEN]);
    longest.push(1);
    assert_eq!(KeyOffer::parse(1, &longest, NOW_NS).err(), Some(Reason::KeyMalformed));
    assert!(one.offer(5, KEY_ID, NO_KEY_BEFORE, &[1; MAX_CONTEXT_LEN + 1], NOW_NS).is_err());
}
