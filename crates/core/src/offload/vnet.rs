//! The virtio-net header in front of each frame of a TAP with `IFF_VNET_HDR` (virtio 1.2 section 5.1.6,
//! include/uapi/linux/virtio_net.h): ten bytes in the machine's own byte order.
//!
//! Read from the kernel, but a local program can write it too: what it claims is checked in [`super::segment`].

use super::PartialChecksum;

/// The header before a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// [`NEEDS_CSUM`], [`DATA_VALID`].
    pub flags: u8,
    /// The kind of super-frame, or [`GSO_NONE`]; [`GSO_ECN`] may be added.
    pub gso_type: u8,
    /// How much of the frame is headers: a hint, which the kernel overstates.
    pub hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub gso_size: u16,
    /// Where summing starts, counted from the Ethernet header.
    pub csum_start: u16,
    /// Where the sum goes, counted from `csum_start`.
    pub csum_offset: u16,
}

/// Length of the header.
pub const VNET_LEN: usize = 10;
/// The checksum is partial: complete it from `csum_start` on.
pub const NEEDS_CSUM: u8 = 1;
/// The kernel has found the checksum right.
pub const DATA_VALID: u8 = 2;
/// No super-frame.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// Equal UDP datagrams, over IPv4 or IPv6.
pub const GSO_UDP_L4: u8 = 5;
/// Flag in the type: CWR is set, and belongs to the first segment.
pub const GSO_ECN: u8 = 0x80;
/// The kernel's own marker for something else (`GSO_BY_FRAGS`): refused as a size.
pub const GSO_BY_FRAGS: u16 = 0xFFFF;

impl VnetHeader {
    /// Reads the header; the frame is what follows it. None where there are fewer than ten bytes.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1], frame) = bytes.split_first_chunk::<VNET_LEN>()?;
        let header = Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        };
        Some((header, frame))
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; VNET_LEN] {
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }

    /// The header of a single frame with this checksum.
    pub fn single(checksum: Option<PartialChecksum>) -> Self {
        checksum.map_or_else(Self::default, |partial| Self {
            flags: NEEDS_CSUM,
            csum_start: partial.start.into(),
            csum_offset: partial.offset.into(),
            ..Self::default()
        })
    }

    /// Whether the frame's checksum is partial.
    pub fn needs_csum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }
}
