//! Ports: the frames that pass, those that Python sees, and the hosts that are reported.

use crate::common::*;
use treecast_core::events::Event;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame::FrameKind;
use treecast_core::reason::Reason;
use treecast_core::root_tree::Hops;
use treecast_core::verdict::{Destination, Verdict};

const BEACON_GROUP: [u8; 6] = [0x03, 0x54, 0x43, 0, 0, 1];
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1]; // the source of all frames of `common`
const REMOTE: [u8; 6] = [2, 0x54, 0, 0, 0, 2];
const SECOND_NS: u64 = 1_000_000_000;
const FROM_67: [u8; 8] = [0, 67, 0, 68, 0, 8, 0, 0];
const FROM_547: [u8; 8] = [2, 0x23, 2, 0x22, 0, 8, 0, 0];
const HELLO: [u8; 4] = [0x20, 0, 0, 0];
const JOIN_PRUNE: [u8; 4] = [0x23, 0, 0, 0];

fn kind(frame: &[u8]) -> FrameKind {
    facts(frame).unwrap().kind
}

/// The frame behind an 802.1Q tag for VLAN 7.
pub fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0xB0, 0x07], &frame[12..]].concat()
}

/// A node whose broadcast tree has a member.
pub fn node() -> ForwardingTables {
    let node = tables(1);
    node.create_tree(0, 1, 1, secrets(0, 0)).unwrap();
    node.set_tree_members(0, Hops::new(&[2], &[])).unwrap();
    node
}

pub fn reason(verdict: Verdict) -> Option<Reason> {
    verdict.destination.expect("a destination, or a reason").err()
}

fn hosts_seen(node: &ForwardingTables) -> Vec<(u16, [u8; 6])> {
    let events = node.events.drain(10_000, || {});
    let seen = events.into_iter().filter_map(|event| match event {
        Event::HostSeen { port: 0, vlan, mac, .. } => Some((vlan, mac)),
        _ => None,
    });
    seen.collect()
}

#[test]
fn beacons_are_handed_over_and_never_forwarded() {
    let node = node();
    let frame = ethernet(BEACON_GROUP, 0x88B5, &[0x96; 46]);
    let copy = ipv4([0; 4], [224, 0, 0, 254], 253, &[0x96; 46]);
    for frame in [tagged(&frame), frame, tagged(&copy), copy] {
        assert_eq!(kind(&frame), FrameKind::Beacon);
        let verdict = classify(&node, 0, &frame, 1, NOW_NS);
        assert!(verdict.punt && verdict.destination.is_none());
    }
    assert_eq!(hosts_seen(&node), [], "a node is no host");
    assert_eq!(kind(&ethernet(REMOTE, 0x88B5, &[0x96; 46])), FrameKind::Unicast(REMOTE), "another's experiment");
    for (group, protocol) in [([224, 0, 0, 254], 17), ([224, 0, 0, 253], 253)] {
        assert_eq!(kind(&ipv4([0; 4], group, protocol, &[0x96; 46])), FrameKind::Broadcast, "another's experiment");
    }
}

#[test]
fn beacons_have_a_queue_of_their_own() {
    let node = node();
    let arp = ethernet([0xFF; 6], 0x0806, &[0; 28]);
    let beacon = ethernet(BEACON_GROUP, 0x88B5, &[0; 46]);
    let push = |frame: &[u8]| node.events.push(tap_frame(frame), NOW_NS);
    while push(&arp).is_ok() {}
    assert_eq!(push(&beacon), Ok(()));
    assert_eq!(push(&tagged(&beacon)), Ok(()));
    assert_eq!(push(&ipv4([0; 4], [224, 0, 0, 254], 253, &[0; 46])), Ok(()));
}

#[test]
fn dhcp_replies_and_pim_hellos_joins_and_prunes_are_forwarded_and_copied() {
    let link_local = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let pim_routers = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13];
    let rows = [
        (ipv4([10, 0, 0, 1], [255; 4], 17, &FROM_67), FrameKind::PuntBroadcast),
        (ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &FROM_67), FrameKind::PuntUnicast(REMOTE)),
        (ipv6(link_local, 17, &FROM_547), FrameKind::PuntUnicast(REMOTE)),
        (ipv6(link_local, 60, &[&[17, 0, 1, 4, 0, 0, 0, 0], &FROM_547[..]].concat()), FrameKind::PuntUnicast(REMOTE)),
        (ipv4([10, 0, 0, 1], [224, 0, 0, 13], 103, &HELLO), FrameKind::PuntBroadcast),
        (ipv6(pim_routers, 103, &HELLO), FrameKind::PuntBroadcast),
        (ipv4([10, 0, 0, 1], [224, 0, 0, 13], 103, &JOIN_PRUNE), FrameKind::PuntBroadcast),
        (ipv6(pim_routers, 103, &JOIN_PRUNE), FrameKind::PuntBroadcast),
    ];
    let node = node();
    node.set_host(0, REMOTE, 2).unwrap();
    node.set_host(7, REMOTE, 2).unwrap();
    for (frame, expected) in rows {
        assert_eq!((kind(&frame), kind(&tagged(&frame))), (expected, expected));
        let verdict = classify(&node, 0, &frame, 1, NOW_NS);
        assert!(verdict.punt);
        match expected {
            FrameKind::PuntBroadcast => assert!(matches!(verdict.destination, Some(Ok(Destination::Tree(..))))),
            _ => assert_eq!(reason(verdict), Some(Reason::NoSession), "forwarded as unicast"),
        }
    }
}

#[test]
fn a_clients_dhcp_and_mdns_responses_are_forwarded_and_copied_though_the_lan_keeps_its_dhcp() {
    let from_68 = [0, 68, 0, 67, 0, 8, 0, 0];
    let mdns = |flags, port| [20, 233, 20, port, 0, 20, 0, 0, 0, 0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let group = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFB];
    let v4 = |flags, port| kind(&ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &mdns(flags, port)));
    let v6 = |flags, port| kind(&ipv6(group, 17, &mdns(flags, port)));
    assert_eq!(kind(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &from_68)), FrameKind::PuntUnicast(REMOTE));
    assert_eq!(kind(&ipv4([0; 4], [255; 4], 17, &from_68)), FrameKind::PuntBroadcast);
    assert_eq!([v4(0x84, 233), v6(0x84, 233)], [FrameKind::PuntBroadcast; 2]);
    assert_eq!([v4(0, 233), v6(0, 233), v4(0x84, 234), v6(0x84, 234)], [FrameKind::Broadcast; 4]);
    assert_eq!(kind(&ipv4([10, 0, 0, 1], [224, 0, 0, 252], 17, &mdns(0x84, 233))), FrameKind::Broadcast);
    let node = node();
    node.port(0).unwrap().set_keep_local(true, true);
    let verdict = classify(&node, 0, &ipv4([0; 4], [255; 4], 17, &from_68), 1, NOW_NS);
    assert!(verdict.punt);
    assert_eq!(reason(verdict), Some(Reason::KeptLocalDhcp));
}

#[test]
fn other_pim_and_later_fragments_are_not_copied() {
    assert_eq!(kind(&ipv4([10, 0, 0, 1], [224, 0, 0, 13], 103, &[0x25, 0, 0, 0])), FrameKind::Broadcast);
    assert_eq!(kind(&ipv4([10, 0, 0, 1], [224, 0, 0, 5], 103, &HELLO)), FrameKind::Broadcast);
    let mut fragment = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &FROM_67);
    fragment[14 + 7] = 3;
    assert_eq!(kind(&fragment), FrameKind::Unicast(REMOTE));
    assert!(matches!(kind(&ipv4([10, 0, 0, 1], [239, 1, 1, 1], 17, &FROM_67)), FrameKind::Group { .. }));
}

#[test]
fn a_blocked_port_hands_over_and_forwards_nothing() {
    let node = node();
    let port = node.port(0).unwrap();
    assert!(port.forwards());
    port.set_forwarding(false);
    let broadcast = ipv4([10, 0, 0, 1], [255; 4], 17, &[0; 8]);
    let verdict = classify(&node, 0, &broadcast, 1, NOW_NS);
    assert!(!verdict.punt);
    assert_eq!(reason(verdict), Some(Reason::PortBlocked));
    let verdict = classify(&node, 0, &ipv4([10, 0, 0, 1], [255; 4], 17, &FROM_67), 1, NOW_NS);
    assert!(verdict.punt);
    assert_eq!(reason(verdict), Some(Reason::PortBlocked));
    for frame in [ethernet([0xFF; 6], 0x0806, &[0; 28]), ethernet(BEACON_GROUP, 0x88B5, &[0; 46])] {
        let verdict = classify(&node, 0, &frame, 1, NOW_NS);
        assert!(verdict.punt && verdict.destination.is_none());
    }
    assert_eq!(hosts_seen(&node), [], "its hosts are another node's");
    port.set_forwarding(true);
    assert_eq!(reason(classify(&node, 0, &broadcast, 1, NOW_NS)), None);
    assert_eq!(hosts_seen(&node), [(0, HOST)]);
    assert_eq!(reason(classify(&node, 99, &broadcast, 1, NOW_NS)), Some(Reason::PortBlocked), "no such port");
}

#[test]
fn a_host_is_told_when_new_and_each_minute_while_it_sends() {
    let node = node();
    let frame = ipv4([10, 0, 0, 1], [255; 4], 17, &[0; 8]);
    for (second, reported) in [(1, 1), (2, 0), (60, 0), (61, 1), (62, 0), (200, 1)] {
        classify(&node, 0, &frame, 1, second * SECOND_NS);
        assert_eq!(hosts_seen(&node).len(), reported, "at {second} s");
    }
    classify(&node, 0, &tagged(&frame), 1, 201 * SECOND_NS);
    classify(&node, 0, &ethernet([0xFF; 6], 0x0806, &[0; 28]), 1, 201 * SECOND_NS);
    assert_eq!(hosts_seen(&node), [(7, HOST)], "per VLAN, and not again for ARP");
}

/// A broadcast frame from the host with this number.
fn from_host(number: u32) -> Vec<u8> {
    let mut frame = ipv4([10, 0, 0, 1], [255; 4], 17, &[0; 8]);
    frame[8..12].copy_from_slice(&number.to_be_bytes());
    frame
}

#[test]
fn hosts_that_alternate_are_told_once_and_no_host_has_a_group_mac() {
    let node = node();
    for round in 0..10 {
        for host in 2..5 {
            classify(&node, 0, &from_host(host), 1, NOW_NS + round);
        }
    }
    let mut group = from_host(6);
    group[6] = 3;
    classify(&node, 0, &group, 1, NOW_NS);
    assert_eq!(hosts_seen(&node).len(), 3);
}

#[test]
fn one_that_sprays_addresses_is_bounded_counted_and_evicts_nobody() {
    let node = node();
    let mut reported = 0;
    for number in 0..40_000_u32 {
        classify(&node, 0, &from_host(number + 1), 1, NOW_NS + u64::from(number) * 1_000_000);
        if number % 100 == 0 {
            reported += hosts_seen(&node).len();
        }
    }
    reported += hosts_seen(&node).len();
    assert_eq!(reported, 4096, "as many as a port remembers");
    assert_eq!(node.drops.get(Reason::HostsSeenFull), 40_000 - 4096);
    classify(&node, 0, &from_host(1), 1, NOW_NS + 41 * SECOND_NS);
    assert_eq!(hosts_seen(&node), [], "the first is still known");
    classify(&node, 0, &from_host(50_000), 1, NOW_NS + 120 * SECOND_NS);
    assert_eq!(hosts_seen(&node).len(), 1, "old ones make room");
}

#[test]
fn a_host_that_could_not_be_told_is_told_later() {
    let node = node();
    for number in 0..1500 {
        classify(&node, 0, &from_host(number + 1), 1, NOW_NS);
    }
    let reported = hosts_seen(&node).len();
    assert_eq!(reported as u64 + node.drops.get(Reason::PuntHostsRate), 1500);
    assert!(reported < 1500);
    classify(&node, 0, &from_host(1500), 1, NOW_NS + SECOND_NS);
    assert_eq!(hosts_seen(&node).len(), 1);
}

#[test]
fn a_host_that_another_node_has_now_is_told_at_once_when_it_comes_back() {
    let node = node();
    let frame = ethernet([0xFF; 6], 0x88B6, b"");
    for (at, reported) in [(0, 1), (1, 0)] {
        classify(&node, 0, &frame, 1, NOW_NS + at * SECOND_NS);
        assert_eq!(hosts_seen(&node).len(), reported);
    }
    node.set_host(0, HOST, 2).unwrap();
    classify(&node, 0, &frame, 1, NOW_NS + 2 * SECOND_NS);
    assert_eq!(hosts_seen(&node), [(0, HOST)]);
    node.set_host(7, HOST, 2).unwrap();
    classify(&node, 0, &frame, 1, NOW_NS + 3 * SECOND_NS);
    assert_eq!(hosts_seen(&node), [], "another VLAN's");
}

#[test]
fn hosts_that_another_node_has_now_are_told_at_once_when_they_come_back() {
    let node = node();
    for (at, reported) in [(0, 2), (1, 0)] {
        for number in 1..=2 {
            classify(&node, 0, &from_host(number), 1, NOW_NS + at * SECOND_NS);
        }
        assert_eq!(hosts_seen(&node).len(), reported);
    }
    let hosts = [1, 2].map(|number| (0, from_host(number)[6..12].try_into().unwrap(), 2));
    assert_eq!(node.set_hosts(hosts.to_vec()), []);
    for number in 1..=2 {
        classify(&node, 0, &from_host(number), 1, NOW_NS + 2 * SECOND_NS);
    }
    assert_eq!(hosts_seen(&node), hosts.map(|(vlan, mac, _)| (vlan, mac)));
}
