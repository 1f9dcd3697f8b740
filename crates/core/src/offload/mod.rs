//! Super-frames: one TAP read becomes many sealed frames, many opened frames become one TAP write.
//!
//! The kernel hands a host's burst over as one super-frame of up to 64 KiB behind a virtio-net header, and takes bursts
//! back in the same form. [`Segmenter`] cuts one up at the seal, [`Coalescer`] joins what was opened. Checksums of
//! segments stay partial ([`PartialChecksum`] travels inside the seal), so nobody sums payload bytes on the way; frames
//! with a complete checksum are verified before they are joined, so that a host's corrupt frame is never repaired.
//!
//! Nothing here allocates per packet, reads or writes a file, or panics on any bytes: indexing is denied by lint.
//! Super-frames are TCP segments (RFC 9293) or equal UDP datagrams over IPv4 or IPv6, behind at most one 802.1Q tag.
//! Read [`vnet`] first, then [`crate::headers`].
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod checksum;
pub mod coalesce;
mod join;
pub mod segment;
pub mod vnet;

#[cfg(test)]
mod tests;

pub use crate::datagram::PartialChecksum;
pub use coalesce::{CoalescedWrite, Coalescer, Merging};
pub use segment::Segmenter;
pub use vnet::VnetHeader;

/// Segments of a UDP super-frame: the kernel refuses more (`UDP_MAX_SEGMENTS`, include/linux/udp.h).
pub const MAX_UDP_SEGMENTS: usize = 128;
/// Segments of a TCP super-frame: 65,535 bytes over the least MSS that Linux sends (`tcp_min_snd_mss`, 48).
pub const MAX_TCP_SEGMENTS: usize = 1365;
/// Frames joined into one super-frame: half of what the kernel takes, and more than the 44 that a full-size run has.
pub const MAX_COALESCED: usize = 64;
/// The kernel accepts a larger IP packet through a TAP, and breaks it: the cap is ours to keep.
pub const MAX_IP_LEN: usize = 65_535;

/// Writes a big-endian u16.
fn put_u16(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut::<2>()? = value.to_be_bytes();
    Some(())
}
