//! Where things are in a frame: Ethernet, at most one 802.1Q tag, IPv4 or IPv6, TCP or UDP.
//!
//! Offsets only, counted from the Ethernet header, each within the frame. What the frame is for is decided in
//! [`crate::frame`]; this parser is on the path of each segment and reads no more than super-frames need.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use crate::datagram::{array_at, u16_at};
use crate::iana::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, PROTOCOL_TCP, PROTOCOL_UDP};

/// Length of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Length of the IPv6 header.
pub const IPV6_LEN: usize = 40;
/// Length of a TCP header without options.
pub const TCP_LEN: usize = 20;
/// Length of a UDP header.
pub const UDP_LEN: usize = 8;
/// Offset of the total length in an IPv4 header.
pub const IPV4_LENGTH: usize = 2;
/// Offset of the header checksum in an IPv4 header.
pub const IPV4_CHECKSUM: usize = 10;
/// Offset of the payload length in an IPv6 header.
pub const IPV6_LENGTH: usize = 4;
/// Offset of the flags in a TCP header.
pub const TCP_FLAGS: usize = 13;
/// Offset of the checksum in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Offset of the length in a UDP header.
pub const UDP_LENGTH: usize = 4;
/// Offset of the checksum in a UDP header.
pub const UDP_CHECKSUM: usize = 6;

const ETHERNET_LEN: usize = 14;
const VLAN_TAG_LEN: usize = 4;
/// Extension headers walked before giving up; a real packet has one or two.
const MAX_EXTENSION_HEADERS: usize = 8;

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// Offsets of an IP packet in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// IPv4 or IPv6.
    pub version: Version,
    /// Offset of the IP header: 14, or 18 behind a tag.
    pub network: usize,
    /// Offset of what follows IP header, options and extension headers.
    pub transport: usize,
    /// Offset of the packet's end by its own length field; padding may follow.
    pub end: usize,
    /// IP protocol of what is at `transport`.
    pub protocol: u8,
    /// Whether the packet is a fragment: `transport` then holds no transport header to rely on.
    pub fragment: bool,
    /// Whether there are IPv4 options or IPv6 extension headers.
    pub options: bool,
}

impl Headers {
    /// Reads a frame; None where it is not IP, is cut off or contradicts itself.
    // Inlined, as all that hands over a whole record here: returned through memory it is written in small pieces and
    // read in large ones, which stalls the processor (75 ns instead of 46 for `Segmenter::new`).
    #[inline(always)]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (network, ethertype) = match u16_at(frame, ETHERNET_LEN - 2)? {
            ETHERTYPE_VLAN => (ETHERNET_LEN + VLAN_TAG_LEN, u16_at(frame, ETHERNET_LEN + VLAN_TAG_LEN - 2)?),
            ethertype => (ETHERNET_LEN, ethertype),
        };
        match ethertype {
            ETHERTYPE_IPV4 => ipv4(frame, network),
            ETHERTYPE_IPV6 => ipv6(frame, network),
            _ => None,
        }
    }

    /// Offset of the payload behind a TCP or UDP header; None for other protocols, fragments and what is cut off.
    pub fn payload(&self, frame: &[u8]) -> Option<usize> {
        let length = match self.protocol {
            _ if self.fragment => return None,
            PROTOCOL_UDP => UDP_LEN,
            PROTOCOL_TCP => usize::from(frame.get(self.transport + 12)? >> 4) * 4,
            _ => return None,
        };
        let payload = self.transport + length;
        (payload <= self.end && (self.protocol == PROTOCOL_UDP || length >= TCP_LEN)).then_some(payload)
    }

    /// Offset of the transport checksum from `transport`.
    pub fn checksum_offset(&self) -> usize {
        if self.protocol == PROTOCOL_TCP {
            TCP_CHECKSUM
        } else {
            UDP_CHECKSUM
        }
    }

    /// Source and destination address, as they stand in the header.
    pub fn addresses<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        match self.version {
            Version::V4 => frame.get(self.network + 12..self.network + 20),
            Version::V6 => frame.get(self.network + 8..self.network + 40),
        }
    }
}

#[inline(always)]
fn ipv4(frame: &[u8], network: usize) -> Option<Headers> {
    let header: [u8; IPV4_LEN] = array_at(frame, network)?;
    let [version_length, _, l0, l1, _, _, f0, f1, _, protocol, ..] = header;
    let header_len = usize::from(version_length & 0x0F) * 4;
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    let end = network + total_len;
    if version_length >> 4 != 4 || header_len < IPV4_LEN || total_len < header_len || end > frame.len() {
        return None;
    }
    Some(Headers {
        version: Version::V4,
        network,
        transport: network + header_len,
        end,
        protocol,
        fragment: u16::from_be_bytes([f0, f1]) & 0x3FFF != 0,
        options: header_len != IPV4_LEN,
    })
}

#[inline(always)]
fn ipv6(frame: &[u8], network: usize) -> Option<Headers> {
    let [version, _, _, _, l0, l1, next_header, _] = array_at(frame, network)?;
    let end = network + IPV6_LEN + usize::from(u16::from_be_bytes([l0, l1]));
    if version >> 4 != 6 || end > frame.len() {
        return None;
    }
    let mut headers = Headers {
        version: Version::V6,
        network,
        transport: network + IPV6_LEN,
        end,
        protocol: next_header,
        fragment: false,
        options: false,
    };
    extension_headers(frame, &mut headers)?;
    Some(headers)
}

/// Walks the extension headers (RFC 8200 section 4): hop-by-hop, routing, fragment, destination options,
/// authentication. A fragment header ends the walk, an atomic one (RFC 6946) too.
fn extension_headers(frame: &[u8], headers: &mut Headers) -> Option<()> {
    for _ in 0..MAX_EXTENSION_HEADERS {
        let [next_header, length] = match headers.protocol {
            0 | 43 | 44 | 51 | 60 => array_at(frame, headers.transport)?,
            _ => return Some(()),
        };
        let length = match headers.protocol {
            44 => 8,
            51 => usize::from(length) * 4 + 8,
            _ => usize::from(length) * 8 + 8,
        };
        headers.options = true;
        headers.fragment = headers.protocol == 44;
        headers.protocol = next_header;
        headers.transport += length;
        if headers.transport > headers.end {
            return None;
        }
        if headers.fragment {
            return Some(());
        }
    }
    None
}
