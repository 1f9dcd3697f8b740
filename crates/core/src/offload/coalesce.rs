//! Joins opened frames into super-frames for the TAP, by the rules of the kernel's GRO (net/ipv4/tcp_offload.c,
//! net/ipv4/udp_offload.c), and never changes the order of a flow.
//!
//! [`super::join`] decides the kind of a frame, and whether it may be joined. Here: a few super-frames are open at
//! a time, one per flow, so that flows whose frames alternate are joined too. A frame of no known flow (a fragment,
//! ARP, ICMP) closes all of them first. Nothing is held back beyond [`Coalescer::finish`].

use std::io::IoSlice;

use super::checksum::{pseudo_header, sum};
use super::join::{TransportSegment, PSH};
use super::vnet::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VNET_LEN};
use super::{put_u16, PartialChecksum, VnetHeader, MAX_COALESCED, MAX_IP_LEN};
use crate::headers::{Frame, Version, IPV4_CHECKSUM, IPV4_LENGTH, IPV6_LENGTH, TCP_FLAGS, UDP_LENGTH};
use crate::iana::PROTOCOL_TCP;

/// Super-frames open at a time.
const OPEN_FLOWS: usize = 4;
/// The longest headers of a joined frame: Ethernet and tag 18, IPv6 40, TCP 60.
const MAX_HEAD_LEN: usize = 118;

/// Kinds that may be joined: as the TAP's offloads stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merging {
    /// TCP segments (TSO4 and TSO6).
    pub tcp: bool,
    /// UDP datagrams (USO4 and USO6).
    pub udp: bool,
    /// Frames to a group's MAC too.
    pub groups: bool,
}

/// One write to the TAP.
#[derive(Clone, Copy, Debug)]
pub struct CoalescedWrite<'b> {
    /// The virtio-net header, with which `parts` begin.
    pub vnet: VnetHeader,
    /// The frame, or the headers of the super-frame.
    pub frame: &'b Frame<'b>,
    /// All bytes of the write, for `write_vectored`: virtio-net header, headers, payloads.
    pub parts: &'b [IoSlice<'b>],
    /// How many frames it delivers.
    pub frames: usize,
    /// Bytes of the Ethernet frame or super-frame: `parts` without the virtio-net header.
    pub length: usize,
    /// The node at which the frames entered the overlay.
    pub root: u32,
}

impl CoalescedWrite<'_> {
    /// Bytes of all its frames, each with its headers.
    pub fn frame_bytes(&self) -> usize {
        self.length + self.frames.saturating_sub(1) * usize::from(self.vnet.hdr_len)
    }
}

/// Joins the frames of one batch. It refers to the batch's receive buffers, so it is made anew for each batch.
#[derive(Debug)]
pub struct Coalescer<'a> {
    merging: Merging,
    flows: [FlowSlot<'a>; OPEN_FLOWS],
    /// Flows opened so far: the age of each.
    opened: u64,
}

impl<'a> Coalescer<'a> {
    /// A coalescer with nothing open.
    pub fn new(merging: Merging) -> Self {
        Self { merging, flows: std::array::from_fn(|_| None), opened: 0 }
    }

    /// Takes the next frame of the batch, which entered at `root`; `sink` gets what it completes, none or several writes. Frames of one flow
    /// reach `sink` in the order of `push`.
    #[inline(always)]
    pub fn push(
        &mut self,
        frame: Frame<'a>,
        partial: Option<PartialChecksum>,
        root: u32,
        sink: &mut impl FnMut(CoalescedWrite<'_>),
    ) {
        let Some(segment) = TransportSegment::of(&frame, partial, root) else {
            self.finish(sink);
            return deliver_single(frame, partial, root, sink);
        };
        let wanted = if segment.headers.protocol == PROTOCOL_TCP { self.merging.tcp } else { self.merging.udp };
        if wanted && (self.merging.groups || !frame.is_to_group()) && !segment.payload.is_empty() {
            return self.join(&segment, sink);
        }
        if let Some(slot) = self.flows.iter_mut().find(|slot| holds(slot, &segment)) {
            close(slot, sink);
        }
        deliver_single(frame, partial, root, sink);
    }

    /// Hands all that is open to `sink`, oldest first: at the end of each batch, or those frames are lost.
    pub fn finish(&mut self, sink: &mut impl FnMut(CoalescedWrite<'_>)) {
        while let Some(slot) = self.flows.iter_mut().filter(|slot| slot.is_some()).min_by_key(|slot| age(slot)) {
            close(slot, sink);
        }
    }

    fn join(&mut self, segment: &TransportSegment<'a>, sink: &mut impl FnMut(CoalescedWrite<'_>)) {
        let slot = match self.flows.iter().position(|slot| holds(slot, segment)) {
            Some(index) => self.flows.get_mut(index),
            None => self.flows.iter_mut().min_by_key(|slot| age(slot)),
        };
        let Some(slot) = slot else { return deliver_segment(segment, sink) };
        if !slot.as_mut().is_some_and(|flow| flow.take(segment)) {
            close(slot, sink);
            self.opened += 1;
            *slot = Some(OpenSuperFrame::new(segment, self.opened));
        }
        if slot.as_ref().is_some_and(|flow| flow.is_full(segment)) {
            close(slot, sink);
        }
    }
}

/// A slot is free, or has an open super-frame.
type FlowSlot<'a> = Option<OpenSuperFrame<'a>>;

fn holds(slot: &FlowSlot<'_>, segment: &TransportSegment<'_>) -> bool {
    slot.as_ref().is_some_and(|flow| flow.first.same_flow(segment))
}

/// The time at which it was opened; a free slot is older than any other.
fn age(slot: &FlowSlot<'_>) -> u64 {
    slot.as_ref().map_or(0, |flow| flow.opened)
}

/// Hands what is open to `sink`; the slot is free then.
fn close(slot: &mut FlowSlot<'_>, sink: &mut impl FnMut(CoalescedWrite<'_>)) {
    if let Some(flow) = slot {
        flow.deliver(sink);
    }
    *slot = None;
}

/// A super-frame that grows.
#[derive(Debug)]
struct OpenSuperFrame<'a> {
    opened: u64,
    first: TransportSegment<'a>,
    /// Whether the first frame's complete checksum was found right: looked at when a second frame comes.
    verified: bool,
    /// Length of all payloads.
    payload_len: usize,
    /// PSH of the last frame.
    push: u8,
    frames: usize,
    payloads: [&'a [u8]; MAX_COALESCED],
}

impl<'a> OpenSuperFrame<'a> {
    fn new(first: &TransportSegment<'a>, opened: u64) -> Self {
        let mut flow = Self {
            opened,
            first: *first,
            verified: false,
            payload_len: 0,
            push: 0,
            frames: 0,
            payloads: [&[]; MAX_COALESCED],
        };
        flow.append(first);
        flow
    }

    /// Whether the segment was joined to the frames before it.
    fn take(&mut self, next: &TransportSegment<'a>) -> bool {
        let ip_len = self.first.head_len() - self.first.headers.network + self.payload_len + next.payload.len();
        let fits = self.first.same_flow(next)
            && next.payload.len() <= self.first.payload.len()
            && ip_len <= MAX_IP_LEN
            && self.first.is_followed_by(next, self.frames, self.payload_len);
        if !fits || !next.checksum_holds() {
            return false;
        }
        self.verified = self.verified || self.first.checksum_holds();
        if self.verified {
            self.append(next);
        }
        self.verified
    }

    fn append(&mut self, segment: &TransportSegment<'a>) {
        if let Some(slot) = self.payloads.get_mut(self.frames) {
            *slot = segment.payload;
            self.frames += 1;
            self.payload_len += segment.payload.len();
            self.push = segment.tcp_flags() & PSH;
        }
    }

    /// Whether nothing may follow `last`, which was appended: it is short, pushed, or there is no place left.
    fn is_full(&self, last: &TransportSegment<'_>) -> bool {
        self.frames == MAX_COALESCED || last.payload.len() < self.first.payload.len() || self.push != 0
    }

    fn deliver(&self, sink: &mut impl FnMut(CoalescedWrite<'_>)) {
        if self.frames == 1 {
            return deliver_segment(&self.first, sink);
        }
        // The headers are those of a frame that was read: nothing of this lies outside them.
        let delivered = self.deliver_joined(sink);
        debug_assert!(delivered.is_some());
    }

    fn deliver_joined(&self, sink: &mut impl FnMut(CoalescedWrite<'_>)) -> Option<()> {
        let mut front = [0; VNET_LEN + MAX_HEAD_LEN];
        let front = front.get_mut(..VNET_LEN + self.first.head_len())?;
        let (vnet_bytes, head) = front.split_first_chunk_mut::<VNET_LEN>()?;
        let vnet = self.vnet();
        *vnet_bytes = vnet.emit();
        self.write_head(head)?;
        let front = &*front;
        let mut parts = [IoSlice::new(front); MAX_COALESCED + 1];
        for (part, payload) in parts.iter_mut().skip(1).zip(self.payloads.get(..self.frames)?) {
            *part = IoSlice::new(payload);
        }
        let head = front.get(VNET_LEN..)?;
        let Self { first, frames, payload_len, .. } = self;
        let (frame, parts, length) = (first.read(head), parts.get(..=*frames)?, head.len() + payload_len);
        sink(CoalescedWrite { vnet, frame: &frame, parts, frames: *frames, length, root: first.root });
        Some(())
    }

    fn vnet(&self) -> VnetHeader {
        let headers = &self.first.headers;
        VnetHeader {
            flags: NEEDS_CSUM,
            gso_type: match (headers.protocol, headers.version) {
                (PROTOCOL_TCP, Version::V4) => GSO_TCPV4,
                (PROTOCOL_TCP, Version::V6) => GSO_TCPV6,
                _ => GSO_UDP_L4,
            },
            hdr_len: self.first.head_len() as u16,
            gso_size: self.first.payload.len() as u16,
            csum_start: headers.transport as u16,
            csum_offset: headers.checksum_offset() as u16,
        }
    }

    /// The first frame's headers with the lengths of all, and the sum of their pseudo-header as checksum.
    fn write_head(&self, head: &mut [u8]) -> Option<()> {
        let TransportSegment { frame, headers, .. } = self.first;
        head.copy_from_slice(frame.get(..head.len())?);
        let (ip, transport) =
            head.get_mut(headers.network..)?.split_at_mut_checked(headers.transport - headers.network)?;
        let transport_len = transport.len() + self.payload_len;
        match headers.version {
            Version::V4 => {
                put_u16(ip, IPV4_LENGTH, (ip.len() + transport_len) as u16)?;
                put_u16(ip, IPV4_CHECKSUM, 0)?;
                put_u16(ip, IPV4_CHECKSUM, !sum(ip))?;
            }
            Version::V6 => put_u16(ip, IPV6_LENGTH, transport_len as u16)?,
        }
        if headers.protocol == PROTOCOL_TCP {
            *transport.get_mut(TCP_FLAGS)? |= self.push;
        } else {
            put_u16(transport, UDP_LENGTH, transport_len as u16)?;
        }
        let pseudo = pseudo_header(headers.addresses(frame)?, headers.protocol, transport_len);
        put_u16(transport, headers.checksum_offset(), pseudo)
    }
}

fn deliver_segment(segment: &TransportSegment<'_>, sink: &mut impl FnMut(CoalescedWrite<'_>)) {
    deliver_single(segment.read(segment.frame), segment.partial, segment.root, sink);
}

// By value: a frame whose address is given away would have to lie in memory where it is joined, too.
fn deliver_single(
    frame: Frame<'_>,
    partial: Option<PartialChecksum>,
    root: u32,
    sink: &mut impl FnMut(CoalescedWrite<'_>),
) {
    let vnet = VnetHeader::single(partial);
    let front = vnet.emit();
    let parts = &[IoSlice::new(&front), IoSlice::new(frame.bytes)];
    sink(CoalescedWrite { vnet, frame: &frame, parts, frames: 1, length: frame.bytes.len(), root });
}
