//! What kind of Ethernet frame a host sent: everything that the bytes alone can say (RFC 4541's view of a frame).
//!
//! No tables here: see [`crate::tables`]. A frame that no rule of ours claims is carried as a bridge would: to its MAC, or, from a
//! group's MAC, to all. 802.1Q tags are read once; what lies behind a second one, or behind one of 802.1ad, is not looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::datagram::{array_at, looks_like_ours, u16_at};
use crate::iana::{ETHERTYPE_ARP, ETHERTYPE_BEACON, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
use crate::iana::{PROTOCOL_ICMPV6, PROTOCOL_IGMP, PROTOCOL_PIM, PROTOCOL_UDP};
use crate::reason::Reason;

/// A MAC address.
pub type Mac = [u8; 6];

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
/// Of beacons, which no other use of their EtherType shares.
const BEACON_GROUP: Mac = [0x03, 0x54, 0x43, 0x00, 0x00, 0x01];
/// Extension headers walked before giving up; a real packet has one or two.
const MAX_EXTENSION_HEADERS: usize = 8;

/// What is to be done with a frame, before any table is asked.
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
    /// To one MAC.
    Unicast(Mac),
    /// To one MAC, and what it carries begins like a datagram of ours.
    Nested(Mac),
    /// To all nodes: broadcast, 224.0.0.0/24, IPv6 groups of link-local scope.
    Broadcast,
    /// To a group's MAC, and no group's: not IP, tagged twice, or to another address than the MAC's. To all nodes.
    Flood,
    /// To a group's subscribers.
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
    /// To the broadcast MAC?
    pub to_all: bool,
    /// To a group's MAC, or to the broadcast MAC?
    pub to_group: bool,
    /// Its kind.
    pub kind: FrameKind,
}

impl FrameFacts {
    /// Reads a frame; total over all byte strings.
    pub fn of(frame: &[u8]) -> Result<Self, Reason> {
        let destination: Mac = array_at(frame, 0).ok_or(Reason::FrameShort)?;
        let source: Mac = array_at(frame, 6).ok_or(Reason::FrameShort)?;
        let outer = u16_at(frame, 12).ok_or(Reason::FrameShort)?;
        let (vlan, ethertype, payload) = if outer == ETHERTYPE_VLAN {
            let tag = u16_at(frame, 14).ok_or(Reason::FrameShort)?;
            (tag & 0x0FFF, u16_at(frame, 16).ok_or(Reason::FrameShort)?, frame.get(18..))
        } else {
            (0, outer, frame.get(14..))
        };
        let payload = payload.ok_or(Reason::FrameShort)?;
        let kind = if ethertype == ETHERTYPE_BEACON && destination == BEACON_GROUP {
            FrameKind::Beacon
        } else if destination[0] & 1 == 0 {
            unicast(destination, ethertype, payload)
        } else {
            group_addressed(destination, ethertype, payload)?
        };
        Ok(Self { vlan, source, to_all: destination == BROADCAST, to_group: destination[0] & 1 != 0, kind })
    }
}

fn unicast(destination: Mac, ethertype: u16, payload: &[u8]) -> FrameKind {
    match ethertype {
        ETHERTYPE_ARP => FrameKind::PuntUnicast(destination),
        ETHERTYPE_IPV4 => match Ipv4::parse(payload) {
            Ok(ip) if ip.is_membership() => FrameKind::Punt,
            Ok(ip) if ip.is_dhcp() => FrameKind::PuntUnicast(destination),
            Ok(ip) if ip.protocol == PROTOCOL_UDP && looks_like_ours(ip.rest) => FrameKind::Nested(destination),
            _ => FrameKind::Unicast(destination),
        },
        ETHERTYPE_IPV6 => match Ipv6::parse(payload) {
            Ok(ip) => match ip.icmp_type() {
                Some(130..=132 | 143) => FrameKind::Punt,
                Some(133..=137) => FrameKind::PuntUnicast(destination),
                None if ip.is_server_reply() => FrameKind::PuntUnicast(destination),
                None if ip.is_udp_like_ours() => FrameKind::Nested(destination),
                _ => FrameKind::Unicast(destination),
            },
            Err(_) => FrameKind::Unicast(destination),
        },
        _ => FrameKind::Unicast(destination),
    }
}

fn group_addressed(destination: Mac, ethertype: u16, payload: &[u8]) -> Result<FrameKind, Reason> {
    if destination.starts_with(&[0x01, 0x80, 0xC2, 0x00, 0x00]) && destination[5] < 0x10 {
        return Err(Reason::MacReserved);
    }
    let kind = match ethertype {
        ETHERTYPE_ARP => Ok(FrameKind::Punt),
        ETHERTYPE_IPV4 => Ipv4::parse(payload).and_then(|ip| ip.to_group_mac(destination)),
        ETHERTYPE_IPV6 => Ipv6::parse(payload).and_then(|ip| ip.to_group_mac(destination)),
        _ => Ok(FrameKind::Flood),
    };
    match kind {
        Ok(FrameKind::Flood) | Err(_) if destination == BROADCAST => Ok(FrameKind::Broadcast),
        kind => kind,
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

pub(crate) struct Ipv4<'a> {
    pub(crate) protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    /// What follows the header; empty in all fragments but the first.
    pub(crate) rest: &'a [u8],
}

impl<'a> Ipv4<'a> {
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, Reason> {
        let header: [u8; 20] = array_at(packet, 0).ok_or(Reason::FrameMalformed)?;
        let header_len = usize::from(header[0] & 0x0F) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || header_len < 20 || total_len < header_len || total_len > packet.len() {
            return Err(Reason::FrameMalformed);
        }
        let address = |at| array_at::<4>(&header, at).map(Ipv4Addr::from).ok_or(Reason::FrameMalformed);
        let later_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1FFF != 0;
        let rest = if later_fragment { &[] } else { packet.get(header_len..total_len).unwrap_or_default() };
        Ok(Self { protocol: header[9], source: address(12)?, destination: address(16)?, rest })
    }

    /// From a server, or to one.
    fn is_dhcp(&self) -> bool {
        let port = |at| u16_at(self.rest, at) == Some(PORT_DHCP_SERVER);
        self.protocol == PROTOCOL_UDP && (port(0) || port(2))
    }

    fn is_mdns_response(&self) -> bool {
        self.protocol == PROTOCOL_UDP && self.destination == MDNS_V4 && is_mdns_response(self.rest)
    }

    /// IGMP of types that we know, or whose type is in another fragment. Others are to be flooded (RFC 4541 section 2.1.1).
    fn is_membership(&self) -> bool {
        let known = |first: &u8| matches!(first, 0x11 | 0x12 | 0x16 | 0x17 | 0x22 | 0x30..=0x32);
        self.protocol == PROTOCOL_IGMP && self.rest.first().is_none_or(known)
    }

    fn to_group_mac(&self, mac: Mac) -> Result<FrameKind, Reason> {
        if self.is_membership() {
            return Ok(FrameKind::Punt);
        }
        let copied = self.is_dhcp() || self.is_snooped_pim() || self.is_mdns_response();
        let kind = if mac == BROADCAST { FrameKind::Broadcast } else { self.group(mac) };
        Ok(if copied { kind.copied() } else { kind })
    }

    fn is_snooped_pim(&self) -> bool {
        let to_routers = self.protocol == PROTOCOL_PIM && self.destination == ALL_PIM_ROUTERS_V4;
        to_routers && is_snooped_pim(self.rest)
    }

    fn group(&self, mac: Mac) -> FrameKind {
        let [first, b, c, d] = self.destination.octets();
        if first & 0xF0 != 0xE0 || mac != [0x01, 0x00, 0x5E, b & 0x7F, c, d] {
            return FrameKind::Flood;
        }
        if [first, b, c] == [224, 0, 0] {
            return FrameKind::Broadcast;
        }
        FrameKind::Group { group: self.destination.into(), source: self.source.into() }
    }
}

pub(crate) struct Ipv6<'a> {
    source: Ipv6Addr,
    destination: Ipv6Addr,
    /// The upper layer's protocol, and its bytes; None where there is none to be found.
    pub(crate) upper: Option<(u8, &'a [u8])>,
}

impl<'a> Ipv6<'a> {
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, Reason> {
        let header: [u8; 40] = array_at(packet, 0).ok_or(Reason::FrameMalformed)?;
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 || payload_len > packet.len() - 40 {
            return Err(Reason::FrameMalformed);
        }
        let address = |at| array_at::<16>(&header, at).map(Ipv6Addr::from).ok_or(Reason::FrameMalformed);
        let upper = upper_layer(header[6], packet.get(40..).unwrap_or_default());
        Ok(Self { source: address(8)?, destination: address(24)?, upper })
    }

    fn icmp_type(&self) -> Option<u8> {
        let (protocol, rest) = self.upper?;
        rest.first().copied().filter(|_| protocol == PROTOCOL_ICMPV6)
    }

    fn is_server_reply(&self) -> bool {
        let from_server = |rest| u16_at(rest, 0) == Some(PORT_DHCPV6_SERVER);
        self.upper.is_some_and(|(protocol, rest)| protocol == PROTOCOL_UDP && from_server(rest))
    }

    fn is_udp_like_ours(&self) -> bool {
        self.upper.is_some_and(|(protocol, rest)| protocol == PROTOCOL_UDP && looks_like_ours(rest))
    }

    fn is_snooped_pim(&self) -> bool {
        let pim = self.upper.is_some_and(|(protocol, rest)| protocol == PROTOCOL_PIM && is_snooped_pim(rest));
        pim && self.destination == ALL_PIM_ROUTERS_V6
    }

    fn is_mdns_response(&self) -> bool {
        let response = self.upper.is_some_and(|(protocol, rest)| protocol == PROTOCOL_UDP && is_mdns_response(rest));
        response && self.destination == MDNS_V6
    }

    fn to_group_mac(&self, mac: Mac) -> Result<FrameKind, Reason> {
        if matches!(self.icmp_type(), Some(130..=137 | 143 | 151..=153)) {
            return Ok(FrameKind::Punt);
        }
        let copied = self.is_server_reply() || self.is_snooped_pim() || self.is_mdns_response();
        let kind = if mac == BROADCAST { FrameKind::Broadcast } else { self.group(mac)? };
        Ok(if copied { kind.copied() } else { kind })
    }

    /// By its scope, whatever its flags (RFC 4291 section 2.7): 0 and 1 leave no host.
    fn group(&self, mac: Mac) -> Result<FrameKind, Reason> {
        let octets = self.destination.octets();
        let [.., a, b, c, d] = octets;
        if octets[0] != 0xFF || mac != [0x33, 0x33, a, b, c, d] {
            return Ok(FrameKind::Flood);
        }
        match octets[1] & 0x0F {
            0 | 1 => Err(Reason::GroupScope),
            2 => Ok(FrameKind::Broadcast),
            _ => Ok(FrameKind::Group { group: self.destination.into(), source: self.source.into() }),
        }
    }
}

/// What RFC 8220 snoops: who is a router, and what it asks the others for.
fn is_snooped_pim(message: &[u8]) -> bool {
    matches!(message.first(), Some(&(PIM_HELLO | PIM_JOIN_PRUNE)))
}

/// Whether a UDP datagram to the mDNS group gives names (RFC 6762 section 18.2).
fn is_mdns_response(datagram: &[u8]) -> bool {
    let is_response = datagram.get(MDNS_FLAGS).is_some_and(|flags| flags & RESPONSE != 0);
    is_response && u16_at(datagram, 2) == Some(PORT_MDNS)
}

/// The protocol behind the extension headers (RFC 8200 section 4) and its bytes; None where there is none to be found, as in
/// all fragments but the first.
pub(crate) fn upper_layer(mut next_header: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..MAX_EXTENSION_HEADERS {
        let length = match next_header {
            0 | 43 | 60 => usize::from(*rest.get(1)?) * 8 + 8,
            51 => usize::from(*rest.get(1)?) * 4 + 8,
            44 if u16_at(rest, 2)? & 0xFFF8 == 0 => 8,
            44 => return None,
            _ => return Some((next_header, rest)),
        };
        next_header = *rest.first()?;
        rest = rest.get(length..)?;
    }
    None
}
