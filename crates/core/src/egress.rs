//! Which port of this node gets a frame: by what its head says, and by what the hosts on the port want.
//!
//! The ports are asked only while the node has more than the TAP. The TAP gets all, but for groups once it is *selective*; a packet
//! port (a Wi-Fi station: no frames of other machines, no tags) gets groups that its hosts want and link-local groups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::datagram::{array_at, u16_at};
use crate::forwarding_tables::ForwardingTables;
use crate::frame::Mac;
use crate::iana::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
use crate::iana::{PROTOCOL_HOP_BY_HOP, PROTOCOL_ICMPV6, PROTOCOL_IGMP};

/// What matters of a frame when it leaves by a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// To a group that hosts ask for.
    Group {
        /// The 802.1Q VLAN id.
        vlan: u16,
        /// The IP destination.
        group: IpAddr,
        /// The IP source.
        source: IpAddr,
    },
    /// To a group of the link, which all get (RFC 4541 section 2.1.2), untagged.
    LinkGroup,
    /// Anything else: unicast, broadcast, and what speaks of MAC addresses or of membership on its own link.
    Other,
}

impl Leaving {
    /// Reads the head of a frame: total over all byte strings, and content with the headers of a super-frame.
    pub fn of(head: &[u8]) -> Self {
        Self::read(head).unwrap_or(Self::Other)
    }

    fn read(head: &[u8]) -> Option<Self> {
        let destination: Mac = array_at(head, 0)?;
        let (vlan, at) =
            if u16_at(head, 12)? == ETHERTYPE_VLAN { (Some(u16_at(head, 14)? & 0x0FFF), 16) } else { (None, 12) };
        let packet = head.get(at + 2..)?;
        let (link_group, group, source): (bool, IpAddr, IpAddr) = match (u16_at(head, at)?, destination) {
            (ETHERTYPE_IPV4, [0x01, 0x00, 0x5E, ..]) => {
                let group: [u8; 4] = array_at(packet, 16)?;
                if *packet.get(9)? == PROTOCOL_IGMP {
                    return None;
                }
                (group.starts_with(&[224, 0, 0]), group.into(), array_at::<4>(packet, 12).map(Ipv4Addr::from)?.into())
            }
            (ETHERTYPE_IPV6, [0x33, 0x33, ..]) => {
                let group: [u8; 16] = array_at(packet, 24)?;
                if speaks_of_the_link(packet)? {
                    return None;
                }
                (group[1] & 0x0F <= 2, group.into(), array_at::<16>(packet, 8).map(Ipv6Addr::from)?.into())
            }
            _ => return None,
        };
        match (link_group, vlan) {
            (false, _) => Some(Self::Group { vlan: vlan.unwrap_or(0), group, source }),
            (true, None) => Some(Self::LinkGroup),
            (true, Some(_)) => None,
        }
    }
}

/// Neighbor Discovery, MLD and Multicast Router Discovery, behind hop-by-hop options or not.
fn speaks_of_the_link(packet: &[u8]) -> Option<bool> {
    let (protocol, at) = match *packet.get(6)? {
        PROTOCOL_HOP_BY_HOP => (*packet.get(40)?, 48 + usize::from(*packet.get(41)?) * 8),
        other => (other, 40),
    };
    Some(protocol == PROTOCOL_ICMPV6 && matches!(packet.get(at), Some(130..=137 | 143 | 151..=153)))
}

impl ForwardingTables {
    /// Does this frame go out by this port, if that forwards?
    pub fn goes_out(&self, number: u32, leaving: &Leaving) -> bool {
        let Some(port) = self.port(number) else { return false };
        match leaving {
            Leaving::Other => !port.is_packet_port(),
            Leaving::LinkGroup => true,
            Leaving::Group { vlan, .. } if *vlan != 0 && port.is_packet_port() => false,
            Leaving::Group { .. } if !port.is_selective() => true,
            Leaving::Group { vlan, group, source } => self.source_filters.accept(number, *vlan, *group, source),
        }
    }
}
