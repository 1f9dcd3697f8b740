//! Frames built field by field, and the slow obvious checksum: what the tests judge by. Nothing of the module under
//! test is used to build them.

mod checksum;
mod coalesce;
mod hostile;
mod offsets;
mod order;
mod segment;

use proptest::prelude::*;

use super::vnet::{GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM};
use super::{CoalescedWrite, PartialChecksum, VnetHeader};

pub const FIN: u8 = 0x01;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const CWR: u8 = 0x80;

/// RFC 1071 as its section 1 says it: 16-bit words, one after another, carries around.
pub fn naive_sum(bytes: &[u8]) -> u16 {
    let mut total: u32 = 0;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        if total > 0xFFFF {
            total -= 0xFFFF;
        }
    }
    total as u16
}

/// How a frame's transport checksum is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    Partial,
    Complete,
}

/// All that a TCP or UDP frame is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    pub v6: bool,
    pub tcp: bool,
    pub vlan: Option<u16>,
    /// IPv4 options (a multiple of 4 bytes) or IPv6 destination options (a multiple of 8).
    pub ip_options: Vec<u8>,
    /// A multiple of 4 bytes.
    pub tcp_options: Vec<u8>,
    pub tos: u8,
    pub ttl: u8,
    pub dont_fragment: bool,
    pub id: u16,
    pub ports: (u16, u16),
    pub sequence: u32,
    pub acknowledgement: u32,
    pub window: u16,
    pub flags: u8,
    pub multicast: bool,
    /// Last byte of the source address.
    pub source: u8,
}

impl Spec {
    pub fn udp() -> Self {
        Self {
            v6: false,
            tcp: false,
            vlan: None,
            ip_options: vec![],
            tcp_options: vec![],
            tos: 0,
            ttl: 64,
            dont_fragment: true,
            id: 0x1234,
            ports: (40_000, 5004),
            sequence: 0,
            acknowledgement: 0,
            window: 0,
            flags: 0,
            multicast: false,
            source: 1,
        }
    }

    pub fn tcp() -> Self {
        let timestamps = vec![1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        let sequence = 1_000_000;
        Self { tcp: true, tcp_options: timestamps, sequence, window: 501, flags: ACK, ..Self::udp() }
    }

    pub fn network(&self) -> usize {
        14 + if self.vlan.is_some() { 4 } else { 0 }
    }

    pub fn transport(&self) -> usize {
        self.network() + if self.v6 { 40 } else { 20 } + self.ip_options.len()
    }

    pub fn transport_header_len(&self) -> usize {
        if self.tcp {
            20 + self.tcp_options.len()
        } else {
            8
        }
    }

    pub fn head_len(&self) -> usize {
        self.transport() + self.transport_header_len()
    }

    pub fn checksum_at(&self) -> usize {
        self.transport() + if self.tcp { 16 } else { 6 }
    }

    pub fn partial(&self) -> PartialChecksum {
        PartialChecksum { start: self.transport() as u8, offset: if self.tcp { 16 } else { 6 } }
    }

    /// The frame that carries `payload`.
    pub fn frame(&self, payload: &[u8], sum: Sum) -> Vec<u8> {
        let mut transport = self.transport_header(payload.len());
        transport.extend_from_slice(payload);
        let (source, destination) = self.addresses();
        let mut pseudo = [source.clone(), destination.clone()].concat();
        pseudo.extend_from_slice(&(transport.len() as u32).to_be_bytes());
        pseudo.extend_from_slice(&[0, 0, 0, if self.tcp { 6 } else { 17 }]);
        let at = if self.tcp { 16 } else { 6 };
        transport[at..at + 2].copy_from_slice(&naive_sum(&pseudo).to_be_bytes());
        if sum == Sum::Complete {
            let checksum = match !naive_sum(&transport) {
                0 => 0xFFFF,
                checksum => checksum,
            };
            transport[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        }
        let ip = if self.v6 { self.ipv6(transport.len()) } else { self.ipv4(transport.len()) };
        [self.ethernet(), ip, transport].concat()
    }

    /// The frame that carries segment `index` of a burst of `size` bytes each; flags are the caller's.
    pub fn segment(&self, index: usize, size: usize) -> Self {
        let sequence = self.sequence.wrapping_add((index * size) as u32);
        Self { sequence, id: self.id.wrapping_add(index as u16), ..self.clone() }
    }

    /// The virtio-net header of a super-frame with `size` bytes of payload in each segment.
    pub fn vnet(&self, size: usize) -> VnetHeader {
        let gso_type = match (self.tcp, self.v6) {
            (true, false) => GSO_TCPV4,
            (true, true) => GSO_TCPV6,
            _ => GSO_UDP_L4,
        };
        VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: gso_type | if self.flags & CWR == 0 { 0 } else { GSO_ECN },
            hdr_len: self.head_len() as u16,
            gso_size: size as u16,
            csum_start: self.transport() as u16,
            csum_offset: if self.tcp { 16 } else { 6 },
        }
    }

    fn addresses(&self) -> (Vec<u8>, Vec<u8>) {
        let mut source = if self.v6 { [&[0xFD; 8][..], &[1; 8]].concat() } else { vec![10, 77, 0, 1] };
        *source.last_mut().unwrap() = self.source;
        let destination = match (self.v6, self.multicast) {
            (false, false) => vec![10, 77, 0, 2],
            (false, true) => vec![239, 1, 1, 1],
            (true, false) => [&[0xFD; 8][..], &[2; 8]].concat(),
            (true, true) => [&[0xFF, 0x05][..], &[0; 12], &[0x12, 0x34]].concat(),
        };
        (source, destination)
    }

    fn ethernet(&self) -> Vec<u8> {
        let destination = match (self.multicast, self.v6) {
            (false, _) => [0x02, 0x54, 0, 0, 0, 2],
            (true, false) => [0x01, 0x00, 0x5E, 1, 1, 1],
            (true, true) => [0x33, 0x33, 0, 0, 0x12, 0x34],
        };
        let mut out = [destination, [0x02, 0x54, 0, 0, 0, 1]].concat();
        if let Some(vlan) = self.vlan {
            out.extend_from_slice(&[0x81, 0x00]);
            out.extend_from_slice(&vlan.to_be_bytes());
        }
        out.extend_from_slice(if self.v6 { &[0x86, 0xDD] } else { &[0x08, 0x00] });
        out
    }

    fn ipv4(&self, transport_len: usize) -> Vec<u8> {
        let header_len = 20 + self.ip_options.len();
        let mut out = vec![0x40 | (header_len / 4) as u8, self.tos];
        out.extend_from_slice(&((header_len + transport_len) as u16).to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&[if self.dont_fragment { 0x40 } else { 0 }, 0, self.ttl, if self.tcp { 6 } else { 17 }]);
        out.extend_from_slice(&[0, 0]);
        let (source, destination) = self.addresses();
        out.extend(source.into_iter().chain(destination).chain(self.ip_options.iter().copied()));
        let checksum = !naive_sum(&out);
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
        out
    }

    fn ipv6(&self, transport_len: usize) -> Vec<u8> {
        let protocol = if self.tcp { 6 } else { 17 };
        let mut out = vec![0x60 | self.tos >> 4, self.tos << 4, 0x12, 0x34];
        out.extend_from_slice(&((self.ip_options.len() + transport_len) as u16).to_be_bytes());
        out.extend_from_slice(&[if self.ip_options.is_empty() { protocol } else { 60 }, self.ttl]);
        let (source, destination) = self.addresses();
        out.extend(source.into_iter().chain(destination));
        let mut options = self.ip_options.clone();
        if let [next_header, length, ..] = &mut options[..] {
            *next_header = protocol;
            *length = (self.ip_options.len() / 8 - 1) as u8;
        }
        out.extend(options);
        out
    }

    fn transport_header(&self, payload_len: usize) -> Vec<u8> {
        let mut out = [self.ports.0.to_be_bytes(), self.ports.1.to_be_bytes()].concat();
        if self.tcp {
            out.extend_from_slice(&self.sequence.to_be_bytes());
            out.extend_from_slice(&self.acknowledgement.to_be_bytes());
            out.extend_from_slice(&[((20 + self.tcp_options.len()) << 2) as u8, self.flags]);
            out.extend_from_slice(&self.window.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&self.tcp_options);
        } else {
            out.extend_from_slice(&((8 + payload_len) as u16).to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
        out
    }
}

/// Any TCP or UDP frame's headers; flags are ACK for TCP.
pub fn any_spec() -> impl Strategy<Value = Spec> {
    let shape = (any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(1u16..4095));
    let options = (0usize..4, 0usize..=10, prop::collection::vec(any::<u8>(), 80));
    let fields = (any::<u8>(), any::<u8>(), any::<bool>(), any::<u16>(), any::<(u16, u16)>());
    let numbers = (any::<u32>(), any::<u32>(), any::<u16>());
    (shape, options, fields, numbers).prop_map(|(shape, (ip_units, tcp_words, bytes), fields, numbers)| {
        let (v6, tcp, multicast, vlan) = shape;
        let (tos, ttl, dont_fragment, id, ports) = fields;
        let (sequence, acknowledgement, window) = numbers;
        let ip_options = bytes[..ip_units * if v6 { 8 } else { 4 }].to_vec();
        let tcp_options = if tcp { bytes[40..40 + tcp_words * 4].to_vec() } else { vec![] };
        let flags = if tcp { ACK } else { 0 };
        let multicast = multicast && !tcp;
        let numbers = if tcp { (sequence, acknowledgement, window) } else { (0, 0, 0) };
        let (sequence, acknowledgement, window) = numbers;
        Spec {
            v6,
            tcp,
            vlan,
            ip_options,
            tcp_options,
            tos,
            ttl,
            dont_fragment,
            id,
            ports,
            sequence,
            acknowledgement,
            window,
            flags,
            multicast,
            source: 1,
        }
    })
}

/// A burst: payload bytes of a segment, and of all; at most 64 segments that fit one IP packet.
pub fn any_burst() -> impl Strategy<Value = (usize, Vec<u8>)> {
    (1usize..1400, 1usize..=64, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(size, count, last, seed)| {
        let count = count.min(65_000 / size).max(1);
        let length = (count - 1) * size + 1 + last.index(size);
        (size, payload(length, seed))
    })
}

/// Bytes that differ from segment to segment.
pub fn payload(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).collect()
}

/// A write as one would read it from a TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub vnet: VnetHeader,
    pub bytes: Vec<u8>,
    pub frames: usize,
}

impl Written {
    pub fn of(delivery: CoalescedWrite<'_>) -> Self {
        let all: Vec<u8> = delivery.parts.iter().flat_map(|part| part.iter().copied()).collect();
        let (vnet, frame) = VnetHeader::parse(&all).unwrap();
        assert_eq!(vnet, delivery.vnet);
        assert_eq!(frame.len(), delivery.length);
        assert_eq!(delivery.root, 7);
        Self { vnet, bytes: frame.to_vec(), frames: delivery.frames }
    }
}
