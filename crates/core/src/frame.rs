//! What kind of Ethernet frame a host sent: everything that the bytes alone can say (RFC 4541's view of a frame).
//!
//! No tables here: see [`crate::plane`]. 802.1Q tags are read once; a frame tagged twice counts as not IP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::datagram::{array_at, u16_at};
use crate::reason::Reason;

/// A MAC address.
pub type Mac = [u8; 6];

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_IPV6: u16 = 0x86DD;
const PROTOCOL_IGMP: u8 = 2;
const PROTOCOL_ICMPV6: u8 = 58;
/// Extension headers walked before giving up; a real packet has one or two.
const MAX_EXTENSION_HEADERS: usize = 8;

/// What is to be done with a frame, before any table is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// IGMP, MLD, group-addressed ARP and ND: Python's alone.
    Punt,
    /// ARP and ND to one MAC: forwarded, and a copy for Python.
    PuntUnicast(Mac),
    /// To one MAC.
    Unicast(Mac),
    /// To all nodes: broadcast, 224.0.0.0/24, ff02::/16.
    Broadcast,
    /// To a group's subscribers.
    Group {
        /// The IP destination.
        group: IpAddr,
        /// The IP source.
        source: IpAddr,
    },
}

/// A frame's VLAN (0 when untagged) and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFacts {
    /// The 802.1Q VLAN id.
    pub vlan: u16,
    /// Its kind.
    pub kind: FrameKind,
}

impl FrameFacts {
    /// Reads a frame; total over all byte strings.
    pub fn of(frame: &[u8]) -> Result<Self, Reason> {
        let destination: Mac = array_at(frame, 0).ok_or(Reason::FrameShort)?;
        let outer = u16_at(frame, 12).ok_or(Reason::FrameShort)?;
        let (vlan, ethertype, payload) = if outer == ETHERTYPE_VLAN {
            let tag = u16_at(frame, 14).ok_or(Reason::FrameShort)?;
            (tag & 0x0FFF, u16_at(frame, 16).ok_or(Reason::FrameShort)?, frame.get(18..))
        } else {
            (0, outer, frame.get(14..))
        };
        let payload = payload.ok_or(Reason::FrameShort)?;
        let kind = if destination[0] & 1 == 0 {
            unicast(destination, ethertype, payload)
        } else {
            group_addressed(destination, ethertype, payload)?
        };
        Ok(Self { vlan, kind })
    }
}

fn unicast(destination: Mac, ethertype: u16, payload: &[u8]) -> FrameKind {
    match ethertype {
        ETHERTYPE_ARP => FrameKind::PuntUnicast(destination),
        ETHERTYPE_IPV4 if Ipv4::parse(payload).is_ok_and(|ip| ip.protocol == PROTOCOL_IGMP) => FrameKind::Punt,
        ETHERTYPE_IPV6 => match Ipv6::parse(payload).map(|ip| ip.icmp_type) {
            Ok(Some(130..=132 | 143)) => FrameKind::Punt,
            Ok(Some(133..=137)) => FrameKind::PuntUnicast(destination),
            _ => FrameKind::Unicast(destination),
        },
        _ => FrameKind::Unicast(destination),
    }
}

fn group_addressed(destination: Mac, ethertype: u16, payload: &[u8]) -> Result<FrameKind, Reason> {
    match ethertype {
        ETHERTYPE_ARP => Ok(FrameKind::Punt),
        ETHERTYPE_IPV4 => {
            let ip = Ipv4::parse(payload)?;
            if ip.protocol == PROTOCOL_IGMP {
                return Ok(FrameKind::Punt);
            }
            if destination == [0xFF; 6] {
                return Ok(FrameKind::Broadcast);
            }
            ip.group(destination)
        }
        ETHERTYPE_IPV6 => {
            let ip = Ipv6::parse(payload)?;
            match ip.icmp_type {
                Some(130..=137 | 143) => Ok(FrameKind::Punt),
                _ if destination == [0xFF; 6] => Ok(FrameKind::Broadcast),
                _ => ip.group(destination),
            }
        }
        _ if destination == [0xFF; 6] => Ok(FrameKind::Broadcast),
        _ if destination.starts_with(&[0x01, 0x80, 0xC2, 0x00, 0x00]) && destination[5] < 0x10 => {
            Err(Reason::MacReserved)
        }
        _ => Err(Reason::MulticastNotIp),
    }
}

struct Ipv4 {
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
}

impl Ipv4 {
    fn parse(packet: &[u8]) -> Result<Self, Reason> {
        let header: [u8; 20] = array_at(packet, 0).ok_or(Reason::FrameMalformed)?;
        let header_len = usize::from(header[0] & 0x0F) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || header_len < 20 || total_len < header_len || total_len > packet.len() {
            return Err(Reason::FrameMalformed);
        }
        let address = |at| array_at::<4>(&header, at).map(Ipv4Addr::from).ok_or(Reason::FrameMalformed);
        Ok(Self { protocol: header[9], source: address(12)?, destination: address(16)? })
    }

    fn group(&self, mac: Mac) -> Result<FrameKind, Reason> {
        let [first, b, c, d] = self.destination.octets();
        if first & 0xF0 != 0xE0 || mac != [0x01, 0x00, 0x5E, b & 0x7F, c, d] {
            return Err(Reason::MulticastMacMismatch);
        }
        if [first, b, c] == [224, 0, 0] {
            return Ok(FrameKind::Broadcast);
        }
        Ok(FrameKind::Group { group: self.destination.into(), source: self.source.into() })
    }
}

struct Ipv6 {
    source: Ipv6Addr,
    destination: Ipv6Addr,
    icmp_type: Option<u8>,
}

impl Ipv6 {
    fn parse(packet: &[u8]) -> Result<Self, Reason> {
        let header: [u8; 40] = array_at(packet, 0).ok_or(Reason::FrameMalformed)?;
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 || payload_len > packet.len() - 40 {
            return Err(Reason::FrameMalformed);
        }
        let address = |at| array_at::<16>(&header, at).map(Ipv6Addr::from).ok_or(Reason::FrameMalformed);
        let icmp_type = icmpv6_type(header[6], packet.get(40..).unwrap_or_default());
        Ok(Self { source: address(8)?, destination: address(24)?, icmp_type })
    }

    fn group(&self, mac: Mac) -> Result<FrameKind, Reason> {
        let octets = self.destination.octets();
        let [.., a, b, c, d] = octets;
        if octets[0] != 0xFF || mac != [0x33, 0x33, a, b, c, d] {
            return Err(Reason::MulticastMacMismatch);
        }
        match octets[1] {
            0x02 => Ok(FrameKind::Broadcast),
            scope if scope & 0x0F < 2 => Err(Reason::GroupScope),
            _ => Ok(FrameKind::Group { group: self.destination.into(), source: self.source.into() }),
        }
    }
}

/// The ICMPv6 type behind the extension headers (RFC 8200 section 4); None where there is none to be found.
fn icmpv6_type(mut next_header: u8, mut rest: &[u8]) -> Option<u8> {
    for _ in 0..MAX_EXTENSION_HEADERS {
        let length = match next_header {
            PROTOCOL_ICMPV6 => return rest.first().copied(),
            0 | 43 | 60 => usize::from(*rest.get(1)?) * 8 + 8,
            51 => usize::from(*rest.get(1)?) * 4 + 8,
            44 if u16_at(rest, 2)? & 0xFFF8 == 0 => 8,
            _ => return None,
        };
        next_header = *rest.first()?;
        rest = rest.get(length..)?;
    }
    None
}
