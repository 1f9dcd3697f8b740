//! Forward (`docs/protocol.md` section 4): datagrams of nodes that cannot reach each other, by the nodes between them.
//!
//! The datagram inside is sealed from end to end, or a handshake: who sends it on can neither read it nor make another of it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::datagram::{array_at, u32_at, DatagramType, AEAD_TAG_LEN, MIN_SESSION_LEN};
use crate::path::Endpoint;
use crate::reason::Reason;
use crate::session::SESSION_BODY_OFFSET;

/// Length of the header before the inner datagram.
pub const FORWARD_HEADER_LEN: usize = 12;
/// Where the inner datagram starts.
pub const INNER_DATAGRAM_OFFSET: usize = SESSION_BODY_OFFSET + FORWARD_HEADER_LEN;
/// Bytes of a session datagram around an inner datagram.
pub const FORWARD_OVERHEAD: usize = INNER_DATAGRAM_OFFSET + AEAD_TAG_LEN;
/// Links that a datagram takes at most.
pub const HOP_LIMIT: u8 = 8;
/// Where the hop limit lies in the header.
pub(crate) const HOP_LIMIT_AT: usize = 8;
/// Where a session is that has a route and no path, and where its datagrams come from: nobody is there.
pub const NO_PATH: Endpoint =
    Endpoint { socket: 0, address: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)) };

/// The header before the inner datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardHeader {
    /// The node that the inner datagram is for.
    pub destination: u32,
    /// The node that it is from, as the neighbour claims.
    pub source: u32,
    /// Links that it may take yet.
    pub hop_limit: u8,
}

impl ForwardHeader {
    /// The header of a datagram that begins its way here.
    pub fn first(destination: u32, source: u32) -> Self {
        Self { destination, source, hop_limit: HOP_LIMIT }
    }

    /// Reads the header before an inner datagram that can be one.
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let word = |offset| u32_at(body, offset).ok_or(Reason::ForwardMalformed);
        let [hop_limit, reserved @ ..]: [u8; 4] = array_at(body, HOP_LIMIT_AT).ok_or(Reason::ForwardMalformed)?;
        let header = Self { destination: word(0)?, source: word(4)?, hop_limit: hop_limit.min(HOP_LIMIT) };
        let inner = body.get(FORWARD_HEADER_LEN..).unwrap_or_default();
        let known = matches!(DatagramType::of(inner), Ok(DatagramType::Session | DatagramType::Handshake));
        let nodes = header.destination != 0 && header.source != 0 && header.destination != header.source;
        if !known || !nodes || hop_limit == 0 || reserved != [0; 3] || inner.len() < MIN_SESSION_LEN {
            return Err(Reason::ForwardMalformed);
        }
        Ok(header)
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; FORWARD_HEADER_LEN] {
        let [d0, d1, d2, d3] = self.destination.to_be_bytes();
        let [s0, s1, s2, s3] = self.source.to_be_bytes();
        [d0, d1, d2, d3, s0, s1, s2, s3, self.hop_limit, 0, 0, 0]
    }
}
