//! Classification of a host's Ethernet frame by its bytes alone (RFC 4541's view of a frame).
//!
//! No tables here: see [`crate::forwarding_tables`]; where things are in a frame was read before, by [`crate::headers`]. A frame that no
//! rule of ours claims is carried as a bridge would: to its MAC, or, from a group's MAC, to all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::datagram::{looks_like_ours, u16_at};
pub use crate::headers::Mac;
use crate::headers::{Frame, Ip, Version};
use crate::iana::{ETHERTYPE_ARP, ETHERTYPE_BEACON, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::iana::{PROTOCOL_EXPERIMENT, PROTOCOL_ICMPV6, PROTOCOL_IGMP, PROTOCOL_PIM, PROTOCOL_UDP};
use crate::reason::Reason;

/// A server's DHCP (RFC 2131 section 4.1) and DHCPv6 (RFC 9915 section 7.2) messages come from these ports.
pub(crate) const PORT_DHCP_SERVER: u16 = 67;
pub(crate) const PORT_DHCPV6_SERVER: u16 = 547;
/// mDNS (RFC 6762 section 3), and the first octet of a DNS header's flags with its QR bit: a response.
pub(crate) const PORT_MDNS: u16 = 5353;
const MDNS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0xFB);
const MDNS_FLAGS: usize = 10;
const RESPONSE: u8 = 0x80;
/// PIM version 2, types 0 and 3 (RFC 7761 section 4.9).
const PIM_HELLO: u8 = 0x20;
const PIM_JOIN_PRUNE: u8 = 0x23;
const ALL_PIM_ROUTERS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 13);
const ALL_PIM_ROUTERS_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 13);
const BROADCAST: Mac = [0xFF; 6];
/// The group of beacons, which no other use of their EtherType shares.
const BEACON_GROUP: Mac = [0x03, 0x54, 0x43, 0x00, 0x00, 0x01];
/// The group of their copies in IPv4: that of experiments on a link (RFC 4727 section 2.4.2).
const BEACON_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 254);
const BEACON_MAC_V4: Mac = [0x01, 0x00, 0x5E, 0, 0, 254];

/// The kind of a frame, before any table is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// IGMP, MLD, Multicast Router Discovery (RFC 4286), group-addressed ARP and ND: Python's alone.
    Punt,
    /// A beacon of a node on this LAN: Python's alone, and no sign of a host.
    Beacon,
    /// ARP, ND and DHCP to one MAC: forwarded, and a copy for Python.
    PuntUnicast(Mac),
    /// PIM Hellos, Joins and Prunes, DHCP and mDNS responses to all nodes: forwarded, and a copy for Python.
    PuntBroadcast,
    /// A frame to one MAC.
    Unicast(Mac),
    /// A frame to one MAC, and what it carries begins like a datagram of ours.
    Encapsulated(Mac),
    /// A frame to all nodes: broadcast, 224.0.0.0/24, IPv6 groups of link-local scope.
    Broadcast,
    /// A frame to a group's MAC, and no group's: not IP, tagged twice, or to another address than the MAC's. To all nodes.
    Flood,
    /// A frame to a group's subscribers.
    Group {
        /// The IP destination.
        group: IpAddr,
        /// The IP source.
        source: IpAddr,
    },
}

/// A frame's VLAN (0 when untagged), source and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFacts {
    /// The 802.1Q VLAN id.
    pub vlan: u16,
    /// Where it came from.
    pub source: Mac,
    /// Does it go to the broadcast MAC?
    pub to_all: bool,
    /// Does it go to a group's MAC, or to the broadcast MAC?
    pub to_group: bool,
    /// Its kind.
    pub kind: FrameKind,
}

impl FrameFacts {
    /// The facts of a frame that was read.
    // Inlined with what it calls: records with addresses returned through memory cost more than finding them again.
    #[inline(always)]
    pub fn of(frame: &Frame<'_>) -> Result<Self, Reason> {
        let (Some(destination), Some(source), false) = (frame.destination(), frame.source(), frame.is_short()) else {
            return Err(Reason::FrameShort);
        };
        let ethertype = frame.headers.ethertype;
        let kind = if ethertype == ETHERTYPE_BEACON && destination == BEACON_GROUP {
            FrameKind::Beacon
        } else if destination[0] & 1 == 0 {
            to_one(destination, ethertype, frame.ip())
        } else {
            to_many(destination, ethertype, frame.ip())?
        };
        let (to_all, to_group) = (destination == BROADCAST, destination[0] & 1 != 0);
        Ok(Self { vlan: frame.headers.vlan, source, to_all, to_group, kind })
    }
}

/// IGMP, MLD, Multicast Router Discovery and beacons stay on their LAN: no node sends one to another.
#[inline(always)]
pub(crate) fn never_crosses(frame: &Frame<'_>) -> bool {
    let Some(to) = frame.destination() else { return false };
    match frame.ip() {
        Some(ip) if to[0] & 1 == 0 => ip.is_membership(),
        Some(ip) => ip.is_membership() || ip.is_router_discovery() || (to == BEACON_MAC_V4 && ip.is_beacon()),
        None => frame.headers.ethertype == ETHERTYPE_BEACON && to == BEACON_GROUP,
    }
}

fn to_one(destination: Mac, ethertype: u16, ip: Option<Ip<'_>>) -> FrameKind {
    match ip {
        _ if ethertype == ETHERTYPE_ARP => FrameKind::PuntUnicast(destination),
        Some(ip) if ip.is_membership() => FrameKind::Punt,
        Some(ip) if ip.is_dhcp() || ip.is_neighbour_discovery() => FrameKind::PuntUnicast(destination),
        Some(ip) if ip.packet.protocol == PROTOCOL_UDP && looks_like_ours(ip.upper) => {
            FrameKind::Encapsulated(destination)
        }
        _ => FrameKind::Unicast(destination),
    }
}

#[inline(always)]
fn to_many(destination: Mac, ethertype: u16, ip: Option<Ip<'_>>) -> Result<FrameKind, Reason> {
    if destination.starts_with(&[0x01, 0x80, 0xC2, 0x00, 0x00]) && destination[5] < 0x10 {
        return Err(Reason::MacReserved);
    }
    match (ethertype, ip) {
        (ETHERTYPE_ARP, _) => Ok(FrameKind::Punt),
        (_, Some(ip)) => ip_to_many(destination, &ip),
        _ if destination == BROADCAST => Ok(FrameKind::Broadcast),
        (ETHERTYPE_IPV4 | ETHERTYPE_IPV6, None) => Err(Reason::FrameMalformed),
        _ => Ok(FrameKind::Flood),
    }
}

#[inline(always)]
fn ip_to_many(destination: Mac, ip: &Ip<'_>) -> Result<FrameKind, Reason> {
    if ip.is_of_the_link() {
        return Ok(FrameKind::Punt);
    }
    let kind = if destination == BROADCAST { FrameKind::Broadcast } else { to_group(destination, ip)? };
    let copied = ip.is_dhcp() || ip.is_snooped_pim() || ip.is_mdns_response();
    Ok(if copied { kind.copied() } else { kind })
}

/// IPv6 groups go by their scope, whatever their flags (RFC 4291 section 2.7): 0 and 1 leave no host.
#[inline(always)]
pub(crate) fn to_group(mac: Mac, ip: &Ip<'_>) -> Result<FrameKind, Reason> {
    let (Some(group), Some(source)) = (ip.destination(), ip.source()) else { return Ok(FrameKind::Flood) };
    match group {
        IpAddr::V4(address) => match address.octets() {
            [224..=239, b, c, d] if mac != [0x01, 0x00, 0x5E, b & 0x7F, c, d] => Ok(FrameKind::Flood),
            _ if ip.is_beacon() => Ok(FrameKind::Beacon),
            [224, 0, 0, _] => Ok(FrameKind::Broadcast),
            [224..=239, ..] => Ok(FrameKind::Group { group, source }),
            _ => Ok(FrameKind::Flood),
        },
        IpAddr::V6(address) => match address.octets() {
            [0xFF, .., a, b, c, d] if mac != [0x33, 0x33, a, b, c, d] => Ok(FrameKind::Flood),
            [0xFF, second, ..] => match second & 0x0F {
                0 | 1 => Err(Reason::GroupScope),
                2 => Ok(FrameKind::Broadcast),
                _ => Ok(FrameKind::Group { group, source }),
            },
            _ => Ok(FrameKind::Flood),
        },
    }
}

impl FrameKind {
    /// The same with a copy for Python; what goes to a routed group, or to another MAC than its address's, never has one.
    fn copied(self) -> Self {
        match self {
            Self::Broadcast => Self::PuntBroadcast,
            other => other,
        }
    }
}

/// The protocol of the upper layer.
impl Ip<'_> {
    /// The type of an ICMPv6 message.
    pub(crate) fn icmpv6_type(&self) -> Option<u8> {
        let is_icmpv6 = self.packet.version == Version::V6 && self.packet.protocol == PROTOCOL_ICMPV6;
        self.upper.first().copied().filter(|_| is_icmpv6)
    }

    /// IGMP of types that we know, or whose type is in another fragment (others are to be flooded: RFC 4541 section 2.1.1); MLD.
    pub(crate) fn is_membership(&self) -> bool {
        let known = |first: &u8| matches!(first, 0x11 | 0x12 | 0x16 | 0x17 | 0x22 | 0x30..=0x32);
        match self.packet.version {
            Version::V4 => self.packet.protocol == PROTOCOL_IGMP && self.upper.first().is_none_or(known),
            Version::V6 => matches!(self.icmpv6_type(), Some(130..=132 | 143)),
        }
    }

    /// Membership, Neighbor Discovery and Multicast Router Discovery: what never crosses on its own.
    #[inline(always)]
    pub(crate) fn is_of_the_link(&self) -> bool {
        self.is_membership() || self.is_neighbour_discovery() || self.is_router_discovery()
    }

    fn is_beacon(&self) -> bool {
        self.packet.protocol == PROTOCOL_EXPERIMENT && self.destination().is_some_and(|to| to == BEACON_GROUP_V4)
    }

    fn is_neighbour_discovery(&self) -> bool {
        matches!(self.icmpv6_type(), Some(133..=137))
    }

    /// Multicast Router Discovery over IPv6 (RFC 4286 section 3); over IPv4 it is IGMP.
    fn is_router_discovery(&self) -> bool {
        matches!(self.icmpv6_type(), Some(151..=153))
    }

    /// DHCP from a server, or to one; DHCPv6 from one.
    fn is_dhcp(&self) -> bool {
        let port = |at| self.upper_port(at);
        match self.packet.version {
            Version::V4 => port(0) == Some(PORT_DHCP_SERVER) || port(2) == Some(PORT_DHCP_SERVER),
            Version::V6 => port(0) == Some(PORT_DHCPV6_SERVER),
        }
    }

    /// UDP's source port, at 0, or destination port, at 2.
    fn upper_port(&self, at: usize) -> Option<u16> {
        u16_at(self.upper, at).filter(|_| self.packet.protocol == PROTOCOL_UDP)
    }

    /// A UDP datagram to the mDNS group that gives names (RFC 6762 section 18.2).
    fn is_mdns_response(&self) -> bool {
        let is_response = self.upper.get(MDNS_FLAGS).is_some_and(|flags| flags & RESPONSE != 0);
        is_response && self.upper_port(2) == Some(PORT_MDNS) && self.is_to(MDNS_V4, MDNS_V6)
    }

    /// PIM and Multicast Router Discovery, as RFC 8220 snoops them.
    fn is_snooped_pim(&self) -> bool {
        let is_snooped = matches!(self.upper.first(), Some(&(PIM_HELLO | PIM_JOIN_PRUNE)));
        is_snooped && self.packet.protocol == PROTOCOL_PIM && self.is_to(ALL_PIM_ROUTERS_V4, ALL_PIM_ROUTERS_V6)
    }

    fn is_to(&self, v4: Ipv4Addr, v6: Ipv6Addr) -> bool {
        self.destination().is_some_and(|destination| destination == v4 || destination == v6)
    }
}
