//! Frames that a node may send: by its certificate, and by the addresses that others have.

use std::net::{IpAddr, Ipv6Addr};

use crate::common::*;
use treecast_core::arrival::{IngressNode, Recent};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::prefixes::Prefix;
use treecast_core::reason::Reason;

const HOST: [u8; 6] = [2, 0xAA, 0, 0, 0, 1];
const FORBIDDEN: Result<(), Reason> = Err(Reason::SourceOfAnotherNode);
const NOT_PERMITTED: Result<(), Reason> = Err(Reason::FrameNotPermitted);
const ARP: u16 = 0x0806;
/// Nodes 2, a bridge, 3, 4, another bridge, and 5, whose LAN another node carries.
const BRIDGE: u32 = 2;
const PLAIN: u32 = 3;
const OTHER: u32 = 4;
const CARRIED: u32 = 5;

fn v4(node: u32) -> [u8; 4] {
    [10, 77, 0, node as u8]
}

fn v6(node: u32) -> [u8; 16] {
    Ipv6Addr::new(0xFD77, 0, 0, 0, 0, 0, 0, node as u16).octets()
}

fn mac(node: u32) -> [u8; 6] {
    [2, 0x54, 0, 0, 0, node as u8]
}

fn node() -> ForwardingTables {
    let tables = tables(1);
    for node in 1..=5 {
        let addresses = [IpAddr::from(v4(node)), IpAddr::from(v6(node))].into();
        let (bridge, carried) = ([BRIDGE, OTHER, CARRIED].contains(&node), node == CARRIED);
        let signing_key = signing_key(node).public();
        let certified = CertifiedNode { bridge, carried, addresses, signing_key, send_to: None };
        tables.certify_node(node, certified).unwrap();
    }
    tables
}

fn check(tables: &ForwardingTables, node: u32, frame: &[u8]) -> Result<(), Reason> {
    tables.check_source(&Frame::read(frame), IngressNode::peer(node), &mut Recent::default())
}

#[test]
fn who_sends_frames_of_others_is_named_and_counted() {
    let tables = node();
    for _ in 0..3 {
        assert_eq!(check(&tables, PLAIN, &ip(mac(OTHER), v4(OTHER))), FORBIDDEN);
        assert_eq!(check(&tables, PLAIN, &ip(mac(PLAIN), v4(PLAIN))), Ok(()));
    }
    assert_eq!(check(&tables, BRIDGE, &ip(HOST, v4(OTHER))), FORBIDDEN);
    let mut refusals = tables.refusals.take();
    refusals.sort_by_key(|(node, ..)| *node);
    let named = Reason::SourceOfAnotherNode;
    assert_eq!(refusals, [(BRIDGE, named, 1), (PLAIN, named, 3)]);
    assert_eq!(tables.refusals.take(), [], "they were taken");
}

fn frame(source: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = ethernet([1, 0, 0x5E, 1, 1, 1], ethertype, payload);
    frame[6..12].copy_from_slice(&source);
    frame
}

fn ip(source: [u8; 6], address: [u8; 4]) -> Vec<u8> {
    let mut frame = ipv4(address, [239, 1, 1, 1], 17, &[0; 8]);
    frame[6..12].copy_from_slice(&source);
    frame
}

fn arp(source: [u8; 6], sender: [u8; 4]) -> Vec<u8> {
    let mut payload = [0, 1, 8, 0, 6, 4, 0, 2].to_vec();
    payload.extend_from_slice(&source);
    payload.extend_from_slice(&sender);
    payload.extend_from_slice(&[0; 10]);
    frame(source, ARP, &payload)
}

/// An IPv6 packet, with an upper layer of this protocol.
fn ip6(source: [u8; 6], address: [u8; 16], protocol: u8, upper: &[u8]) -> Vec<u8> {
    let mut frame = ipv6([0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], protocol, upper);
    frame[6..12].copy_from_slice(&source);
    frame[22..38].copy_from_slice(&address);
    frame
}

/// The body of a Neighbor Advertisement.
fn advertisement(target: [u8; 16]) -> Vec<u8> {
    [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &target].concat()
}

/// The same frame behind these tags.
fn tagged(frame: &[u8], tags: &[[u8; 4]]) -> Vec<u8> {
    [&frame[..12], tags.concat().as_slice(), &frame[12..]].concat()
}

#[test]
fn a_node_sends_from_its_own_mac_and_a_bridge_from_those_of_hosts_too() {
    let tables = node();
    for (from, source, right) in [
        (PLAIN, mac(PLAIN), Ok(())),
        (PLAIN, HOST, FORBIDDEN),
        (PLAIN, mac(OTHER), FORBIDDEN),
        (BRIDGE, HOST, Ok(())),
        (BRIDGE, mac(BRIDGE), Ok(())),
        (BRIDGE, mac(PLAIN), FORBIDDEN),
        (BRIDGE, mac(1), FORBIDDEN),
        (BRIDGE, mac(200), FORBIDDEN),
        (99, HOST, FORBIDDEN),
        (99, mac(99), Ok(())),
    ] {
        assert_eq!(check(&tables, from, &frame(source, 0x9000, &[0; 46])), right, "{from} {source:x?}");
        assert_eq!(check(&tables, from, &ip(source, [192, 0, 2, 1])), right);
    }
}

#[test]
fn nobody_sends_as_from_an_address_of_another_node() {
    let tables = node();
    for owner in [1, 3, 4] {
        for (from, source) in [(BRIDGE, HOST), (BRIDGE, mac(BRIDGE)), (99, mac(99))] {
            assert_eq!(check(&tables, from, &ip(source, v4(owner))), FORBIDDEN);
            assert_eq!(check(&tables, from, &arp(source, v4(owner))), FORBIDDEN);
            assert_eq!(check(&tables, from, &ip6(source, v6(owner), 17, &[0; 8])), FORBIDDEN);
            let advertised = ip6(source, v6(200), 58, &advertisement(v6(owner)));
            assert_eq!(check(&tables, from, &advertised), FORBIDDEN);
        }
    }
    for source in [HOST, mac(BRIDGE)] {
        assert_eq!(check(&tables, BRIDGE, &ip(source, v4(BRIDGE))), Ok(()), "a bridge's machine has the LAN's MAC");
        assert_eq!(check(&tables, BRIDGE, &ip6(source, v6(BRIDGE), 58, &advertisement(v6(BRIDGE)))), Ok(()));
    }
}

/// ARP and Neighbor Discovery, by which a LAN host's traffic would go to whoever says that its address is here.
#[test]
fn without_the_role_bridge_a_node_says_of_no_address_but_its_own_that_it_has_it() {
    let tables = node();
    let (own, elsewhere, solicitation) = (mac(PLAIN), v6(200), |kind: u8| [&[kind][..], &[0; 23]].concat());
    for (address, right) in [(v4(PLAIN), Ok(())), ([0; 4], Ok(())), ([192, 0, 2, 1], FORBIDDEN)] {
        assert_eq!(check(&tables, PLAIN, &arp(own, address)), right, "{address:?}");
        assert_eq!(check(&tables, PLAIN, &tagged(&arp(own, address), &[[0x81, 0, 0, 0]])), right);
        assert_eq!(check(&tables, PLAIN, &ip(own, address)), Ok(()), "a router");
        assert_eq!(check(&tables, BRIDGE, &arp(HOST, address)), if address == v4(PLAIN) { FORBIDDEN } else { Ok(()) });
    }
    for (address, right) in [(v6(PLAIN), Ok(())), ([0; 16], Ok(())), (elsewhere, FORBIDDEN)] {
        for kind in [133, 135] {
            assert_eq!(check(&tables, PLAIN, &ip6(own, address, 58, &solicitation(kind))), right, "{address:?}");
        }
        assert_eq!(check(&tables, PLAIN, &ip6(own, v6(PLAIN), 58, &advertisement(address))), right);
        assert_eq!(check(&tables, PLAIN, &ip6(own, address, 58, &solicitation(128))), Ok(()), "an echo request");
    }
    let batch = &mut Recent::default();
    let mut next = |frame: &[u8]| tables.check_source(&Frame::read(frame), IngressNode::peer(PLAIN), batch);
    assert_eq!((next(&ip(own, [192, 0, 2, 1])), next(&arp(own, [192, 0, 2, 1]))), (Ok(()), FORBIDDEN));
}

#[test]
fn what_has_no_address_yet_may_be_sent() {
    let tables = node();
    for source in [HOST, mac(BRIDGE)] {
        assert_eq!(check(&tables, BRIDGE, &ip(source, [0; 4])), Ok(()), "DHCP");
        assert_eq!(check(&tables, BRIDGE, &arp(source, [0; 4])), Ok(()), "a probe (RFC 5227)");
        assert_eq!(check(&tables, BRIDGE, &ip6(source, [0; 16], 58, &[135; 24])), Ok(()), "RFC 4862 section 5.4");
    }
    let vrrp = [0, 0, 0x5E, 0, 1, 7];
    assert_eq!(check(&tables, BRIDGE, &ip(vrrp, [192, 0, 2, 1])), Ok(()));
    assert_eq!(check(&tables, OTHER, &ip(vrrp, [192, 0, 2, 1])), Ok(()), "it moves between routers");
}

#[test]
fn a_bridge_carries_the_machine_of_a_node_that_claims_no_host() {
    let tables = node();
    assert_eq!(check(&tables, BRIDGE, &ip(HOST, v4(CARRIED))), Ok(()));
    assert_eq!(check(&tables, BRIDGE, &arp(HOST, v4(CARRIED))), Ok(()));
    assert_eq!(check(&tables, BRIDGE, &ip6(HOST, v6(CARRIED), 58, &advertisement(v6(CARRIED)))), Ok(()));
    assert_eq!(check(&tables, BRIDGE, &ip(mac(BRIDGE), v4(CARRIED))), FORBIDDEN, "not as its own");
    assert_eq!(check(&tables, PLAIN, &ip(mac(PLAIN), v4(CARRIED))), FORBIDDEN);
    assert_eq!(check(&tables, PLAIN, &ip(HOST, v4(CARRIED))), FORBIDDEN);
    let addresses = [IpAddr::from(v4(CARRIED))].into();
    let (bridge, signing_key) = (true, signing_key(CARRIED).public());
    let certified = CertifiedNode { bridge, carried: false, addresses, signing_key, send_to: None };
    tables.certify_node(CARRIED, certified).unwrap();
    assert_eq!(check(&tables, BRIDGE, &ip(HOST, v4(CARRIED))), FORBIDDEN, "it claims it now");
    assert_eq!(check(&tables, BRIDGE, &ip6(HOST, v6(CARRIED), 17, &[0; 8])), Ok(()), "it has that one no more");
    tables.uncertify_node(CARRIED);
    assert_eq!(check(&tables, BRIDGE, &ip(HOST, v4(CARRIED))), Ok(()));
    assert_eq!(check(&tables, CARRIED, &ip(HOST, v4(CARRIED))), FORBIDDEN, "it is no bridge that anybody knows");
}

#[test]
fn an_address_that_has_two_certificates_stays_with_the_later_one() {
    let tables = node();
    let given = |node| {
        let (addresses, signing_key) = ([IpAddr::from(v4(node))].into(), signing_key(node).public());
        CertifiedNode { bridge: false, carried: false, addresses, signing_key, send_to: None }
    };
    tables.certify_node(40, given(PLAIN)).unwrap();
    tables.uncertify_node(PLAIN);
    assert_eq!(check(&tables, BRIDGE, &ip(HOST, v4(PLAIN))), FORBIDDEN);
    tables.uncertify_node(40);
    assert_eq!(check(&tables, BRIDGE, &ip(HOST, v4(PLAIN))), Ok(()));
}

#[test]
fn no_tags_hide_a_sender() {
    let tables = node();
    let (priority, service, vlan) = ([0x81, 0, 0xE0, 0], [0x88, 0xA8, 0, 7], [0x81, 0, 0, 9]);
    let many = [priority; 300];
    let stacks: [&[[u8; 4]]; 6] =
        [&[priority], &[vlan], &[priority, priority], &[service, vlan], &[service, service, priority, vlan], &many];
    for tags in stacks {
        for forged in [ip(HOST, v4(OTHER)), arp(HOST, v4(OTHER)), ip6(HOST, v6(OTHER), 17, &[0; 8])] {
            assert_eq!(check(&tables, BRIDGE, &tagged(&forged, tags)), FORBIDDEN, "{} tags", tags.len());
        }
        let advertised = ip6(HOST, v6(200), 58, &advertisement(v6(OTHER)));
        assert_eq!(check(&tables, BRIDGE, &tagged(&advertised, tags)), FORBIDDEN, "{} tags", tags.len());
        assert_eq!(check(&tables, BRIDGE, &tagged(&ip(HOST, v4(200)), tags)), Ok(()));
    }
    assert_eq!(check(&tables, BRIDGE, &tagged(&ip(HOST, v4(OTHER)), &[vlan])[..16]), Ok(()), "it ends inside its tag");
}

#[test]
fn no_extension_headers_hide_a_neighbour() {
    let tables = node();
    let options = |count: usize, last: u8, upper: &[u8]| {
        let one = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
        let chain: Vec<[u8; 8]> = (1..=count).map(|number| one(if number == count { last } else { 60 })).collect();
        ip6(HOST, v6(200), 60, &[chain.concat().as_slice(), upper].concat())
    };
    for count in [1, 7, 8, 20] {
        assert_eq!(check(&tables, BRIDGE, &options(count, 58, &advertisement(v6(OTHER)))), FORBIDDEN, "{count}");
    }
    assert_eq!(check(&tables, BRIDGE, &options(7, 58, &advertisement(v6(200)))), Ok(()));
    assert_eq!(check(&tables, BRIDGE, &options(7, 17, &[0; 8])), Ok(()));
    let later = [17, 0, 0, 8, 0, 0, 0, 1].repeat(2);
    assert_eq!(check(&tables, BRIDGE, &ip6(HOST, v6(200), 44, &later)), Ok(()), "a later fragment");
    assert_eq!(check(&tables, BRIDGE, &ip6(HOST, v6(200), 59, &[])), Ok(()), "no next header");
}

#[test]
fn one_frame_found_right_lets_no_other_pass() {
    let tables = node();
    let mut recent = Recent::default();
    let mut check = |node, frame: &[u8]| tables.check_source(&Frame::read(frame), IngressNode::peer(node), &mut recent);
    for _ in 0..2 {
        assert_eq!(check(BRIDGE, &ip(HOST, v4(200))), Ok(()));
        assert_eq!(check(PLAIN, &ip(HOST, v4(200))), FORBIDDEN, "another node");
        assert_eq!(check(BRIDGE, &ip(mac(OTHER), v4(200))), FORBIDDEN, "another MAC");
        assert_eq!(check(BRIDGE, &ip(HOST, v4(OTHER))), FORBIDDEN, "another address");
        assert_eq!(check(BRIDGE, &ip(HOST, v4(200))), Ok(()));
    }
}

/// Limits node 3 to two prefixes of groups.
fn limit(tables: &ForwardingTables, send_to: &[Prefix]) {
    let addresses = [IpAddr::from(v4(PLAIN))].into();
    let (signing_key, send_to) = (signing_key(PLAIN).public(), Some(send_to.into()));
    let certified = CertifiedNode { bridge: false, carried: false, addresses, signing_key, send_to };
    tables.certify_node(PLAIN, certified).unwrap();
}

fn some_groups() -> [Prefix; 2] {
    let v6 = Ipv6Addr::new(0xFF15, 0, 0, 0, 0, 0, 0, 0);
    [Prefix { first: [239, 1, 0, 0].into(), length: 16 }, Prefix { first: v6.into(), length: 32 }]
}

/// A frame of node 3's own to this address, whatever its MAC.
fn to(destination: IpAddr) -> Vec<u8> {
    let own = mac(PLAIN);
    let mut frame = match destination {
        IpAddr::V4(destination) => ipv4(v4(PLAIN), destination.octets(), 17, &[0; 8]),
        IpAddr::V6(destination) => ipv6(destination.octets(), 17, &[0; 8]),
    };
    frame[6..12].copy_from_slice(&own);
    frame
}

fn v6_group(first: u16, second: u16) -> IpAddr {
    Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 7).into()
}

#[test]
fn a_node_sends_to_groups_that_its_certificate_permits_and_to_no_others() {
    let tables = node();
    for other in [[239, 2, 1, 1], [224, 0, 1, 1], [232, 1, 1, 1]] {
        assert_eq!(check(&tables, PLAIN, &to(other.into())), Ok(()), "all, where it has no list");
    }
    limit(&tables, &some_groups());
    for (group, right) in [
        ([239, 1, 0, 1].into(), Ok(())),
        ([239, 1, 255, 255].into(), Ok(())),
        ([239, 2, 0, 0].into(), NOT_PERMITTED),
        ([224, 0, 1, 0].into(), NOT_PERMITTED),
        (v6_group(0xFF15, 0), Ok(())),
        (v6_group(0xFF15, 1), NOT_PERMITTED),
        (v6_group(0xFF13, 0), NOT_PERMITTED),
    ] {
        assert_eq!(check(&tables, PLAIN, &to(group)), right, "{group}");
        for tags in [&[[0x81, 0, 0xE0, 0]][..], &[[0x88, 0xA8, 0, 7], [0x81, 0, 0, 9]]] {
            assert_eq!(check(&tables, PLAIN, &tagged(&to(group), tags)), right, "{group}, tagged");
        }
        let mut to_one = to(group);
        to_one[..6].copy_from_slice(&mac(1));
        assert_eq!(check(&tables, PLAIN, &to_one), right, "kernels take {group} from their own MAC, too");
    }
    limit(&tables, &[]);
    assert_eq!(check(&tables, PLAIN, &to([239, 1, 0, 1].into())), NOT_PERMITTED, "an empty list is no group");
}

#[test]
fn what_all_nodes_get_is_no_group_that_a_certificate_permits() {
    let tables = node();
    limit(&tables, &[]);
    for destination in [[224, 0, 0, 251].into(), v6_group(0xFF02, 0), [10, 77, 0, 1].into(), [255; 4].into()] {
        assert_eq!(check(&tables, PLAIN, &to(destination)), Ok(()), "{destination}");
    }
    assert_eq!(check(&tables, PLAIN, &arp(mac(PLAIN), v4(PLAIN))), Ok(()));
    assert_eq!(check(&tables, PLAIN, &to([239, 1, 0, 1].into())[..32]), Ok(()), "it ends inside its header");
}

#[test]
fn a_permitted_frame_lets_no_other_pass() {
    let tables = node();
    limit(&tables, &some_groups());
    let mut recent = Recent::default();
    let mut check = |node, frame: &[u8]| tables.check_source(&Frame::read(frame), IngressNode::peer(node), &mut recent);
    for _ in 0..2 {
        assert_eq!(check(PLAIN, &to([239, 1, 0, 1].into())), Ok(()));
        assert_eq!(check(PLAIN, &to([239, 2, 0, 1].into())), NOT_PERMITTED, "the same source");
        assert_eq!(check(BRIDGE, &ip(HOST, v4(200))), Ok(()));
    }
}
