//! Kinds of frames for Python: each has a bound and a rate of its own in [`crate::events`].

use crate::datagram::u16_at;
use crate::frame::{Ipv4, Ipv6, PORT_DHCPV6_SERVER, PORT_DHCP_SERVER, PORT_MDNS};
use crate::iana::{ETHERTYPE_BEACON, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
use crate::iana::{PROTOCOL_ICMPV6, PROTOCOL_IGMP, PROTOCOL_PIM, PROTOCOL_UDP};

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
    /// DHCP of clients.
    DhcpClients,
    /// mDNS responses.
    Mdns,
}

impl PuntKind {
    /// Of a frame that is to be punted.
    pub fn of(frame: &[u8]) -> Self {
        let at = if u16_at(frame, 12) == Some(ETHERTYPE_VLAN) { 16 } else { 12 };
        let packet = frame.get(at + 2..).unwrap_or_default();
        match u16_at(frame, at) {
            Some(ETHERTYPE_BEACON) => Self::Beacons,
            Some(ETHERTYPE_IPV4) => match Ipv4::parse(packet).map(|ip| (ip.protocol, ip.rest)) {
                Ok((PROTOCOL_IGMP, _)) => Self::Igmp,
                Ok((PROTOCOL_UDP, datagram)) => match (u16_at(datagram, 0), u16_at(datagram, 2)) {
                    (Some(PORT_DHCP_SERVER), _) => Self::Dhcp,
                    (_, Some(PORT_MDNS)) => Self::Mdns,
                    _ => Self::DhcpClients,
                },
                Ok((PROTOCOL_PIM, _)) => Self::Routers,
                _ => Self::Neighbours,
            },
            Some(ETHERTYPE_IPV6) => match Ipv6::parse(packet).ok().and_then(|ip| ip.upper) {
                Some((PROTOCOL_ICMPV6, [130..=132 | 143, ..])) => Self::Mld,
                Some((PROTOCOL_ICMPV6, [151..=153, ..]) | (PROTOCOL_PIM, _)) => Self::Routers,
                Some((PROTOCOL_UDP, datagram)) if u16_at(datagram, 0) == Some(PORT_DHCPV6_SERVER) => Self::Dhcp,
                Some((PROTOCOL_UDP, _)) => Self::Mdns,
                _ => Self::Neighbours,
            },
            _ => Self::Neighbours,
        }
    }
}
