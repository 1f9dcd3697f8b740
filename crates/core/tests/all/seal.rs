//! Nothing but the genuine, fresh datagram opens: bit flips, truncation, replays, other sessions, reflections.

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::datagram::{Inner, TreeName, KIND_CONTROL, KIND_FRAME, KIND_HANDSHAKE};
use treecast_core::datagram::{KIND_PROBE, KIND_PROBE_REPLY, KIND_SENDER_KEY};
use treecast_core::events::Event;
use treecast_core::fingerprints::Probe;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::handshake::Handshake;
use treecast_core::reason::Reason;
use treecast_core::session::{Session, SESSION_BODY_OFFSET, SESSION_LIMIT};

const FRAME: &[u8] = b"\x02\x54\0\0\0\x02\x02\x54\0\0\0\x01\x08\0and then some payload";

fn aeads() -> impl Strategy<Value = Aead> {
    prop_oneof![Just(Aead::Aes256Gcm), Just(Aead::ChaCha20Poly1305)]
}

proptest! {
    #[test]
    fn a_session_datagram_opens_once(aead in aeads(), body in prop::collection::vec(any::<u8>(), 14..=1416)) {
        let (one, two) = (tables(1), tables(2));
        let (session, _) = join(&one, &two, 10, aead);
        let datagram = seal(&session, KIND_FRAME, &body);
        prop_assert_eq!(receive(&two, &datagram, endpoint(1)), Ok(Some(body)));
        prop_assert_eq!(receive(&two, &datagram, endpoint(1)), Err(Reason::SessionReplay));
    }

    #[test]
    fn a_flipped_bit_or_a_cut_opens_nothing(aead in aeads(), at in 0usize..80, bit in 0u8..8, cut in 1usize..80) {
        let (one, two) = (tables(1), tables(2));
        let (session, _) = join(&one, &two, 10, aead);
        let datagram = seal(&session, KIND_FRAME, FRAME);
        let mut flipped = datagram.clone();
        let at = at % flipped.len();
        flipped[at] ^= 1 << bit;
        prop_assert!(receive(&two, &flipped, endpoint(1)).is_err());
        let cut = cut.min(datagram.len());
        prop_assert!(receive(&two, &datagram[..datagram.len() - cut], endpoint(1)).is_err());
        prop_assert!(receive(&two, &datagram, endpoint(1)).is_ok());
    }

    #[test]
    fn a_tree_datagram_opens_once(body in prop::collection::vec(any::<u8>(), 14..=1396)) {
        let (one, two) = (tables(1), tables(2));
        join(&one, &two, 10, Aead::Aes256Gcm);
        let (root, _) = tree(&one, &two, 5, leaf());
        let datagram = seal_tree(&root, &body);
        prop_assert_eq!(receive_tree(&two, &datagram), Ok(body));
        prop_assert_eq!(receive_tree(&two, &datagram), Err(Reason::TreeReplay));
    }

    #[test]
    fn a_tree_datagram_with_a_flipped_bit_or_a_cut_opens_nothing(at in 0usize..90, bit in 0u8..8, cut in 1usize..90) {
        let (one, two) = (tables(1), tables(2));
        join(&one, &two, 10, Aead::Aes256Gcm);
        let (root, _) = tree(&one, &two, 5, leaf());
        let datagram = seal_tree(&root, FRAME);
        let mut flipped = datagram.clone();
        let at = at % flipped.len();
        flipped[at] ^= 1 << bit;
        prop_assert!(receive_tree(&two, &flipped).is_err());
        let cut = cut.min(datagram.len());
        prop_assert!(receive_tree(&two, &datagram[..datagram.len() - cut]).is_err());
        prop_assert!(receive_tree(&two, &datagram).is_ok());
    }
}

#[test]
fn a_session_that_has_sealed_all_that_its_key_may_seals_no_more() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let seal_one = || session.seal(Inner { kind: KIND_FRAME, checksum: None }, FRAME.len(), &mut [0; 200]);
    session.set_sealed(SESSION_LIMIT - 1);
    assert!(seal_one().is_ok(), "the last one");
    for _ in 0..2 {
        assert_eq!(seal_one(), Err(Reason::SessionExhausted));
    }
    assert_eq!(session.sealed(), SESSION_LIMIT, "no counter is used up by what is refused");
    session.set_sealed(1);
    assert_eq!(seal_one(), Err(Reason::SessionExhausted), "no counter comes again");
}

#[test]
fn a_reflected_session_datagram_opens_nothing() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let mut datagram = seal(&session, KIND_FRAME, FRAME);
    assert_eq!(receive(&one, &datagram, endpoint(2)), Err(Reason::SessionUnknown));
    datagram[4..8].copy_from_slice(&10u32.to_be_bytes()); // even addressed to the sender's own session
    assert_eq!(receive(&one, &datagram, endpoint(2)), Err(Reason::SessionAuth));
}

#[test]
fn a_reflected_tree_datagram_opens_nothing() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    assert_eq!(receive_tree(&one, &seal_tree(&root, FRAME)), Err(Reason::TreeReflected));
}

#[test]
fn a_datagram_of_one_session_does_not_open_in_another() {
    let (one, two) = (tables(1), tables(2));
    let (first, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    join(&one, &two, 20, Aead::Aes256Gcm);
    let mut datagram = seal(&first, KIND_FRAME, FRAME);
    datagram[4..8].copy_from_slice(&21u32.to_be_bytes());
    assert_eq!(receive(&two, &datagram, endpoint(1)), Err(Reason::SessionAuth));
}

#[test]
fn the_newest_confirmed_session_is_sent_on_and_the_oldest_of_four_is_gone() {
    let (one, two) = (tables(1), tables(2));
    let (first, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    for index in [20, 30, 40] {
        join(&one, &two, index, Aead::Aes256Gcm);
    }
    assert_eq!(one.session_to(2).unwrap().index, 40);
    assert_eq!(receive(&two, &seal(&first, KIND_FRAME, FRAME), endpoint(1)), Err(Reason::SessionUnknown));
    one.remove_session(40);
    assert_eq!(one.session_to(2).unwrap().index, 30);
}

#[test]
fn a_probe_is_answered_and_its_reply_believed_once() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    let value = here.probe(here.path.probed(), NOW_NS - 3_000_000);
    let mut probe = seal(&here, KIND_PROBE, &Probe { value, fingerprint: 0 }.emit());
    let Ok(Received::Answer(session, to, kind, value_received)) =
        two.receive_session(&mut probe, endpoint(1), NOW_NS, &mut Recent::default())
    else {
        panic!("a probe")
    };
    assert_eq!((session.index, to, kind, value_received), (11, endpoint(1), KIND_PROBE_REPLY, value));
    let reply = seal(&there, KIND_PROBE_REPLY, &Probe { value: value_received, fingerprint: 0 }.emit());
    assert_eq!(receive(&one, &reply, endpoint(2)), Ok(None));
    assert_eq!(here.rtt_ms(), Some(3.0));
    let again = seal(&there, KIND_PROBE_REPLY, &Probe { value: value_received, fingerprint: 0 }.emit());
    assert_eq!(receive(&one, &again, endpoint(2)), Err(Reason::ProbeUnexpected));
}

#[test]
fn control_messages_reach_python_and_bad_plaintexts_have_reasons() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let get = |datagram: Vec<u8>| receive(&two, &datagram, endpoint(1));
    assert_eq!(get(seal(&session, KIND_CONTROL, b"message")), Ok(None));
    assert_eq!(get(seal(&session, KIND_CONTROL, &[0; 1345])), Err(Reason::ControlTooBig));
    assert_eq!(get(seal(&session, 99, b"")), Err(Reason::KindUnknown));
    assert_eq!(get(seal(&session, KIND_FRAME, b"short")), Err(Reason::FrameShort));
    assert_eq!(get(seal(&session, KIND_PROBE, &[0; 23])), Err(Reason::InnerMalformed));
    let events = two.events.drain(10, || {});
    assert_eq!(events.last(), Some(&Event::Control { peer: 1, session: 11, data: b"message".to_vec() }));
}

#[test]
fn handshakes_in_a_session_need_a_mac_and_are_limited_in_each_session_alone() {
    let two = tables(2);
    let [session, other] = [(1, 10), (3, 20)].map(|(node, index)| join(&tables(node), &two, index, Aead::Aes256Gcm).0);
    let init = Handshake::initiate(&[1; 32], &network(), 5, [2; 32]).unwrap().init_datagram().unwrap().to_vec();
    let get = |session: &Session, body: &[u8]| receive(&two, &seal(session, KIND_HANDSHAKE, body), endpoint(1));
    assert_eq!(get(&session, &init), Ok(None));
    let event = Event::SessionHandshake { peer: 1, session: 11, data: init.clone() };
    assert_eq!(two.events.drain(10, || {}).last(), Some(&event));
    assert_eq!(get(&session, &[&init[..100], &[0], &init[101..]].concat()), Err(Reason::HandshakeMac));
    assert_eq!(get(&session, &[0xC6; 56]), Err(Reason::HandshakeMalformed), "a session needs no cookies");
    assert_eq!(get(&session, b""), Err(Reason::DatagramShort));
    let taken = (1..100).take_while(|_| get(&session, &init) == Ok(None)).count();
    assert_eq!((taken, get(&session, &init)), (15, Err(Reason::HandshakeRateSession)));
    assert_eq!(get(&other, &init), Ok(None));
}

#[test]
fn what_no_underlay_carries_is_too_big() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let mut buffer = vec![0; 10_000];
    let inner = Inner { kind: KIND_FRAME, checksum: None };
    assert_eq!(session.seal(inner, 8916, &mut buffer), Ok(8952));
    assert_eq!(session.seal(inner, 8917, &mut buffer), Err(Reason::TooBig));
    assert_eq!(session.seal(inner, 100, &mut buffer[..SESSION_BODY_OFFSET]), Err(Reason::TooBig));
    assert_eq!(session.sealed(), 1);
}

#[test]
fn a_relay_passes_a_datagram_on_once_and_needs_the_tree_tag() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, name) = tree(&one, &two, 5, relaying(&[3]));
    assert!(two.relays());
    let datagram = seal_tree(&root, FRAME);
    let mut forged = datagram.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(relay(&two, &forged).unwrap().unwrap_err(), Reason::TreeTag);
    let (tree, next_hops) = relay(&two, &datagram).unwrap().unwrap();
    assert_eq!(**next_hops, [3]);
    assert_eq!(relay(&two, &datagram).unwrap().unwrap_err(), Reason::TreeReplay);
    let mut recent = Recent::default();
    let (header, _) = two.receive_tree(&datagram, endpoint(1).address, NOW_NS, &mut recent).unwrap();
    let Opened::Frame(frame) = two.open_tree(&tree, &header, &mut datagram.clone(), true, NOW_NS).unwrap() else {
        panic!()
    };
    assert_eq!(frame.length, FRAME.len());
    two.end_relaying(name.stream_name());
    assert!(!two.relays() && relay(&two, &datagram).is_none());
}

/// The next key of tree 5 and its tree, of the epoch after as many more, are made; the member takes the tree.
fn make_next(one: &ForwardingTables, two: &ForwardingTables, key_id: u32) -> TreeName {
    let name = TreeName { root: 1, stream: 5, epoch: EPOCH + key_id };
    one.make_key(5, key_id, name.epoch, secrets(9, key_id as u8)).unwrap();
    take_place(one, two, name, &leaf());
    name
}

#[test]
fn a_new_key_is_taken_and_the_previous_still_opens() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    let under_first = seal_tree(&root, FRAME);
    let name = make_next(&one, &two, 4);
    let still_first = seal_tree(&root, FRAME);
    give_key(&one, &two, name, 4);
    one.use_key(5, 4).unwrap();
    let under_second = seal_tree(&root, FRAME);
    assert_eq!(receive_tree(&two, &under_second), Err(Reason::TreeKeyUnknown));
    assert_eq!(two.accept_key(name.stream_name(), 4, None), Ok(true));
    for datagram in [under_first, still_first, under_second] {
        assert_eq!(receive_tree(&two, &datagram), Ok(FRAME.to_vec()));
    }
    let next = make_next(&one, &two, 5);
    let under_second = seal_tree(&root, FRAME);
    take_key(&one, &two, next, 5);
    assert_eq!(receive_tree(&two, &under_second), Ok(FRAME.to_vec()));
}

#[test]
fn an_offer_that_comes_late_displaces_no_newer_key() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    let session = one.session_to(2).unwrap();
    let name = make_next(&one, &two, 4);
    let late = one.offer(5, 4, NO_KEY_BEFORE, b"\xc0", NOW_NS).unwrap();
    let mut datagrams = Vec::new();
    for key_id in [5, 6] {
        let next = make_next(&one, &two, key_id);
        take_key(&one, &two, next, key_id);
        one.use_key(5, key_id).unwrap();
        datagrams.push(seal_tree(&root, FRAME));
    }
    receive(&two, &seal(&session, KIND_SENDER_KEY, &late), endpoint(1)).unwrap();
    assert_eq!(two.accept_key(name.stream_name(), 4, None), Ok(false), "what is not held is not acknowledged");
    for datagram in datagrams {
        assert_eq!(receive_tree(&two, &datagram), Ok(FRAME.to_vec()));
    }
}

#[test]
fn datagrams_before_the_offer_are_replays_to_a_new_subscriber() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    one.create_tree(5, EPOCH, KEY_ID, secrets(9, 0)).unwrap();
    let root = one.tree(5).unwrap();
    let before = seal_tree(&root, FRAME);
    let name = root.members.load().tree();
    take_key(&one, &two, name, KEY_ID);
    take_place(&one, &two, name, &leaf());
    let after = seal_tree(&root, FRAME);
    assert_eq!(receive_tree(&two, &before), Err(Reason::TreeReplay));
    assert_eq!(receive_tree(&two, &after), Ok(FRAME.to_vec()));
}
