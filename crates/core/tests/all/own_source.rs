//! Frames of the node's own machine from a bridge: those from addresses of the overlay go under the node's own MAC.

use crate::common::*;
use treecast_core::headers::Headers;
use treecast_core::offload::vnet::NEEDS_CSUM;
use treecast_core::offload::{checksum, VnetHeader};
use treecast_core::own_source::OwnSource;

const BRIDGE: [u8; 6] = [0x52, 0x54, 0, 0xFE, 0xDC, 0xBA];
const OWN: [u8; 6] = [2, 0x54, 0, 0, 1, 2];
const V4: [u8; 4] = [10, 99, 0, 1];
const V6: [u8; 16] = [0xFD, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const LAN_V4: [u8; 4] = [192, 0, 2, 1];
const LAN_V6: [u8; 16] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn own_source() -> OwnSource {
    OwnSource::new(0x102, BRIDGE, [V4.into(), V6.into()].into())
}

fn put_on(frame: Vec<u8>) -> Vec<u8> {
    put_on_by(&own_source(), 0, frame)
}

fn put_on_by(own_source: &OwnSource, flags: u8, mut frame: Vec<u8>) -> Vec<u8> {
    let headers = Headers::parse(&frame);
    own_source.put_on(&VnetHeader { flags, ..VnetHeader::default() }, &mut frame, headers);
    frame
}

fn from(mac: [u8; 6], mut frame: Vec<u8>) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac);
    frame
}

fn udp(source: [u8; 4]) -> Vec<u8> {
    from(BRIDGE, ipv4(source, [239, 1, 1, 1], 17, &[7; 30]))
}

fn arp(sender: [u8; 4]) -> Vec<u8> {
    let start = [0, 1, 8, 0, 6, 4, 0, 1];
    from(BRIDGE, ethernet([0xFF; 6], 0x0806, &[&start, &BRIDGE[..], &sender, &[0; 6], &[10, 99, 0, 2]].concat()))
}

/// A message of Neighbor Discovery, with a right checksum.
fn nd(source: [u8; 16], kind: u8, target: &[u8], options: &[u8]) -> Vec<u8> {
    let mut frame = ipv6(LAN_V6, 58, &[&[kind, 0, 0, 0, 0, 0, 0, 0], target, options].concat());
    frame[22..38].copy_from_slice(&source);
    let length = frame.len() - 54;
    let checksum = !checksum::add(checksum::pseudo_header(&frame[22..54], 58, length), checksum::sum(&frame[54..]));
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    from(BRIDGE, frame)
}

fn option(kind: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 1], &mac[..]].concat()
}

fn is_right(frame: &[u8]) -> bool {
    let sum = checksum::pseudo_header(&frame[22..54], 58, frame.len() - 54);
    checksum::add(sum, checksum::sum(&frame[54..])) == 0xFFFF
}

#[test]
fn packets_from_addresses_of_the_overlay_get_the_nodes_own_mac() {
    assert_eq!(put_on(udp(V4)), from(OWN, udp(V4)));
    let mut packet = from(BRIDGE, ipv6(LAN_V6, 17, &[7; 30]));
    packet[22..38].copy_from_slice(&V6);
    assert_eq!(put_on(packet.clone()), from(OWN, packet));
}

#[test]
fn what_is_from_elsewhere_stays() {
    let igmp = from(BRIDGE, ipv4(V4, [239, 1, 1, 1], 2, &[0x16, 0, 0, 0, 239, 1, 1, 1]));
    let tagged = [&udp(V4)[..12], &[0x81, 0, 0, 7], &udp(V4)[12..]].concat();
    let other = from([0x52, 0x54, 0, 0xFE, 0xDC, 0xBB], udp(V4));
    let of_the_lan = nd(LAN_V6, 135, &LAN_V6, &option(1, BRIDGE));
    let mut mld = from(BRIDGE, ipv6(LAN_V6, 0, &[58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0]));
    mld[22..38].copy_from_slice(&V6);
    let mut mld_behind_options = mld.clone();
    mld_behind_options[20] = 60; // destination options
    assert_eq!(put_on(mld_behind_options.clone()), mld_behind_options);
    let mut other_icmp = mld.clone();
    other_icmp[62] = 128;
    assert_eq!(put_on(other_icmp.clone()), from(OWN, other_icmp), "behind the same options");
    for frame in [udp(LAN_V4), arp(LAN_V4), igmp, mld, tagged, other, of_the_lan, ethernet([2; 6], 0x9000, &[0; 46])] {
        assert_eq!(put_on(frame.clone()), frame);
    }
}

#[test]
fn arp_of_an_address_of_the_overlay_names_the_nodes_own_mac() {
    let mut expected = from(OWN, arp(V4));
    expected[22..28].copy_from_slice(&OWN);
    assert_eq!(put_on(arp(V4)), expected);
    let mut of_another = arp(V4);
    of_another[22..28].copy_from_slice(&[3; 6]);
    assert_eq!(put_on(of_another.clone()), from(OWN, of_another), "what is not the bridge's is left alone");
}

#[test]
fn neighbour_discovery_names_the_nodes_own_mac_under_a_right_checksum() {
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    for (kind, target) in [(133, &[][..]), (135, &LAN_V6[..]), (136, &V6[..])] {
        for named in [1, 2] {
            let options = |mac| [&nonce[..], &option(named, mac)].concat();
            let before = nd(V6, kind, target, &options(BRIDGE));
            assert!(is_right(&before));
            let after = put_on(before);
            assert_eq!(after, from(OWN, nd(V6, kind, target, &options(OWN))), "{kind} {named}");
        }
    }
    let advertised = put_on(nd(LAN_V6, 136, &V6, &option(2, BRIDGE)));
    assert_eq!(advertised, from(OWN, nd(LAN_V6, 136, &V6, &option(2, OWN))), "speaks for its target");
    let redirect = nd(V6, 137, &V6, &option(2, BRIDGE));
    assert_eq!(put_on(redirect.clone()), from(OWN, redirect));
}

#[test]
fn a_partial_checksum_is_left_to_who_completes_it() {
    let before = nd(V6, 135, &LAN_V6, &option(1, BRIDGE));
    let after = put_on_by(&own_source(), NEEDS_CSUM, before.clone());
    assert_eq!(after[6..12], OWN);
    assert_eq!(after[80..86], OWN);
    assert_eq!(after[56..58], before[56..58]);
}

#[test]
fn whatever_is_cut_off_does_no_harm() {
    let options = [&option(1, BRIDGE)[..], &[1, 0, 9], &option(2, BRIDGE)].concat();
    for whole in [udp(V4), arp(V4), nd(V6, 135, &V6, &options), nd(V6, 136, &V6, &[1, 0]), nd(V6, 133, &[], &options)] {
        for length in 0..whole.len() {
            let cut = put_on(whole[..length].to_vec());
            assert_eq!(cut.len(), length);
        }
    }
}

#[test]
fn it_counts_while_the_addresses_are_on_a_bridge() {
    let tables = tables(0x102);
    assert!(tables.own_source().is_none());
    tables.set_bridge_mac(Some(BRIDGE), [V4.into()].into());
    assert_eq!(put_on_by(tables.own_source().as_deref().unwrap(), 0, udp(V4)), from(OWN, udp(V4)));
    tables.set_bridge_mac(None, [].into());
    assert!(tables.own_source().is_none());
}
