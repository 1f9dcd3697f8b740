//! Links that would run through themselves.

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::datagram::{FINAL, KIND_FRAME};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame::FrameKind;
use treecast_core::mac::{prefix, MacKey, HANDSHAKE_LEN};
use treecast_core::reason::Reason;

const HERE: [u8; 4] = [10, 99, 1, 254];
const PEER: [u8; 4] = [192, 0, 2, 2]; // as `common::endpoint` has node 2
const ELSEWHERE: [u8; 4] = [10, 99, 2, 1];

/// A UDP datagram between ports 7700, in a frame to one MAC.
fn udp(destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let header = [&7700u16.to_be_bytes()[..], &7700u16.to_be_bytes(), &length.to_be_bytes(), &[0, 0]].concat();
    ipv4(HERE, destination, 17, &[&header[..], payload].concat())
}

fn handshake(network_key: &[u8; 32]) -> Vec<u8> {
    let unsigned = [&prefix(FINAL)[..], &[0; HANDSHAKE_LEN - 20]].concat();
    let mac = MacKey::new(network_key).mac(&unsigned);
    [unsigned, mac.to_vec()].concat()
}

fn reason(node: &ForwardingTables, frame: &[u8]) -> Option<Reason> {
    classify(node, 0, frame, 1, NOW_NS).destination.expect("not Python's").err()
}

fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0x00, 0x07], &frame[12..]].concat()
}

#[test]
fn a_handshake_of_this_network_does_not_enter_the_overlay_and_another_network_s_does() {
    let node = tables(1);
    let own = udp(ELSEWHERE, &handshake(&NETWORK_KEY));
    assert!(matches!(facts(&own).unwrap().kind, FrameKind::Encapsulated(_)));
    for frame in [tagged(&own), own] {
        assert_eq!(reason(&node, &frame), Some(Reason::RecursiveEncapsulation));
    }
    let bytes = [&[30, 20, 30, 20, 4, 120, 0, 0][..], &handshake(&NETWORK_KEY)].concat();
    assert_eq!(reason(&node, &ipv6([0xFD; 16], 17, &bytes)), Some(Reason::RecursiveEncapsulation));
    let other = udp(ELSEWHERE, &handshake(b"the key of some other network..."));
    assert_eq!(reason(&node, &other), Some(Reason::UnknownUnicast));
}

#[test]
fn sealed_datagrams_to_a_peer_do_not_enter_the_overlay_and_the_like_to_others_do() {
    let (node, other) = (tables(1), tables(2));
    let (session, _) = join(&node, &other, 10, Aead::Aes256Gcm);
    let sealed = seal(&session, KIND_FRAME, &ethernet([0xFF; 6], 0x88B6, b""));
    assert_eq!(reason(&node, &udp(PEER, &sealed)), Some(Reason::RecursiveEncapsulation));
    assert_eq!(reason(&node, &udp(ELSEWHERE, &sealed)), Some(Reason::UnknownUnicast));
    let came_back = ipv4(PEER, HERE, 17, &udp(HERE, &sealed)[34..]);
    assert_eq!(reason(&node, &came_back), Some(Reason::RecursiveEncapsulation), "in whichever direction");
    assert_eq!(reason(&node, &udp(PEER, b"a host's own affair")), Some(Reason::UnknownUnicast));
    let cut_off = ipv4(HERE, PEER, 17, &[30, 20, 30, 20, 0, 9, 0, 0, 0xC4]);
    assert_eq!(reason(&node, &cut_off), Some(Reason::RecursiveEncapsulation), "an address is enough");
}
