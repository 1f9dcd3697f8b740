//! A key of a stream carries the frames that it is for: who holds it makes none of another group, VLAN or source.

use std::net::IpAddr;

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{IngressNode, Opened, Proof, Recent};
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::key_flow::KeyFlow;
use treecast_core::prefixes::Prefix;
use treecast_core::reason::Reason;

const ANOTHER: Result<(), Reason> = Err(Reason::FrameOfAnotherFlow);
const GROUP: [u8; 4] = [239, 1, 1, 1];
const SOURCE: [u8; 4] = [10, 0, 0, 1];

fn of(first: [u8; 4], length: u8, source: Option<IpAddr>) -> KeyFlow {
    KeyFlow { vlan: 0, groups: Prefix { first: first.into(), length }, source }
}

fn udp(group: [u8; 4]) -> Vec<u8> {
    ipv4(SOURCE, group, 17, &[0; 8])
}

fn check(frame: &[u8], flow: Option<KeyFlow>) -> Result<(), Reason> {
    let (tables, signing_key) = (tables(2), signing_key(1).public());
    let root = CertifiedNode { bridge: true, carried: false, addresses: [].into(), signing_key, send_to: None };
    tables.certify_node(1, root).unwrap();
    let ingress = IngressNode { node: 1, proof: Proof::Shared(flow) };
    tables.check_source(&Frame::read(frame), ingress, &mut Recent::default())
}

#[test]
fn a_frame_is_of_the_group_the_vlan_and_the_source_of_its_key() {
    let mine = of(GROUP, 32, None);
    assert_eq!(check(&udp(GROUP), Some(mine)), Ok(()));
    assert_eq!(check(&udp([239, 1, 1, 2]), Some(mine)), ANOTHER);
    assert_eq!(check(&udp(GROUP), Some(KeyFlow { vlan: 7, ..mine })), ANOTHER);
    assert_eq!(check(&udp(GROUP), Some(KeyFlow { source: Some(SOURCE.into()), ..mine })), Ok(()));
    assert_eq!(check(&udp(GROUP), Some(KeyFlow { source: Some([10, 0, 0, 2].into()), ..mine })), ANOTHER);
    let wide = ipv6([0xFF, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 17, &[0; 8]);
    assert_eq!(check(&wide, Some(mine)), ANOTHER);
    assert_eq!(check(&wide, None), Ok(()));
}

#[test]
fn a_key_of_a_prefix_is_for_all_its_groups() {
    let mine = of([239, 1, 0, 0], 16, None);
    assert_eq!(check(&udp([239, 1, 200, 200]), Some(mine)), Ok(()));
    assert_eq!(check(&udp([239, 2, 0, 0]), Some(mine)), ANOTHER);
}

#[test]
fn the_flow_is_that_of_the_first_key_of_the_stream_that_was_taken() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (first, second) = (of(GROUP, 32, None), of([239, 9, 9, 9], 32, None));
    let (root, name) = tree(&one, &two, 5, leaf());
    for flow in [first, second] {
        give_key(&one, &two, name, KEY_ID);
        assert_eq!(two.accept_key(name.stream_name(), KEY_ID, Some(flow)), Ok(true));
    }
    let datagram = seal_tree(&root, &udp(GROUP));
    let (opened, _) = open_from(&two, 1, &datagram, NOW_NS).unwrap();
    let Opened::Frame(frame) = opened else { panic!("a frame: {opened:?}") };
    assert_eq!(frame.ingress, IngressNode { node: 1, proof: Proof::Shared(Some(first)) });
}
