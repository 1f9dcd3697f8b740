//! Classification of frames, which no bytes can upset.

use std::net::IpAddr;

use crate::common::*;
use proptest::prelude::*;
use treecast_core::frame::FrameKind;
use treecast_core::reason::Reason;

const GROUP: [u8; 4] = [239, 1, 1, 1];
const SOURCE: [u8; 4] = [10, 0, 0, 1];
const REMOTE: [u8; 6] = [2, 0x54, 0, 0, 0, 2];
const SOURCE6: [u8; 16] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; // of `ipv6`

fn kind(frame: &[u8]) -> Result<FrameKind, Reason> {
    facts(frame).map(|facts| facts.kind)
}

fn group6(second: u8) -> [u8; 16] {
    [0xFF, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3]
}

#[test]
fn igmp_mld_and_group_addressed_arp_and_nd_are_punted() {
    assert_eq!(kind(&ipv4(SOURCE, [224, 0, 0, 22], 2, &[0x22; 8])), Ok(FrameKind::Punt));
    assert_eq!(kind(&ipv4(SOURCE, [10, 0, 0, 2], 2, &[0x16; 8])), Ok(FrameKind::Punt));
    assert_eq!(kind(&ethernet([0xFF; 6], 0x0806, &[0; 28])), Ok(FrameKind::Punt));
    for mld in [130, 131, 132, 143] {
        let router_alert = [58, 0, 5, 2, 0, 0, 1, 0, mld, 0, 0, 0];
        assert_eq!(kind(&ipv6(group6(2), 0, &router_alert)), Ok(FrameKind::Punt));
    }
    for of_routers in [151, 152, 153] {
        let discovery = [58, 0, 5, 2, 0, 0, 1, 0, of_routers, 20, 0, 0];
        assert_eq!(kind(&ipv6(group6(2), 0, &discovery)), Ok(FrameKind::Punt), "RFC 4286");
    }
    for nd in 133..=137 {
        assert_eq!(kind(&ipv6(group6(2), 58, &[nd, 0, 0, 0])), Ok(FrameKind::Punt));
    }
}

#[test]
fn arp_and_nd_to_one_mac_are_copied() {
    assert_eq!(kind(&ethernet(REMOTE, 0x0806, &[0; 28])), Ok(FrameKind::PuntUnicast(REMOTE)));
    assert_eq!(kind(&ipv6([0xFD; 16], 58, &[136, 0, 0, 0])), Ok(FrameKind::PuntUnicast(REMOTE)));
    assert_eq!(kind(&ipv6([0xFD; 16], 58, &[128, 0, 0, 0])), Ok(FrameKind::Unicast(REMOTE)));
}

#[test]
fn broadcast_and_link_local_groups_go_to_all_nodes() {
    assert_eq!(kind(&ipv4(SOURCE, [255; 4], 17, &[0; 8])), Ok(FrameKind::Broadcast));
    assert_eq!(kind(&ipv4(SOURCE, [224, 0, 0, 251], 17, &[0; 8])), Ok(FrameKind::Broadcast));
    assert_eq!(kind(&ipv6(group6(2), 17, &[0; 8])), Ok(FrameKind::Broadcast));
    assert_eq!(kind(&ethernet([0xFF; 6], 0x88B6, b"")), Ok(FrameKind::Broadcast));
}

#[test]
fn ipv6_groups_go_by_their_scope_whatever_their_flags() {
    for second in 0..=255 {
        let expected = match second & 0x0F {
            0 | 1 => Err(Reason::GroupScope),
            2 => Ok(FrameKind::Broadcast),
            _ => Ok(FrameKind::Group { group: group6(second).into(), source: SOURCE6.into() }),
        };
        assert_eq!(kind(&ipv6(group6(second), 17, &[0; 8])), expected, "ff{second:02x}::/16");
    }
}

#[test]
fn what_no_rule_claims_is_flooded_from_a_group_s_mac() {
    let ptp = [1, 0x1B, 0x19, 0, 0, 0];
    for (mac, ethertype) in [
        (ptp, 0x88F7),
        ([1, 0x0E, 0xCF, 0, 0, 0], 0x8892),    // PROFINET
        ([1, 0x0C, 0xCD, 1, 0, 1], 0x88B8),    // GOOSE
        ([0x91, 0xE0, 0xF0, 1, 0, 0], 0x22F0), // AVDECC
        ([9, 0, 0x2B, 0, 0, 5], 0x0053),       // IS-IS: a length, then LLC
        ([1, 0x80, 0xC2, 0, 0, 0x10], 0x88B6), // not one of the reserved sixteen
        (ptp, 0x88A8),                         // 802.1ad
        ([1, 0, 0x5E, 1, 1, 1], 0x88A8),
        (ptp, 0x88B5), // a beacon has a MAC of its own
    ] {
        assert_eq!(kind(&ethernet(mac, ethertype, &[0; 46])), Ok(FrameKind::Flood), "{ethertype:04x}");
        assert_eq!(kind(&ethernet([0xFF; 6], ethertype, &[0; 46])), Ok(FrameKind::Broadcast), "{ethertype:04x}");
        assert_eq!(kind(&ethernet(REMOTE, ethertype, &[0; 46])), Ok(FrameKind::Unicast(REMOTE)), "{ethertype:04x}");
    }
    let group = ipv4(SOURCE, GROUP, 17, &[0; 8]);
    let twice = [&group[..12], &[0x81, 0, 0, 7, 0x81, 0, 0, 8], &group[12..]].concat();
    assert_eq!(facts(&twice).map(|facts| (facts.vlan, facts.kind)), Ok((7, FrameKind::Flood)));
}

#[test]
fn an_ip_packet_at_the_mac_of_another_group_is_flooded() {
    let mut other_mac = ipv4(SOURCE, GROUP, 17, &[0; 8]);
    other_mac[5] ^= 1;
    assert_eq!(kind(&other_mac), Ok(FrameKind::Flood));
    let mut cluster = ipv4(SOURCE, [10, 0, 0, 9], 17, &[0; 8]); // NLB: a unicast address at a group's MAC
    cluster[..6].copy_from_slice(&[3, 0xBF, 10, 0, 0, 9]);
    assert_eq!(kind(&cluster), Ok(FrameKind::Flood));
    let mut other_mac = ipv6(group6(5), 17, &[0; 8]);
    other_mac[5] ^= 1;
    assert_eq!(kind(&other_mac), Ok(FrameKind::Flood));
}

#[test]
fn igmp_of_unknown_types_is_carried_as_any_packet() {
    let dvmrp = [0x13, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(kind(&ipv4(SOURCE, [224, 0, 0, 4], 2, &dvmrp)), Ok(FrameKind::Broadcast));
    assert_eq!(kind(&ipv4(SOURCE, [10, 0, 0, 2], 2, &dvmrp)), Ok(FrameKind::Unicast(REMOTE)));
    for known in [0x11, 0x12, 0x16, 0x17, 0x22, 0x30, 0x31, 0x32] {
        assert_eq!(kind(&ipv4(SOURCE, [224, 0, 0, 1], 2, &[known; 8])), Ok(FrameKind::Punt));
    }
}

#[test]
fn a_packet_port_takes_ip_groups_only() {
    let node = tables(1);
    node.renew_port(1, true);
    node.port(1).unwrap().set_forwarding(true);
    let why = |frame: &[u8]| match classify(&node, 1, frame, 1, NOW_NS).destination {
        Some(Err(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&ethernet([1, 0x1B, 0x19, 0, 0, 0], 0x88F7, &[0; 46])), Reason::PacketNotGroup);
    assert_eq!(why(&ethernet(REMOTE, 0x88F7, &[0; 46])), Reason::PacketNotGroup);
    assert_eq!(why(&ipv4(SOURCE, [224, 0, 0, 251], 17, &[0; 8])), Reason::NoBroadcastTree);
    assert_eq!(why(&ipv4(SOURCE, GROUP, 17, &[0; 8])), Reason::NoSubscriber);
}

#[test]
fn groups_have_their_addresses_and_vlan() {
    let frame = ipv4(SOURCE, GROUP, 17, &[0; 8]);
    assert_eq!(kind(&frame), Ok(FrameKind::Group { group: GROUP.into(), source: SOURCE.into() }));
    let tagged = [&frame[..12], &[0x81, 0x00, 0xB0, 0x07], &frame[12..]].concat();
    let facts = facts(&tagged).unwrap();
    assert_eq!((facts.vlan, Ok(facts.kind)), (7, kind(&frame)));
    let Ok(FrameKind::Group { group, .. }) = kind(&ipv6(group6(0x35), 17, &[0; 8])) else { panic!("a group") };
    assert_eq!(group, IpAddr::from(group6(0x35)));
}

#[test]
fn everything_else_has_a_named_reason() {
    assert_eq!(kind(&[0; 13]), Err(Reason::FrameShort));
    assert_eq!(kind(&ethernet([1, 0x80, 0xC2, 0, 0, 0], 0x0026, &[0; 40])), Err(Reason::MacReserved));
    assert_eq!(kind(&ethernet([1, 0x80, 0xC2, 0, 0, 14], 0x88CC, &[0; 40])), Err(Reason::MacReserved));
    let group = ethernet([1, 0x80, 0xC2, 0, 0, 1], 0x0800, &ipv4(SOURCE, GROUP, 17, &[0; 8])[14..]);
    assert_eq!(kind(&group), Err(Reason::MacReserved));
    let frame = ipv4(SOURCE, GROUP, 17, &[0; 8]);
    assert_eq!(kind(&frame[..frame.len() - 1]), Err(Reason::FrameMalformed));
    assert_eq!(kind(&ethernet([0xFF; 6], 0x0800, &frame[14..40])), Ok(FrameKind::Broadcast), "a bridge does not look");
}

proptest! {
    #[test]
    fn any_bytes_are_classified(mut bytes in prop::collection::vec(any::<u8>(), 0..300), shape in 0u8..6) {
        let headers: [&[u8]; 6] = [
            &[],
            &[0x01, 0x00, 0x5E, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45],
            &[0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xDD, 0x60],
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xDD, 0x60],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 1, 0x81, 0x00],
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x4F],
        ];
        let header = headers[usize::from(shape)];
        for (to, from) in bytes.iter_mut().zip(header) {
            *to = *from;
        }
        let node = tables(1);
        let verdict = classify(&node, 0, &bytes, 1, NOW_NS);
        prop_assert!(verdict.punt || matches!(verdict.destination, Some(Err(_))));
    }
}
