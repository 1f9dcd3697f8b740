//! Ingress turns a read of the TAP or a packet port into sealed datagrams in the outbox: classified, counted and sealed
//! ([`crate::sealing`]).

use treecast_core::counters::Counter;
use treecast_core::flows::{FlowAccount, FlowKey};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::{Frame, Headers};
use treecast_core::offload::vnet::VNET_LEN;
use treecast_core::offload::{Segmenter, VnetHeader};
use treecast_core::own_source::OwnSource;
use treecast_core::reason::Reason;
use treecast_core::verdict::Destination;
use treecast_core::verdict::RecentFlow;

use crate::local_ports::LocalPorts;
use crate::outbox::Outbox;
use crate::sealing::Sealing;
use crate::underlay::Underlay;

/// The ingress of one thread: the reads of a batch go through it.
#[allow(missing_docs)]
pub struct Ingress<'s> {
    pub tables: &'s ForwardingTables,
    pub underlay: &'s Underlay,
    pub local: &'s LocalPorts,
    pub outbox: &'s mut Outbox,
    pub senders: &'s mut FlowAccount,
    pub recent: RecentFlow,
    /// Replaces the MAC of what the machine sends; of the TAP only, and where an interface is bridged.
    pub own_source: Option<&'s OwnSource>,
}

impl Ingress<'_> {
    /// One read from the TAP or a packet port: classified, counted, cut up, sealed. Returns frames and their bytes.
    pub fn encapsulate(&mut self, port: u32, read: &mut [u8], now_ns: u64) -> (usize, usize) {
        let Self { tables, underlay, local, outbox, senders, recent, own_source } = self;
        let Some((vnet, _)) = VnetHeader::parse(read) else {
            tables.drops.count(Reason::VnetMalformed);
            return (0, 0);
        };
        let bytes = read.get_mut(VNET_LEN..).unwrap_or_default();
        let headers = Headers::parse(bytes);
        if let Some(own_source) = own_source {
            own_source.put_on(&vnet, bytes, headers);
        }
        let frame = &Frame { bytes, headers };
        let segmenter = match Segmenter::new(&vnet, frame) {
            Ok(segmenter) => segmenter,
            Err(reason) => {
                tables.drops.count(reason);
                return (0, 0);
            }
        };
        let count = segmenter.count();
        let verdict = tables.classify(port, frame, count as u32, now_ns, recent);
        let bytes = verdict.flow.map_or(0, |_| frame_bytes(frame, &segmenter));
        if let (Some(flow), Some(here)) = (verdict.flow, tables.port(port)) {
            senders.add(&here.sent, flow, owner(frame), count, bytes, now_ns);
        }
        // No protocol that Python copies sends super-frames: who does shall not fill its queue.
        if verdict.punt && (count == 1 || verdict.destination.is_none()) {
            tables.counters.add(Counter::FramesPunted, count as u64);
            tables.punt(port, frame, now_ns);
        }
        let unwanted = |reason| matches!(reason, Reason::NoSubscriber | Reason::NoBroadcastTree);
        let bridging = !local.packets.is_empty()
            && match &verdict.destination {
                Some(Ok(Destination::Tree(..))) => true,
                Some(Err(reason)) => unwanted(*reason) || *reason == Reason::SendNotPermitted,
                _ => false,
            };
        let bridged = bridging && local.bridge_locally(tables, port, &vnet, frame, &segmenter);
        if let Some(flow) = verdict.flow.filter(|_| bridged) {
            count_bridged(tables, &flow, count, bytes, now_ns);
        }
        match &verdict.destination {
            None => {}
            Some(Err(reason)) if bridged && unwanted(*reason) => {}
            Some(Err(reason)) => tables.drops.add(*reason, count as u64),
            Some(Ok(destination)) => {
                count_sent(tables, destination, count, bytes);
                Sealing { tables, underlay, outbox }.send(frame, &segmenter, destination);
            }
        }
        recent.keep(verdict);
        (count, frame.bytes.len())
    }
}

/// Frames leave for a node, a group's members or all.
fn count_sent(tables: &ForwardingTables, destination: &Destination, frames: usize, bytes: usize) {
    let counter = match destination {
        Destination::Node(_) => Counter::FramesUnicast,
        Destination::Tree(_, _, None) => Counter::FramesBroadcast,
        Destination::Tree(_, _, Some(route)) => {
            route.tx.add(frames as u64, bytes as u64);
            Counter::FramesMulticast
        }
    };
    tables.counters.add(counter, frames as u64);
}

/// Bytes of all frames that a read is cut up into.
fn frame_bytes(frame: &Frame<'_>, segmenter: &Segmenter<'_>) -> usize {
    match segmenter.count() {
        1 => frame.bytes.len(),
        count => (0..count).filter_map(|index| segmenter.segment_len(index)).sum(),
    }
}

/// The host whose place a flow takes in a table of senders.
fn owner(frame: &Frame<'_>) -> u64 {
    frame.source().map_or(0, |mac| mac.iter().fold(0, |owner, byte| owner << 8 | u64::from(*byte)))
}

/// A group's frames went to hosts at another port of this node.
fn count_bridged(tables: &ForwardingTables, flow: &FlowKey, frames: usize, bytes: usize, now_ns: u64) {
    let replaced = tables.delivered.add(flow, flow.root.into(), frames as u64, bytes as u64, now_ns);
    tables.counters.add(Counter::FlowsReplaced, replaced.into());
}
