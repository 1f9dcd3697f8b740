//! Kinds of frames for Python: each has a bound and a rate of its own in [`crate::events`].

use crate::datagram::u16_at;
use crate::frame::{PORT_DHCPV6_SERVER, PORT_DHCP_SERVER, PORT_MDNS};
use crate::headers::{Frame, Ip, Version};
use crate::iana::{ETHERTYPE_BEACON, PROTOCOL_EXPERIMENT, PROTOCOL_IGMP, PROTOCOL_PIM, PROTOCOL_UDP};

/// Kinds of frames that are handed over or copied.
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
    /// The kind of a frame that is to be punted.
    pub fn of(frame: &Frame<'_>) -> Self {
        match frame.ip() {
            Some(ip) => Self::of_packet(&ip),
            None if frame.headers.ethertype == ETHERTYPE_BEACON => Self::Beacons,
            None => Self::Neighbours,
        }
    }

    fn of_packet(ip: &Ip<'_>) -> Self {
        let ports = (u16_at(ip.upper, 0), u16_at(ip.upper, 2));
        match (ip.packet.version, ip.packet.protocol, ip.icmpv6_type()) {
            (Version::V6, _, Some(130..=132 | 143)) => Self::Mld,
            (Version::V6, _, Some(151..=153)) | (_, PROTOCOL_PIM, _) => Self::Routers,
            (Version::V4, PROTOCOL_IGMP, _) => Self::Igmp,
            (Version::V4, PROTOCOL_EXPERIMENT, _) => Self::Beacons,
            (Version::V4, PROTOCOL_UDP, _) => match ports {
                (Some(PORT_DHCP_SERVER), _) => Self::Dhcp,
                (_, Some(PORT_MDNS)) => Self::Mdns,
                _ => Self::DhcpClients,
            },
            (Version::V6, PROTOCOL_UDP, _) if ports.0 == Some(PORT_DHCPV6_SERVER) => Self::Dhcp,
            (Version::V6, PROTOCOL_UDP, _) => Self::Mdns,
            _ => Self::Neighbours,
        }
    }
}
