//! Which frames may be joined, and which follow one another: the rules of [`super::coalesce`], without its state.
//!
//! A joined frame gets a partial checksum, so its own checksums are lost: they are checked before. A frame whose
//! checksum is wrong is delivered alone and as it came, for the receiving host to refuse.

use super::checksum::{add, pseudo_header, same, sum, sum_header};
use super::PartialChecksum;
use crate::datagram::{array_at, u16_at, u32_at};
use crate::headers::{Fragmentation, Frame, Headers, Packet, Version, IPV4_LEN, TCP_FLAGS, TCP_LEN, UDP_LENGTH};
use crate::iana::{PROTOCOL_TCP, PROTOCOL_UDP};

/// TCP's push flag: it ends a super-frame.
pub const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const IPV4_DONT_FRAGMENT: u8 = 0x40;

/// A TCP segment or UDP datagram in its frame.
#[derive(Clone, Copy, Debug)]
pub struct TransportSegment<'a> {
    /// The whole frame.
    pub frame: &'a [u8],
    /// Its checksum, where that is partial.
    pub partial: Option<PartialChecksum>,
    /// Where things are in it.
    pub headers: Packet,
    vlan: u16,
    ethertype: u16,
    /// The payload; empty where the frame must stay alone.
    pub payload: &'a [u8],
    /// The node at which it entered the overlay.
    pub root: u32,
    ports: u32,
    addresses: &'a [u8],
}

impl<'a> TransportSegment<'a> {
    /// The segment of an opened frame. None where no flow is known: it is no TCP or UDP, or a fragment.
    #[inline(always)]
    pub fn of(frame: &Frame<'a>, partial: Option<PartialChecksum>, root: u32) -> Option<Self> {
        let Frame { bytes: frame, headers: Headers { vlan, ethertype, ip, .. } } = *frame;
        let headers = ip?;
        if headers.fragmentation != Fragmentation::Whole
            || !matches!(headers.protocol, PROTOCOL_TCP | PROTOCOL_UDP)
            || headers.transport + 4 > headers.end
        {
            return None;
        }
        let ports = u32_at(frame, headers.transport)?;
        let addresses = headers.addresses(frame)?;
        let mut segment = Self { frame, partial, headers, vlan, ethertype, payload: &[], root, ports, addresses };
        segment.payload = segment.joinable_payload().unwrap_or_default();
        Some(segment)
    }

    /// Its frame, of which these bytes are there.
    pub fn read<'b>(&self, bytes: &'b [u8]) -> Frame<'b> {
        let Self { vlan, ethertype, headers, .. } = *self;
        Frame { bytes, headers: Headers { vlan, ethertype, network: headers.network, ip: Some(headers) } }
    }

    /// Whether both have the same root, protocol, addresses and ports.
    pub fn same_flow(&self, other: &TransportSegment<'_>) -> bool {
        self.ports == other.ports
            && self.root == other.root
            && self.headers.protocol == other.headers.protocol
            && self.headers.version == other.headers.version
            && self.addresses == other.addresses
    }

    /// Offset of the payload.
    pub fn head_len(&self) -> usize {
        self.frame.len() - self.payload.len()
    }

    /// The TCP flags; 0 for UDP.
    pub fn tcp_flags(&self) -> u8 {
        if self.headers.protocol != PROTOCOL_TCP {
            return 0;
        }
        self.transport().get(TCP_FLAGS).copied().unwrap_or_default()
    }

    /// Whether `next` may stand in a super-frame that begins with `self` and holds `frames` frames with `payload_len`
    /// bytes of payload, by their headers. Both may be joined, and are of one flow.
    pub fn is_followed_by(&self, next: &TransportSegment<'_>, frames: usize, payload_len: usize) -> bool {
        self.headers.network == next.headers.network
            && self.head_len() == next.head_len()
            && self.frame.get(..self.headers.network) == next.frame.get(..next.headers.network)
            && self.same_ip(next, frames) == Some(true)
            && (self.headers.protocol == PROTOCOL_UDP || self.same_tcp(next, payload_len) == Some(true))
    }

    /// Whether a complete transport checksum is right, summed over all it covers. A partial one has been checked when
    /// the frame was classified.
    pub fn checksum_holds(&self) -> bool {
        let transport = self.transport();
        self.partial.is_some()
            || add(sum(transport), pseudo_header(self.addresses, self.headers.protocol, transport.len())) == 0xFFFF
    }

    fn transport(&self) -> &'a [u8] {
        self.frame.get(self.headers.transport..).unwrap_or_default()
    }

    /// The payload, where everything but a complete transport checksum speaks for joining.
    fn joinable_payload(&self) -> Option<&'a [u8]> {
        let headers = &self.headers;
        let payload = self.frame.get(headers.payload(self.frame)?..)?;
        if headers.options || headers.end != self.frame.len() {
            return None;
        }
        if headers.version == Version::V4 && sum_header::<IPV4_LEN>(&array_at(self.frame, headers.network)?) != 0xFFFF {
            return None;
        }
        let transport = self.transport();
        let protocol_fits = if headers.protocol == PROTOCOL_TCP {
            *transport.get(TCP_FLAGS)? & !PSH == ACK
        } else {
            usize::from(u16_at(transport, UDP_LENGTH)?) == transport.len()
        };
        let stored = u16_at(transport, headers.checksum_offset())?;
        let checksum_fits = match self.partial {
            Some(partial) => {
                usize::from(partial.start) == headers.transport
                    && usize::from(partial.offset) == headers.checksum_offset()
                    && same(stored, pseudo_header(self.addresses, headers.protocol, transport.len()))
            }
            // Zero is no checksum at all over UDP (RFC 768): none must appear in its place.
            None => headers.protocol == PROTOCOL_TCP || stored != 0,
        };
        (protocol_fits && checksum_fits).then_some(payload)
    }

    /// The IP headers but for length, identification and checksum. Identifications of packets that may be fragmented
    /// must count up, because they will when the super-frame is cut up again (RFC 6864).
    fn same_ip(&self, next: &TransportSegment<'_>, frames: usize) -> Option<bool> {
        let (at, other) = (self.headers.network, next.frame);
        if self.headers.version == Version::V6 {
            let same_start = array_at::<4>(self.frame, at)? == array_at(other, at)?;
            return Some(same_start && array_at::<2>(self.frame, at + 6)? == array_at(other, at + 6)?);
        }
        let fragment_ttl_protocol = array_at::<4>(self.frame, at + 6)?;
        let [fragment, ..] = fragment_ttl_protocol;
        let id = u16_at(self.frame, at + 4)?.wrapping_add(frames as u16);
        Some(
            array_at::<2>(self.frame, at)? == array_at(other, at)?
                && fragment_ttl_protocol == array_at(other, at + 6)?
                && (fragment & IPV4_DONT_FRAGMENT != 0 || id == u16_at(other, at + 4)?),
        )
    }

    /// Next sequence number; equal acknowledgement, header length, window, urgent pointer and options.
    fn same_tcp(&self, next: &TransportSegment<'_>, payload_len: usize) -> Option<bool> {
        let (first, next) = (self.transport(), next.transport());
        let sequence = u32_at(first, 4)?.wrapping_add(payload_len as u32);
        let options = TCP_LEN..self.head_len().checked_sub(self.headers.transport)?;
        Some(
            sequence == u32_at(next, 4)?
                && array_at::<5>(first, 8)? == array_at(next, 8)?
                && array_at::<2>(first, 14)? == array_at(next, 14)?
                && array_at::<2>(first, 18)? == array_at(next, 18)?
                && first.get(options.clone())? == next.get(options)?,
        )
    }
}
