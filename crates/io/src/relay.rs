//! Tree datagrams for next hops: sent on from the receive buffer, byte-identical, before anything in it is opened.
//! Their DSCP and ECN go on as they came, as a router's would: congestion marked on one hop reaches the members.

use std::sync::Arc;

use treecast_core::arrival::Recent;
use treecast_core::counters::Counter;
use treecast_core::downstream_tree::{DownstreamTree, NextHops};
use treecast_core::forwarding_tables::ForwardingTables;

use crate::dispatch::Run;
use crate::outbox::Outbox;
use crate::sys::batch::Receiver;
use crate::underlay::Underlay;

/// Datagrams of the current batch that were relayed (or refused) before the batch was opened.
#[derive(Default)]
pub struct Relayed(pub Vec<Passed>);

/// One of them.
pub struct Passed {
    /// Number of its message in the batch.
    pub message: usize,
    /// Its number in the message.
    pub datagram: usize,
    /// The tree to open it for, where hosts here subscribe.
    pub deliver: Option<Arc<DownstreamTree>>,
}

impl Relayed {
    /// Sends tree datagrams on, from the receive buffer, before anything in it is opened.
    pub fn forward(
        &mut self,
        tables: &ForwardingTables,
        underlay: &Underlay,
        outbox: &mut Outbox,
        receiver: &Receiver,
        now_ns: u64,
    ) {
        let (mut recent, mut sent_on) = (Recent::default(), 0);
        for (index, (message, bytes)) in receiver.messages().enumerate() {
            let mut open: Option<(Run, NextHops)> = None;
            let mut start = 0;
            let Some(source) = message.source else { continue };
            for (number, datagram) in bytes.chunks(message.segment.max(1)).enumerate() {
                let relayed = tables.relay((datagram, message.traffic_class), source, now_ns, &mut recent);
                if let Some(fresh) = relayed {
                    let deliver = fresh.as_ref().ok().filter(|(tree, _)| tree.stream.is_subscribed());
                    self.0.push(Passed {
                        message: index,
                        datagram: number,
                        deliver: deliver.map(|(tree, _)| (*tree).clone()),
                    });
                    let hops = fresh.map(|(_, hops)| hops).map_err(|reason| tables.drops.count(reason)).ok();
                    sent_on += u64::from(hops.as_ref().is_some_and(|hops| !hops.is_empty()));
                    let next = Run::new(start, datagram.len(), message.traffic_class);
                    extend(&mut open, hops.as_deref(), next, |run, hops| {
                        outbox.dispatch.add_tree(tables, underlay, index, run, hops);
                    });
                }
                start += datagram.len();
            }
            if let Some((run, hops)) = open {
                outbox.dispatch.add_tree(tables, underlay, index, run, &hops);
            }
        }
        tables.counters.add(Counter::FramesRelayed, sent_on);
        outbox.dispatch.send(tables, underlay, |index| receiver.bytes(index));
    }
}

/// Grows the open run by one datagram of the same tree that follows it, or closes it (to `done`) and opens the next.
fn extend(open: &mut Option<(Run, NextHops)>, hops: Option<&NextHops>, next: Run, done: impl FnOnce(Run, &[u32])) {
    if let (Some((run, before)), Some(hops)) = (open.as_mut(), hops) {
        if Arc::ptr_eq(before, hops) && run.end() == next.start && run.extend(next.length) {
            return;
        }
    }
    if let Some((run, before)) = open.take() {
        done(run, &before);
    }
    *open = hops.map(|hops| (next, hops.clone()));
}
