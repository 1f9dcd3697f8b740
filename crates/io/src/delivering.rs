//! Delivery of opened frames to the hosts of this node, by the TAP and the packet ports; those of groups are counted.

use treecast_core::counters::Counter;
use treecast_core::egress::Leaving;
use treecast_core::flows::{FlowAccount, FlowKey};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::offload::CoalescedWrite;
use treecast_core::port::{Port, TAP_PORT};
use treecast_core::reason::Reason;

use crate::local_ports::LocalPorts;
use crate::packet_port::{LocalDelivery, OVERLAY};

/// One batch.
pub struct Delivering<'s> {
    tables: &'s ForwardingTables,
    local: &'s LocalPorts,
    account: &'s mut FlowAccount,
    forwards: bool,
    now_ns: u64,
}

impl<'s> Delivering<'s> {
    /// The batch that came at `now_ns`.
    pub fn new(tables: &'s ForwardingTables, local: &'s LocalPorts, account: &'s mut FlowAccount, now_ns: u64) -> Self {
        let forwards = tables.port(TAP_PORT).is_some_and(Port::forwards);
        Self { tables, local, account, forwards, now_ns }
    }

    /// One frame or super-frame.
    pub fn deliver(&mut self, delivery: &CoalescedWrite<'_>) {
        let CoalescedWrite { frame, parts, frames, .. } = *delivery;
        let LocalDelivery { to_tap, taken } = if self.local.packets.is_empty() {
            LocalDelivery { to_tap: true, taken: false }
        } else {
            self.local.packets.deliver_locally(self.tables, OVERLAY, frame, parts, frames)
        };
        if self.to_tap(delivery, to_tap) || taken {
            self.count(delivery);
        }
    }

    /// Ends the batch.
    pub fn finish(self) {
        let replaced = self.account.finish(&self.tables.delivered, self.now_ns);
        self.tables.counters.add(Counter::FlowsReplaced, replaced);
    }

    fn to_tap(&self, delivery: &CoalescedWrite<'_>, wanted: bool) -> bool {
        if wanted && !self.forwards {
            self.tables.drops.add(Reason::PortBlocked, delivery.frames as u64);
        }
        let goes = wanted && self.forwards;
        goes && self.local.hand_over(
            self.tables,
            delivery.frame,
            delivery.parts,
            delivery.frames as u64,
            delivery.length,
        )
    }

    fn count(&mut self, delivery: &CoalescedWrite<'_>) {
        if !delivery.frame.is_to_group() {
            return;
        }
        if let Leaving::Group { vlan, group, source } = Leaving::of(delivery.frame) {
            let (root, bytes) = (delivery.root, delivery.frame_bytes());
            let key = FlowKey { vlan, root, group, source };
            self.account.add(&self.tables.delivered, key, root.into(), delivery.frames, bytes, self.now_ns);
        }
    }
}
