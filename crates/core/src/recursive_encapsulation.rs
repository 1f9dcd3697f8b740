//! Our own datagrams inside a host's frame: a link that runs over the LAN which this overlay carries would carry itself.
//!
//! [`crate::frame`] only looks at the first byte of a UDP payload, in passing. What that finds comes here to be looked at
//! closely: so other frames pay nothing, and what is no datagram of this network (another overlay of a host, say) passes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::datagram::{array_at, u16_at, DatagramType, UDP_HEADER_LEN};
use crate::forwarding_tables::ForwardingTables;
use crate::iana::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, PROTOCOL_UDP};

const IPV6_HEADER_LEN: usize = 40;

/// A UDP datagram inside a frame.
struct Udp<'a> {
    source: SocketAddr,
    destination: SocketAddr,
    payload: &'a [u8],
}

impl ForwardingTables {
    /// A handshake of this network, or a sealed datagram between here and where a peer is.
    pub(crate) fn carries_own_link(&self, frame: &[u8]) -> bool {
        let Some(udp) = Udp::of(frame) else { return false };
        match DatagramType::of(udp.payload) {
            Ok(DatagramType::Handshake) => self.mac.check(udp.payload).is_ok(),
            Ok(_) => [udp.destination, udp.source].iter().any(|address| self.peer_at(address).is_some()),
            Err(_) => false,
        }
    }
}

impl<'a> Udp<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let at = if u16_at(frame, 12)? == ETHERTYPE_VLAN { 16 } else { 12 };
        let packet = frame.get(at + 2..)?;
        let (source, destination, udp): (IpAddr, IpAddr, _) = match u16_at(frame, at)? {
            ETHERTYPE_IPV4 => {
                let header_len = usize::from(packet.first()? & 0x0F) * 4;
                let address = |at| array_at::<4>(packet, at).map(Ipv4Addr::from);
                (address(12)?.into(), address(16)?.into(), packet.get(header_len..)?)
            }
            ETHERTYPE_IPV6 if *packet.get(6)? == PROTOCOL_UDP => {
                let address = |at| array_at::<16>(packet, at).map(Ipv6Addr::from);
                (address(8)?.into(), address(24)?.into(), packet.get(IPV6_HEADER_LEN..)?)
            }
            _ => return None,
        };
        let length = usize::from(u16_at(udp, 4)?);
        Some(Self {
            source: (source, u16_at(udp, 0)?).into(),
            destination: (destination, u16_at(udp, 2)?).into(),
            payload: udp.get(UDP_HEADER_LEN..length).or(udp.get(UDP_HEADER_LEN..))?, // a super-frame's length may be 0
        })
    }
}
