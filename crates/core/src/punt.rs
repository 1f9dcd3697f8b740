//! Kinds of frames for Python: each has a bound and a rate of its own in [`crate::events`].

use crate::datagram::u16_at;
use crate::frame::{Ipv4, Ipv6};
use crate::numbers::{ETHERTYPE_BEACON, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
use crate::numbers::{PROTOCOL_ICMPV6, PROTOCOL_IGMP, PROTOCOL_PIM, PROTOCOL_UDP};

/// What a frame that is handed over or copied is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntKind {
    /// ARP and ND; and what fits no other.
    Neighbours,
    /// IGMP.
    Igmp,
    /// MLD.
    Mld,
    /// DHCP and DHCPv6 of servers.
    Dhcp,
    /// PIM Hellos, Joins and Prunes, and Multicast Router Discovery over IPv6 (over IPv4 it is IGMP).
    Routers,
    /// Beacons of nodes on one LAN.
    Beacons,
}

impl PuntKind {
    /// Of a frame that is to be punted.
    pub fn of(frame: &[u8]) -> Self {
        let at = if u16_at(frame, 12) == Some(ETHERTYPE_VLAN) { 16 } else { 12 };
        let packet = frame.get(at + 2..).unwrap_or_default();
        match u16_at(frame, at) {
            Some(ETHERTYPE_BEACON) => Self::Beacons,
            Some(ETHERTYPE_IPV4) => match Ipv4::parse(packet).map(|ip| ip.protocol) {
                Ok(PROTOCOL_IGMP) => Self::Igmp,
                Ok(PROTOCOL_UDP) => Self::Dhcp,
                Ok(PROTOCOL_PIM) => Self::Routers,
                _ => Self::Neighbours,
            },
            Some(ETHERTYPE_IPV6) => match Ipv6::parse(packet).ok().and_then(|ip| ip.upper) {
                Some((PROTOCOL_ICMPV6, [130..=132 | 143, ..])) => Self::Mld,
                Some((PROTOCOL_ICMPV6, [151..=153, ..]) | (PROTOCOL_PIM, _)) => Self::Routers,
                Some((PROTOCOL_UDP, _)) => Self::Dhcp,
                _ => Self::Neighbours,
            },
            _ => Self::Neighbours,
        }
    }
}
