//! Frames by which a LAN configures its own hosts: router advertisements and DHCP. Between LANs that are one by the
//! overlay they stay on their own, unless the port's settings carry them.

use crate::datagram::u16_at;
use crate::headers::{Frame, Version};
use crate::iana::PROTOCOL_UDP;
use crate::reason::Reason;

/// A client's and a server's port: DHCP (RFC 2131 section 4.1), DHCPv6 (RFC 9915 section 7.2).
const DHCP: (u16, u16) = (68, 67);
const DHCPV6: (u16, u16) = (546, 547);

/// Kinds of frames that a LAN keeps to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptLocalKind {
    /// Router Solicitations and Advertisements, Redirects (RFC 4861 section 4).
    Routers,
    /// DHCP and DHCPv6 between clients and servers. What relay agents send to servers is addressed on purpose, and none.
    Dhcp,
}

impl KeptLocalKind {
    /// The kind of a frame that was read; the headers of a super-frame are enough.
    pub fn of(frame: &Frame<'_>) -> Option<Self> {
        let ip = frame.ip()?;
        let ports = match ip.packet.version {
            Version::V4 => DHCP,
            Version::V6 => DHCPV6,
        };
        match ip.icmpv6_type() {
            Some(133 | 134 | 137) => Some(Self::Routers),
            None if ip.packet.protocol == PROTOCOL_UDP && is_between(ip.upper, ports)? => Some(Self::Dhcp),
            _ => None,
        }
    }

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }

    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Routers => Reason::KeptLocalRa,
            Self::Dhcp => Reason::KeptLocalDhcp,
        }
    }
}

/// Messages that a client would take for an answer, and its requests to servers.
fn is_between(udp: &[u8], (client, server): (u16, u16)) -> Option<bool> {
    let (from, to) = (u16_at(udp, 0)?, u16_at(udp, 2)?);
    Some(to == client || (from, to) == (client, server))
}
