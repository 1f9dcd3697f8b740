//! Where things are in a frame: Ethernet, at most one 802.1Q tag, IPv4 or IPv6, and what is behind options and extension headers.
//!
//! The only parser of frames: each is read once, where it comes in, and everybody goes by what was read. Offsets only, counted
//! from the Ethernet header. What lies behind a second tag, or behind one of 802.1ad, is not looked at. An IP packet that
//! contradicts itself or the frame's length is none. Extension headers (RFC 8200 section 4) are walked in any order: hop-by-hop
//! options, routing, destination options, authentication, and fragment headers; a later fragment has no upper layer to be found,
//! nor has a chain that is cut off or longer than [`MAX_EXTENSION_HEADERS`]. What a frame is for is decided in [`crate::frame`].
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::IpAddr;

use crate::datagram::{array_at, u16_at};
use crate::iana::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
use crate::iana::{PROTOCOL_AUTHENTICATION, PROTOCOL_DESTINATION_OPTIONS, PROTOCOL_FRAGMENT, PROTOCOL_HOP_BY_HOP};
use crate::iana::{PROTOCOL_NONE, PROTOCOL_ROUTING, PROTOCOL_TCP, PROTOCOL_UDP};

/// A MAC address.
pub type Mac = [u8; 6];

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
/// Extension headers that a packet may have; a real one has one or two.
pub const MAX_EXTENSION_HEADERS: usize = 7;

/// IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// The part of an IP packet that a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// All of it, without a fragment header.
    Whole,
    /// The first fragment, or an atomic one (RFC 6946): the upper layer's header is there.
    First,
    /// A later one.
    Later,
}

/// A frame's Ethernet header and tag, and its IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The 802.1Q VLAN id; 0 when untagged.
    pub vlan: u16,
    /// The EtherType behind the tag; 0 where the frame is too short for one.
    pub ethertype: u16,
    /// Offset of what follows it: 14, or 18 behind a tag. The frame may be shorter.
    pub network: usize,
    /// None where it is not IP, is cut off or contradicts itself.
    pub ip: Option<Packet>,
}

/// Offsets of an IP packet in its frame, each within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IPv4 or IPv6.
    pub version: Version,
    /// Offset of the IP header: 14, or 18 behind a tag.
    pub network: usize,
    /// Offset of what follows IP header, options and extension headers.
    pub transport: usize,
    /// Offset of the packet's end by its own length field; padding may follow.
    pub end: usize,
    /// The upper layer's protocol; [`PROTOCOL_NONE`] where none is to be found, as in later fragments over IPv6.
    pub protocol: u8,
    /// Whether `transport` holds the upper layer's header, and all of the upper layer.
    pub fragmentation: Fragmentation,
    /// Whether there are IPv4 options or IPv6 extension headers.
    pub options: bool,
}

/// A frame that was read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The frame from the destination MAC on: all of it, or no more than its headers.
    pub bytes: &'a [u8],
    /// Where things are in it.
    pub headers: Headers,
}

/// The IP packet of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Ip<'a> {
    /// Its offsets.
    pub packet: &'a Packet,
    /// The part of the upper layer that is there; empty in later fragments.
    pub upper: &'a [u8],
    frame: &'a [u8],
}

impl Headers {
    /// Reads a frame; total over all byte strings.
    // Inlined, as all that hands over a whole record here: returned through memory it is written in small pieces and
    // read in large ones, which stalls the processor (75 ns instead of 46 for `Segmenter::new`).
    #[inline(always)]
    pub fn parse(frame: &[u8]) -> Self {
        let (vlan, network, ethertype) = match u16_at(frame, ETHERNET_LEN - 2) {
            Some(ETHERTYPE_VLAN) => {
                let tag = u16_at(frame, ETHERNET_LEN).unwrap_or_default();
                let behind = ETHERNET_LEN + VLAN_TAG_LEN;
                (tag & 0x0FFF, behind, u16_at(frame, behind - 2).unwrap_or_default())
            }
            ethertype => (0, ETHERNET_LEN, ethertype.unwrap_or_default()),
        };
        let ip = match ethertype {
            ETHERTYPE_IPV4 => ipv4(frame, network),
            ETHERTYPE_IPV6 => ipv6(frame, network),
            _ => None,
        };
        Self { vlan, ethertype, network, ip }
    }

    /// Whether there is an 802.1Q tag, of VLAN 0 (a priority) too.
    pub fn is_tagged(&self) -> bool {
        self.network != ETHERNET_LEN
    }
}

impl<'a> Frame<'a> {
    /// Reads a frame; total over all byte strings.
    #[inline(always)]
    pub fn read(bytes: &'a [u8]) -> Self {
        Self { bytes, headers: Headers::parse(bytes) }
    }

    /// Does it end before its EtherType?
    pub fn is_short(&self) -> bool {
        self.bytes.len() < self.headers.network
    }

    /// The MAC that it is for; None for a short frame.
    pub fn destination(&self) -> Option<Mac> {
        array_at(self.bytes, 0)
    }

    /// The MAC that it is from; None for a short frame.
    pub fn source(&self) -> Option<Mac> {
        array_at(self.bytes, 6)
    }

    /// Is it for a group's MAC, or for the broadcast MAC?
    pub fn is_to_group(&self) -> bool {
        self.bytes.first().is_some_and(|first| first & 1 != 0)
    }

    /// Its IP packet.
    pub fn ip(&self) -> Option<Ip<'_>> {
        let packet = self.headers.ip.as_ref()?;
        let upper = match packet.fragmentation {
            Fragmentation::Later => &[],
            _ => self.bytes.get(packet.transport..packet.end.min(self.bytes.len())).unwrap_or_default(),
        };
        Some(Ip { packet, upper, frame: self.bytes })
    }
}

impl Ip<'_> {
    /// The IP source; None where no more than a part of the header is there.
    pub fn source(&self) -> Option<IpAddr> {
        self.address(12, 8)
    }

    /// The IP destination; None where no more than a part of the header is there.
    pub fn destination(&self) -> Option<IpAddr> {
        self.address(16, 24)
    }

    fn address(&self, at_v4: usize, at_v6: usize) -> Option<IpAddr> {
        let Packet { version, network, .. } = *self.packet;
        match version {
            Version::V4 => array_at::<4>(self.frame, network + at_v4).map(IpAddr::from),
            Version::V6 => array_at::<16>(self.frame, network + at_v6).map(IpAddr::from),
        }
    }
}

impl Packet {
    /// Offset of the payload behind a TCP or UDP header; None for other protocols, fragments and what is cut off.
    pub fn payload(&self, frame: &[u8]) -> Option<usize> {
        let length = match self.protocol {
            _ if self.fragmentation != Fragmentation::Whole => return None,
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
fn ipv4(frame: &[u8], network: usize) -> Option<Packet> {
    let header: [u8; IPV4_LEN] = array_at(frame, network)?;
    let [version_length, _, l0, l1, _, _, f0, f1, _, protocol, ..] = header;
    let header_len = usize::from(version_length & 0x0F) * 4;
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    let end = network + total_len;
    if version_length >> 4 != 4 || header_len < IPV4_LEN || total_len < header_len || end > frame.len() {
        return None;
    }
    let fragmentation = match u16::from_be_bytes([f0, f1]) {
        bits if bits & 0x1FFF != 0 => Fragmentation::Later,
        bits if bits & 0x2000 != 0 => Fragmentation::First,
        _ => Fragmentation::Whole,
    };
    Some(Packet {
        version: Version::V4,
        network,
        transport: network + header_len,
        end,
        protocol,
        fragmentation,
        options: header_len != IPV4_LEN,
    })
}

#[inline(always)]
pub(crate) fn ipv6(frame: &[u8], network: usize) -> Option<Packet> {
    let [version, _, _, _, l0, l1, protocol, _] = array_at(frame, network)?;
    let transport = network + IPV6_LEN;
    let end = transport + usize::from(u16::from_be_bytes([l0, l1]));
    if version >> 4 != 6 || end > frame.len() {
        return None;
    }
    let fragmentation = Fragmentation::Whole;
    let mut packet = Packet { version: Version::V6, network, transport, end, protocol, fragmentation, options: false };
    if is_extension_header(protocol) {
        walk(frame, &mut packet);
    }
    Some(packet)
}

fn is_extension_header(protocol: u8) -> bool {
    matches!(
        protocol,
        PROTOCOL_HOP_BY_HOP
            | PROTOCOL_ROUTING
            | PROTOCOL_FRAGMENT
            | PROTOCOL_AUTHENTICATION
            | PROTOCOL_DESTINATION_OPTIONS
    )
}

/// Walks the extension headers, in whichever order they come.
fn walk(frame: &[u8], packet: &mut Packet) {
    packet.options = true;
    for _ in 0..=MAX_EXTENSION_HEADERS {
        if !is_extension_header(packet.protocol) {
            return;
        }
        let Some([next_header, length, offset_high, offset_low]) = array_at(frame, packet.transport) else { break };
        let length = match packet.protocol {
            PROTOCOL_FRAGMENT => 8,
            PROTOCOL_AUTHENTICATION => usize::from(length) * 4 + 8,
            _ => usize::from(length) * 8 + 8,
        };
        if packet.transport + length > packet.end {
            break;
        }
        let is_fragment = packet.protocol == PROTOCOL_FRAGMENT;
        packet.transport += length;
        packet.protocol = next_header;
        if is_fragment && u16::from_be_bytes([offset_high, offset_low]) & 0xFFF8 != 0 {
            packet.fragmentation = Fragmentation::Later;
            break;
        }
        if is_fragment {
            packet.fragmentation = Fragmentation::First;
        }
    }
    packet.protocol = PROTOCOL_NONE;
}
