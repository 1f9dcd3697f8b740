//! Frames for a LAN's own hosts stay there where the port is set to keep them, and events of a port end with it.

use crate::common::*;
use treecast_core::events::Event;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::Frame;
use treecast_core::keep_local::KeptLocalKind;
use treecast_core::reason::Reason;
use treecast_core::root_tree::Hops;
use treecast_core::verdict::Destination;

const ALL_NODES: [u8; 16] = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const ONE_HOST: [u8; 16] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// A node whose broadcast tree has a member.
fn node() -> ForwardingTables {
    let node = tables(1);
    node.create_tree(0, 1, 1, secrets(0, 0)).unwrap();
    node.set_tree_members(0, Hops::new(&[2], &[])).unwrap();
    node
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 8, 0, 0]].concat()
}

fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0xB0, 0x07], &frame[12..]].concat()
}

fn routers() -> Vec<Vec<u8>> {
    let mut frames = vec![];
    for message in [133, 134, 137] {
        frames.push(ipv6(ALL_NODES, 58, &[message, 0, 0, 0]));
        frames.push(ipv6(ONE_HOST, 58, &[message, 0, 0, 0]));
        // Behind hop-by-hop options, and in a first fragment: what RFC 7113 warns of.
        frames.push(ipv6(ALL_NODES, 0, &[58, 0, 1, 4, 0, 0, 0, 0, message, 0, 0, 0]));
        frames.push(ipv6(ALL_NODES, 44, &[58, 0, 0, 1, 0, 0, 0, 9, message, 0, 0, 0]));
    }
    frames
}

fn dhcp() -> Vec<Vec<u8>> {
    let mut frames = vec![];
    for (from, to) in [(67, 68), (68, 67), (1067, 68)] {
        frames.push(ipv4([10, 0, 0, 1], [255; 4], 17, &udp(from, to)));
        frames.push(ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(from, to)));
    }
    for (from, to) in [(547, 546), (546, 547)] {
        frames.push(ipv6(ALL_NODES, 17, &udp(from, to)));
        frames.push(ipv6(ONE_HOST, 17, &udp(from, to)));
    }
    frames
}

fn others() -> Vec<Vec<u8>> {
    let later_fragment = |mut frame: Vec<u8>| {
        frame[21] = 1;
        frame
    };
    vec![
        ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(67, 67)), // a relay agent's
        ipv6(ONE_HOST, 17, &udp(547, 547)),
        ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &udp(5353, 5353)),
        ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &udp(67, 68)),
        later_fragment(ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(67, 68))),
        ipv6(ALL_NODES, 58, &[128, 0, 0, 0]),
        ipv6(ONE_HOST, 58, &[135, 0, 0, 0]),
        ipv6(ONE_HOST, 58, &[136, 0, 0, 0]),
        ethernet([0xFF; 6], 0x88B6, b""),
    ]
}

#[test]
fn the_kinds_that_a_lan_keeps_are_told_from_all_else_and_nothing_is_too_short_to_read() {
    let cases = [(routers(), Some(KeptLocalKind::Routers)), (dhcp(), Some(KeptLocalKind::Dhcp)), (others(), None)];
    for (frames, kind) in cases {
        for frame in frames.into_iter().flat_map(|frame| [tagged(&frame), frame]) {
            assert_eq!(KeptLocalKind::of(&Frame::read(&frame)), kind, "{frame:02X?}");
            for length in 0..frame.len() {
                let _ = KeptLocalKind::of(&Frame::read(&frame[..length]));
            }
        }
    }
}

#[test]
fn a_port_that_keeps_nothing_passes_all_and_one_that_keeps_drops_by_name_what_it_keeps() {
    let node = node();
    let port = node.port(0).unwrap();
    for (keeps_routers, keeps_dhcp) in [(false, false), (true, false), (false, true), (true, true)] {
        port.set_keep_local(keeps_routers, keeps_dhcp);
        let kept = |on: bool, reason| if on { Err(reason) } else { Ok(()) };
        let cases = [
            (routers(), kept(keeps_routers, Reason::KeptLocalRa)),
            (dhcp(), kept(keeps_dhcp, Reason::KeptLocalDhcp)),
            (others(), Ok(())),
        ];
        for (frames, passes) in cases {
            assert!(frames.iter().all(|frame| port.passes(&Frame::read(frame)) == passes));
        }
    }
    node.renew_port(0, false);
    assert!(routers().iter().chain(&dhcp()).all(|frame| port.passes(&Frame::read(frame)).is_ok()));
}

#[test]
fn what_is_kept_does_not_enter_the_overlay_and_python_sees_it_all_the_same() {
    let node = node();
    node.port(0).unwrap().set_keep_local(true, true);
    let answer = ipv4([10, 0, 0, 1], [255; 4], 17, &udp(67, 68));
    let verdict = classify(&node, 0, &answer, 1, NOW_NS);
    assert!(verdict.punt && matches!(verdict.destination, Some(Err(Reason::KeptLocalDhcp))));
    let to_one = classify(&node, 0, &ipv6(ONE_HOST, 58, &[134, 0, 0, 0]), 1, NOW_NS);
    assert!(to_one.punt && matches!(to_one.destination, Some(Err(Reason::KeptLocalRa))));
    let to_all = classify(&node, 0, &ipv6(ALL_NODES, 58, &[134, 0, 0, 0]), 1, NOW_NS);
    assert!(to_all.punt && to_all.destination.is_none(), "Python floods it, or is refused that");
    let mdns = classify(&node, 0, &ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &udp(5353, 5353)), 1, NOW_NS);
    assert!(matches!(mdns.destination, Some(Ok(Destination::Tree(..)))));
}

#[test]
fn events_of_a_port_that_was_closed_are_dropped_and_those_of_its_successor_are_not() {
    let node = node();
    node.renew_port(1, true);
    node.port(1).unwrap().set_forwarding(true);
    let frame = ipv4([10, 0, 0, 1], [224, 0, 0, 22], 2, &[0x22, 0, 0, 0, 0, 0, 0, 0]);
    let come = |port| {
        assert!(classify(&node, port, &frame, 1, NOW_NS).punt);
        node.punt(port, &Frame::read(&frame), NOW_NS);
    };
    come(0);
    come(1);
    node.renew_port(1, false);
    let ports = |events: Vec<Event>| events.iter().filter_map(Event::port).map(|(port, _)| port).collect::<Vec<_>>();
    assert_eq!(ports(node.drain(100, || {})), [0, 0], "the frame, and the host that sent it");
    assert_eq!(node.drops.get(Reason::PortClosed), 2);
    node.renew_port(1, true);
    node.port(1).unwrap().set_forwarding(true);
    come(1);
    node.renew_port(1, false);
    node.renew_port(1, true);
    assert!(ports(node.drain(100, || {})).is_empty(), "another port has the number now");
    node.port(1).unwrap().set_forwarding(true);
    come(1);
    assert_eq!(ports(node.drain(100, || {})), [1, 1]);
    assert_eq!(node.drops.get(Reason::PortClosed), 4);
}
