//! Packet ports: what they take and give, and what a renewed port has forgotten.

use crate::common::*;
use crate::ports::{node, reason, tagged};
use treecast_core::egress::Leaving;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::Frame;
use treecast_core::reason::Reason;
use treecast_core::source_filter::SourceFilter;
use treecast_core::verdict::Destination;

const REMOTE: [u8; 6] = [2, 0x54, 0, 0, 0, 2];
const FROM_67: [u8; 8] = [0, 67, 0, 68, 0, 8, 0, 0];

/// Port 1 as a packet port that forwards.
fn with_packet_port() -> ForwardingTables {
    let node = node();
    node.renew_port(1, true);
    assert!(!node.port(1).unwrap().forwards(), "it begins blocked");
    node.port(1).unwrap().set_forwarding(true);
    node
}

fn group_frame(source: [u8; 4]) -> Vec<u8> {
    ipv4(source, [239, 1, 1, 1], 17, &[0; 8])
}

#[test]
fn a_packet_port_takes_multicast_and_leaves_unicast_and_broadcast_alone() {
    let node = with_packet_port();
    let taken = |frame: &[u8]| classify(&node, 1, frame, 1, NOW_NS);
    assert!(taken(&ethernet([0xFF; 6], 0x0806, &[0; 28])).destination.is_none(), "ARP is Python's");
    assert_eq!(reason(taken(&ethernet([0xFF; 6], 0x88B6, b""))), Some(Reason::PacketNotGroup));
    assert_eq!(reason(taken(&ethernet(REMOTE, 0x88B6, b""))), Some(Reason::PacketNotGroup));
    assert_eq!(reason(taken(&group_frame([10, 0, 0, 1]))), Some(Reason::NoSubscriber));
    let mdns = taken(&ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &[0; 8]));
    assert!(matches!(mdns.destination, Some(Ok(Destination::Tree(..)))));
    let dhcp = taken(&ipv4([10, 0, 0, 1], [255; 4], 17, &FROM_67));
    assert!(dhcp.punt, "it shows who has which address");
    assert_eq!(reason(dhcp), Some(Reason::PacketNotGroup));
}

#[test]
fn a_packet_port_gives_what_its_hosts_want_and_a_tap_all_until_it_is_selective() {
    let node = with_packet_port();
    let group = std::net::IpAddr::from([239, 1, 1, 1]);
    let out = |frame: &[u8]| [0, 1].map(|port| node.goes_out(port, &Leaving::of(&Frame::read(frame))));
    let (one, two) = (group_frame([10, 0, 0, 1]), group_frame([10, 0, 0, 2]));
    assert_eq!(out(&one), [true, false]);
    node.set_port_group(1, 0, group, SourceFilter::new(false, vec![[10, 0, 0, 2].into()])).unwrap();
    assert_eq!((out(&one), out(&two)), ([true, false], [true, true]));
    node.set_port_group(1, 0, group, SourceFilter::new(true, vec![[10, 0, 0, 2].into()])).unwrap();
    assert_eq!((out(&one), out(&two)), ([true, true], [true, false]));
    let head = Leaving::of(&Frame { bytes: &one[..40], ..Frame::read(&one) });
    assert_eq!([0, 1].map(|port| node.goes_out(port, &head)), [true, true], "the headers of a super-frame are enough");
    node.port(0).unwrap().set_selective(true);
    assert_eq!(out(&one), [false, true]);
    node.set_port_group(1, 7, group, SourceFilter::new(true, vec![])).unwrap();
    assert_eq!(out(&tagged(&one)), [false, false], "no tags on a packet port");
    node.set_port_group(1, 0, group, SourceFilter::default()).unwrap();
    assert_eq!(out(&one), [false, false]);
    assert!(node.set_port_group(4, 0, group, SourceFilter::default()).is_err());
}

#[test]
fn what_speaks_of_its_own_link_does_not_leave_by_a_packet_port() {
    let node = with_packet_port();
    let leaves = |frame: &[u8]| node.goes_out(1, &Leaving::of(&Frame::read(frame)));
    let all_nodes = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert!(leaves(&ipv4([10, 0, 0, 1], [224, 0, 0, 251], 17, &[0; 8])));
    assert!(leaves(&ipv6(all_nodes, 17, &[0; 8])) && leaves(&ipv6(all_nodes, 58, &[128, 0, 0, 0])));
    for of_the_link in [130, 133, 134, 135, 136, 137, 143, 151, 153] {
        assert!(!leaves(&ipv6(all_nodes, 58, &[of_the_link, 0, 0, 0])));
        assert!(!leaves(&ipv6(all_nodes, 0, &[58, 0, 5, 2, 0, 0, 1, 0, of_the_link, 0, 0, 0])));
    }
    assert!(!leaves(&ipv4([10, 0, 0, 1], [224, 0, 0, 22], 2, &[0x22; 8])));
    for frame in [ethernet([0xFF; 6], 0x0806, &[0; 28]), ipv4([10, 0, 0, 1], [255; 4], 17, &[0; 8]), vec![1, 0, 0x5E]] {
        assert!(!leaves(&frame));
    }
}

#[test]
fn a_port_that_is_renewed_has_no_wishes_and_is_no_packet_port_any_more() {
    let node = with_packet_port();
    let group = std::net::IpAddr::from([239, 1, 1, 1]);
    node.set_port_group(0, 0, group, SourceFilter::new(true, vec![])).unwrap();
    node.set_port_group(1, 0, group, SourceFilter::new(true, vec![])).unwrap();
    node.renew_port(1, true);
    let leaving = Leaving::of(&Frame::read(&group_frame([10, 0, 0, 1])));
    node.port(0).unwrap().set_selective(true);
    assert_eq!([0, 1].map(|port| node.goes_out(port, &leaving)), [true, false]);
    node.renew_port(1, false);
    let port = node.port(1).unwrap();
    assert!(port.forwards() && !port.is_packet_port() && !port.is_selective());
}
