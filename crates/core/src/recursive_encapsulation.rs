//! Our own datagrams inside a host's frame: a link that runs over the LAN which this overlay carries would carry itself.
//!
//! [`crate::frame`] only looks at the first byte of a UDP payload, in passing. What that finds comes here to be looked at
//! closely: so other frames pay nothing, and what is no datagram of this network (another overlay of a host, for example) passes.

use std::net::SocketAddr;

use crate::datagram::{u16_at, DatagramType, UDP_HEADER_LEN};
use crate::forwarding_tables::ForwardingTables;
use crate::headers::Frame;
use crate::iana::PROTOCOL_UDP;

/// A UDP datagram inside a frame.
struct Udp<'a> {
    source: SocketAddr,
    destination: SocketAddr,
    payload: &'a [u8],
}

impl ForwardingTables {
    /// A handshake of this network, or a sealed datagram between here and where a peer is.
    pub(crate) fn is_recursively_encapsulated(&self, frame: &Frame<'_>) -> bool {
        let Some(udp) = Udp::of(frame) else { return false };
        match DatagramType::of(udp.payload) {
            Ok(DatagramType::Handshake) => self.mac.check(udp.payload).is_ok(),
            Ok(_) => [udp.destination, udp.source].iter().any(|address| self.peer_at(address).is_some()),
            Err(_) => false,
        }
    }
}

impl<'a> Udp<'a> {
    fn of(frame: &'a Frame<'a>) -> Option<Self> {
        let ip = frame.ip().filter(|ip| ip.packet.protocol == PROTOCOL_UDP)?;
        let udp = ip.upper;
        let length = usize::from(u16_at(udp, 4)?);
        Some(Self {
            source: (ip.source()?, u16_at(udp, 0)?).into(),
            destination: (ip.destination()?, u16_at(udp, 2)?).into(),
            payload: udp.get(UDP_HEADER_LEN..length).or(udp.get(UDP_HEADER_LEN..))?, // a super-frame's length may be 0
        })
    }
}
