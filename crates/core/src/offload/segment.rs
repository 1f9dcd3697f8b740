//! Cuts a super-frame into the frames that the host would have sent without offload (RFC 9293, RFC 768).
//!
//! A segment is the super-frame's headers, patched, and a slice of its payload; [`Segmenter::head`] writes the one and
//! returns the other, so the payload can be sealed from where it lies. A frame that is no super-frame is one segment,
//! unchanged. Checksums are left partial with the segment's own length in the pseudo-header's sum.

use super::checksum::{add, complete, fold, subtract, sum};
use super::vnet::{GSO_BY_FRAGS, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4};
use super::{put_u16, PartialChecksum, VnetHeader, MAX_TCP_SEGMENTS, MAX_UDP_SEGMENTS};
use crate::datagram::{u16_at, u32_at};
use crate::headers::{
    Frame, Packet, Version, IPV4_CHECKSUM, IPV4_LENGTH, IPV6_LEN, IPV6_LENGTH, TCP_FLAGS, UDP_LENGTH,
};
use crate::iana::PROTOCOL_TCP;
use crate::reason::Reason;

/// The shortest Ethernet frame that is read at all: its header.
const MIN_FRAME_LEN: usize = 14;
const TCP_SEQUENCE: usize = 4;
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;
const IPV4_ID: usize = 4;

/// One TAP read, checked, and the frames in it.
#[derive(Clone, Copy, Debug)]
pub struct Segmenter<'a> {
    frame: &'a [u8],
    /// Bytes at the front that are written anew for each segment.
    head_len: usize,
    /// Payload bytes of each segment but the last.
    size: usize,
    count: usize,
    checksum: Checksum,
    /// The fields to patch; None for a frame that is no super-frame.
    patch: Option<Patch>,
}

/// Checksums of segments.
#[derive(Clone, Copy, Debug)]
enum Checksum {
    /// Complete already.
    AsIs,
    /// Left partial: its place fits the sealed frame's header.
    Partial(PartialChecksum),
    /// Partial, at a place that the sealed frame's header cannot name: completed here.
    Completed { start: usize, offset: usize },
}

/// The fields that differ between segments, as they stand in the super-frame.
#[derive(Clone, Copy, Debug)]
struct Patch {
    headers: Packet,
    /// Sum of the IPv4 header without length, identification and checksum.
    ipv4_sum: u16,
    ipv4_id: u16,
    /// The pseudo-header's sum without the length.
    pseudo_sum: u16,
    sequence: u32,
    tcp_flags: u8,
}

impl<'a> Segmenter<'a> {
    /// Checks a frame against its virtio-net header. Errors: [`Reason::FrameShort`]; [`Reason::VnetMalformed`] for a
    /// header that contradicts the frame; [`Reason::GsoUnsupported`] for a type that is neither TCP nor UDP_L4;
    /// [`Reason::GsoMalformed`] for a super-frame whose own headers do not fit its type, its length or the limits.
    #[inline(always)]
    pub fn new(vnet: &VnetHeader, frame: &Frame<'a>) -> Result<Self, Reason> {
        if frame.bytes.len() < MIN_FRAME_LEN {
            return Err(Reason::FrameShort);
        }
        let checksum = Checksum::of(vnet, frame.bytes.len())?;
        match vnet.gso_type & !GSO_ECN {
            GSO_NONE => Ok(Self::single(frame.bytes, checksum)),
            GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 => Self::super_frame(vnet, frame, checksum),
            _ => Err(Reason::GsoUnsupported),
        }
    }

    /// How many frames there are, at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Length of frame `index`, from the Ethernet header; all but the last are equal, the last is not longer. None
    /// from [`Self::count`] on.
    pub fn segment_len(&self, index: usize) -> Option<usize> {
        self.payload(index).map(|payload| self.head_len + payload.len())
    }

    /// Writes frame `index` to the front of `out`: its length, and its checksum where that is partial. None from
    /// [`Self::count`] on and where `out` is too small.
    pub fn write(&self, index: usize, out: &mut [u8]) -> Option<(usize, Option<PartialChecksum>)> {
        let (head_len, payload, partial) = self.head(index, out)?;
        let end = head_len + payload.len();
        out.get_mut(head_len..end)?.copy_from_slice(payload);
        Some((end, partial))
    }

    /// Writes the headers of frame `index` to the front of `out`: their length, the payload that follows them, and the
    /// checksum where it is partial. The length is 0 for a frame that needs no change. None as in [`Self::write`].
    pub fn head(&self, index: usize, out: &mut [u8]) -> Option<(usize, &'a [u8], Option<PartialChecksum>)> {
        let payload = self.payload(index)?;
        let head = out.get_mut(..self.head_len)?;
        head.copy_from_slice(self.frame.get(..self.head_len)?);
        if let Some(patch) = &self.patch {
            patch.apply(head, index, self.size, payload.len(), index + 1 == self.count)?;
        }
        match self.checksum {
            Checksum::AsIs => Some((self.head_len, payload, None)),
            Checksum::Partial(partial) => Some((self.head_len, payload, Some(partial))),
            Checksum::Completed { start, offset } => {
                complete_head(head, payload, start, offset)?;
                Some((self.head_len, payload, None))
            }
        }
    }

    fn single(frame: &'a [u8], checksum: Checksum) -> Self {
        // To complete a checksum the whole frame is rewritten; such frames have headers above 255 bytes.
        let head_len = if matches!(checksum, Checksum::Completed { .. }) { frame.len() } else { 0 };
        Self { frame, head_len, size: frame.len(), count: 1, checksum, patch: None }
    }

    #[inline(always)]
    fn super_frame(vnet: &VnetHeader, frame: &Frame<'a>, checksum: Checksum) -> Result<Self, Reason> {
        let Frame { bytes: frame, headers } = frame;
        if matches!(vnet.gso_size, 0 | GSO_BY_FRAGS) || !vnet.needs_csum() || usize::from(vnet.hdr_len) > frame.len() {
            return Err(Reason::VnetMalformed);
        }
        let headers = headers.ip.ok_or(Reason::GsoMalformed)?;
        let head_len = headers.payload(frame).ok_or(Reason::GsoMalformed)?;
        let tcp = headers.protocol == PROTOCOL_TCP;
        let fits = match vnet.gso_type & !GSO_ECN {
            GSO_TCPV4 => tcp && headers.version == Version::V4,
            GSO_TCPV6 => tcp && headers.version == Version::V6,
            _ => !tcp,
        };
        if !fits || headers.end != frame.len() {
            return Err(Reason::GsoMalformed);
        }
        if usize::from(vnet.csum_start) != headers.transport
            || usize::from(vnet.csum_offset) != headers.checksum_offset()
        {
            return Err(Reason::VnetMalformed);
        }
        let size = usize::from(vnet.gso_size);
        let count = (frame.len() - head_len).div_ceil(size).max(1);
        if count > if tcp { MAX_TCP_SEGMENTS } else { MAX_UDP_SEGMENTS } {
            return Err(Reason::GsoMalformed);
        }
        let patch = Patch::read(frame, headers).ok_or(Reason::GsoMalformed)?;
        Ok(Self { frame, head_len, size, count, checksum, patch: Some(patch) })
    }

    fn payload(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.count {
            return None;
        }
        let start = self.head_len + index * self.size;
        self.frame.get(start..self.frame.len().min(start + self.size))
    }
}

impl Checksum {
    fn of(vnet: &VnetHeader, frame_len: usize) -> Result<Self, Reason> {
        if !vnet.needs_csum() {
            return Ok(Self::AsIs);
        }
        let (start, offset) = (usize::from(vnet.csum_start), usize::from(vnet.csum_offset));
        if start + offset + 2 > frame_len {
            return Err(Reason::VnetMalformed);
        }
        Ok(match (u8::try_from(start), u8::try_from(offset)) {
            (Ok(start), Ok(offset)) => Self::Partial(PartialChecksum { start, offset }),
            _ => Self::Completed { start, offset },
        })
    }
}

impl Patch {
    /// None where a field lies outside the frame, and for a UDP length that is not the datagram's.
    #[inline(always)]
    fn read(frame: &[u8], headers: Packet) -> Option<Self> {
        let transport = frame.get(headers.transport..)?;
        let tcp = headers.protocol == PROTOCOL_TCP;
        if !tcp && usize::from(u16_at(transport, UDP_LENGTH)?) != transport.len() {
            return None;
        }
        let (mut ipv4_sum, mut ipv4_id) = (0, 0);
        if headers.version == Version::V4 {
            let ip = frame.get(headers.network..headers.transport)?;
            ipv4_id = u16_at(ip, IPV4_ID)?;
            ipv4_sum = [IPV4_LENGTH, IPV4_ID, IPV4_CHECKSUM]
                .iter()
                .try_fold(sum(ip), |total, &field| Some(subtract(total, u16_at(ip, field)?)))?;
        }
        // The kernel's own segmentation takes the length out of the sum too, rather than making the sum anew: behind a
        // routing header the addresses in it are not those of the IP header.
        let stored = u16_at(transport, headers.checksum_offset())?;
        Some(Self {
            headers,
            ipv4_sum,
            ipv4_id,
            pseudo_sum: subtract(stored, fold(transport.len() as u64)),
            sequence: if tcp { u32_at(transport, TCP_SEQUENCE)? } else { 0 },
            tcp_flags: if tcp { *transport.get(TCP_FLAGS)? } else { 0 },
        })
    }

    /// Patches the copied headers of segment `index`.
    fn apply(&self, head: &mut [u8], index: usize, size: usize, payload_len: usize, last: bool) -> Option<()> {
        let head_len = head.len();
        let (ip, transport) = head
            .get_mut(self.headers.network..)?
            .split_at_mut_checked(self.headers.transport - self.headers.network)?;
        let transport_len = head_len - self.headers.transport + payload_len;
        let ip_len = ip.len() + transport_len;
        match self.headers.version {
            Version::V4 => {
                let id = self.ipv4_id.wrapping_add(index as u16);
                let total = add(add(self.ipv4_sum, ip_len as u16), id);
                put_u16(ip, IPV4_LENGTH, ip_len as u16)?;
                put_u16(ip, IPV4_ID, id)?;
                put_u16(ip, IPV4_CHECKSUM, !total)?;
            }
            Version::V6 => put_u16(ip, IPV6_LENGTH, (ip_len - IPV6_LEN) as u16)?,
        }
        if self.headers.protocol == PROTOCOL_TCP {
            let sequence = self.sequence.wrapping_add((index * size) as u32);
            *transport.get_mut(TCP_SEQUENCE..)?.first_chunk_mut::<4>()? = sequence.to_be_bytes();
            let not_first = if index > 0 { TCP_CWR } else { 0 };
            let not_last = if last { 0 } else { TCP_FIN | TCP_PSH };
            *transport.get_mut(TCP_FLAGS)? = self.tcp_flags & !(not_first | not_last);
        } else {
            put_u16(transport, UDP_LENGTH, transport_len as u16)?;
        }
        put_u16(transport, self.headers.checksum_offset(), add(self.pseudo_sum, transport_len as u16))
    }
}

/// Completes a checksum that covers the end of `head` and all of `payload`.
fn complete_head(head: &mut [u8], payload: &[u8], start: usize, offset: usize) -> Option<()> {
    // A head that a payload follows ends with TCP's or UDP's header, of even length: the two sums add up.
    let stored = u16_at(head, start + offset)?;
    put_u16(head, start + offset, add(stored, sum(payload)))?;
    complete(head, start, offset)
}
