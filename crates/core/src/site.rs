//! What a LAN says of itself to its own hosts: who routes there, which addresses it gives. Between LANs that are one by the
//! overlay it stays on its own, unless the port's settings carry it.

use crate::datagram::u16_at;
use crate::frame::upper_layer;
use crate::iana::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, PROTOCOL_ICMPV6, PROTOCOL_UDP};
use crate::reason::Reason;

/// A client's and a server's port: DHCP (RFC 2131 section 4.1), DHCPv6 (RFC 9915 section 7.2).
const DHCP: (u16, u16) = (68, 67);
const DHCPV6: (u16, u16) = (546, 547);

/// Of one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteWord {
    /// Router Solicitations and Advertisements, Redirects (RFC 4861 section 4).
    Routers,
    /// DHCP and DHCPv6 between clients and servers. What relay agents send to servers is addressed on purpose, and none.
    Dhcp,
}

impl SiteWord {
    /// Reads the head of a frame; total over all byte strings.
    pub fn of(head: &[u8]) -> Option<Self> {
        let at = if u16_at(head, 12)? == ETHERTYPE_VLAN { 16 } else { 12 };
        let packet = head.get(at + 2..)?;
        match u16_at(head, at)? {
            ETHERTYPE_IPV4 => {
                let first_fragment = u16_at(packet, 6)? & 0x1FFF == 0;
                let udp = packet.get(usize::from(packet.first()? & 0x0F) * 4..)?;
                (*packet.get(9)? == PROTOCOL_UDP && first_fragment && is_between(udp, DHCP)?).then_some(Self::Dhcp)
            }
            ETHERTYPE_IPV6 => match upper_layer(*packet.get(6)?, packet.get(40..)?)? {
                (PROTOCOL_ICMPV6, message) => matches!(message.first(), Some(133 | 134 | 137)).then_some(Self::Routers),
                (PROTOCOL_UDP, udp) => is_between(udp, DHCPV6)?.then_some(Self::Dhcp),
                _ => None,
            },
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

/// Whatever a client would take for an answer, and what it asks servers.
fn is_between(udp: &[u8], (client, server): (u16, u16)) -> Option<bool> {
    let (from, to) = (u16_at(udp, 0)?, u16_at(udp, 2)?);
    Some(to == client || (from, to) == (client, server))
}
