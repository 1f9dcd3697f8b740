//! Tables of handshakes and of forgotten peers when they are full, as docs/limits.md says.

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::datagram::{INIT, RESPONSE};
use treecast_core::expected_answers::ExpectedAnswers;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::handshake::SessionKeys;
use treecast_core::limits::{MAX_EXPECTED_ANSWERS, MAX_PEERS};
use treecast_core::reason::Reason;
use treecast_core::session::SessionParameters;

/// The head of an INIT of this index.
fn init(index: u32) -> Vec<u8> {
    [&[INIT, 0, 0, 0][..], &index.to_be_bytes()].concat()
}

/// The head of a RESPONSE to it.
fn response(index: u32) -> Vec<u8> {
    [&[RESPONSE, 0, 0, 0, 0, 0, 0, 0][..], &index.to_be_bytes()].concat()
}

#[test]
fn of_more_handshakes_than_there_is_room_for_the_older_half_is_unknown_and_the_newer_half_is_answered() {
    let (expected, half) = (ExpectedAnswers::default(), u32::try_from(MAX_EXPECTED_ANSWERS).unwrap());
    let check = |index| expected.check(&response(index), NOW_NS);
    (0..=half).for_each(|index| expected.note(&init(index), NOW_NS));
    assert_eq!([0, half - 1, half].map(check), [Ok(()); 3]);
    (half + 1..=2 * half).for_each(|index| expected.note(&init(index), NOW_NS));
    assert_eq!([0, half - 1].map(check), [Err(Reason::HandshakeUnknown); 2]);
    assert_eq!([half, 2 * half - 1, 2 * half].map(check), [Ok(()); 3]);
}

/// A session with this peer, by which one datagram has come.
fn hear_of(node: &ForwardingTables, peer: u32) {
    let (endpoint, aead) = (endpoint(peer as u8), Aead::ChaCha20Poly1305);
    let parameters = SessionParameters { index: peer, remote_index: peer, peer, endpoint, aead, confirmed: true };
    let keys = SessionKeys { seal: Default::default(), open: Default::default() };
    node.install_session(parameters, &keys, NOW_NS).unwrap();
    node.session(peer).unwrap().traffic.rx.add(1, 100);
}

#[test]
fn the_traffic_of_so_many_forgotten_peers_is_remembered_and_that_of_no_further_one() {
    let (node, most) = (tables(1), u32::try_from(MAX_PEERS).unwrap());
    let (first, last, further) = (2, most + 1, most + 2);
    let come_and_go = |peer| {
        hear_of(&node, peer);
        node.forget_peer(peer);
    };
    (first..=further).for_each(come_and_go);
    let remembered: Vec<u32> = node.traffic().iter().map(|(peer, _)| *peer).collect();
    assert!(remembered.iter().copied().eq(first..=last), "{} are remembered", remembered.len());
    hear_of(&node, first);
    let (peer, (_, received)) = node.traffic()[0];
    assert_eq!((peer, received), (first, (2, 200)), "who comes back counts on");
    come_and_go(further);
    assert_eq!(node.traffic().last().map(|(peer, _)| *peer), Some(further), "and has left its place to another");
}
