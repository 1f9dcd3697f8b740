//! The TAP and the packet ports: delivery to the hosts of this node.

use std::io::IoSlice;

use treecast_core::counters::Counter;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::MAX_FRAME_LEN;
use treecast_core::headers::Frame;
use treecast_core::offload::vnet::{NEEDS_CSUM, VNET_LEN};
use treecast_core::offload::{Segmenter, VnetHeader};
use treecast_core::port::TAP_PORT;
use treecast_core::reason::Reason;

use crate::packet_port::{LocalDelivery, PacketPorts};
use crate::sys::tap::Tap;

/// The TAP and the packet ports. Dropping it closes the TAP.
#[derive(Debug)]
pub struct LocalPorts {
    /// The TAP.
    pub tap: Tap,
    /// Interfaces that cannot be bridged.
    pub packets: PacketPorts,
}

impl LocalPorts {
    /// The same as [`Self::deliver`] for frames from elsewhere, which the TAP's LAN may keep out.
    pub fn hand_over(
        &self,
        tables: &ForwardingTables,
        frame: &Frame<'_>,
        parts: &[IoSlice<'_>],
        frames: u64,
        length: usize,
    ) -> bool {
        match tables.port(TAP_PORT).map_or(Ok(()), |port| port.passes(frame)) {
            Ok(()) => self.deliver(tables, parts, frames, length),
            Err(reason) => {
                tables.drops.add(reason, frames);
                false
            }
        }
    }

    /// Writes `frames` frames to the TAP with one call; the parts begin with the virtio-net header.
    pub fn deliver(&self, tables: &ForwardingTables, parts: &[IoSlice<'_>], frames: u64, length: usize) -> bool {
        match self.tap.write(parts) {
            Ok(_) => {
                tables.counters.add(Counter::TapWrites, 1);
                tables.counters.add(Counter::TapTxFrames, frames);
                tables.counters.add(Counter::TapTxBytes, length as u64);
                true
            }
            Err(error) => {
                let reason = match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Reason::TapFull,
                    Some(libc::EIO | libc::ENETDOWN) => Reason::TapDown,
                    _ => Reason::TapOther,
                };
                tables.drops.add(reason, frames);
                false
            }
        }
    }

    /// A group's frame of a host goes to the other ports of this node too. True when one has it.
    pub fn bridge_locally(
        &self,
        tables: &ForwardingTables,
        from: u32,
        vnet: &VnetHeader,
        frame: &Frame<'_>,
        segmenter: &Segmenter<'_>,
    ) -> bool {
        let frames = segmenter.count();
        let vnet = VnetHeader { flags: vnet.flags & NEEDS_CSUM, ..*vnet }.emit();
        let parts = [IoSlice::new(&vnet), IoSlice::new(frame.bytes)];
        let LocalDelivery { to_tap, taken } = self.packets.deliver_locally(tables, from, frame, &parts, frames);
        let Some(tap) = tables.port(TAP_PORT).filter(|tap| to_tap && tap.forwards()) else { return taken };
        let delivered = if frames > 1 && tap.groups_go_singly() {
            self.deliver_singly(tables, frame, segmenter)
        } else {
            self.hand_over(tables, frame, &parts, frames as u64, frame.bytes.len())
        };
        delivered || taken
    }

    /// Writes each frame of a super-frame to the TAP; true when one was taken. All have the headers of the super-frame.
    fn deliver_singly(&self, tables: &ForwardingTables, super_frame: &Frame<'_>, segmenter: &Segmenter<'_>) -> bool {
        let mut buffer = [0; MAX_FRAME_LEN];
        let mut delivered = false;
        for index in 0..segmenter.count() {
            let written = segmenter.write(index, &mut buffer);
            let Some((bytes, checksum)) =
                written.and_then(|(length, checksum)| Some((buffer.get(..length)?, checksum)))
            else {
                tables.drops.count(Reason::TooBig);
                continue;
            };
            let (vnet, frame) = (VnetHeader::single(checksum).emit(), Frame { bytes, ..*super_frame });
            let parts = [IoSlice::new(&vnet), IoSlice::new(bytes)];
            delivered |= self.hand_over(tables, &frame, &parts, 1, bytes.len());
        }
        delivered
    }

    /// Writes one complete frame to the TAP.
    pub fn inject(&self, tables: &ForwardingTables, frame: &[u8]) -> bool {
        self.deliver(tables, &[IoSlice::new(&[0; VNET_LEN]), IoSlice::new(frame)], 1, frame.len())
    }

    /// Takes over what the kernel has counted.
    pub fn note_overruns(&self, tables: &ForwardingTables) {
        tables.drops.set(Reason::TapOverrun, self.tap.overruns());
    }

    /// Offloads that the kernel granted to the TAP, by name.
    pub fn offloads(&self) -> impl Iterator<Item = &'static str> {
        let tap = self.tap.offloads();
        let queues = self.tap.queues().len() > 1;
        [("tap-csum", tap.csum), ("tap-tso", tap.tso), ("tap-uso", tap.uso), ("tap-queues", queues)]
            .into_iter()
            .filter_map(|(name, granted)| granted.then_some(name))
    }
}
