//! Tree datagrams for next hops: sent on from the receive buffer, byte-identical, before anything in it is opened.
//! Their DSCP and ECN go on as they came, as a router's would: congestion marked on one hop reaches the members.

use std::sync::Arc;

use treecast_core::arrival::{Recent, Relay};
use treecast_core::counters::Counter;
use treecast_core::downstream_tree::{DownstreamTree, NextHops};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;

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
        let mut recent = Recent::default();
        for (index, (message, bytes)) in receiver.messages().enumerate() {
            let mut open: Option<(Run, NextHops)> = None;
            let mut start = 0;
            let Some(source) = message.source else { continue };
            for (number, datagram) in bytes.chunks(message.segment.max(1)).enumerate() {
                if let Some(fresh) = tables.relay(datagram, source, now_ns, &mut recent) {
                    if let Ok((tree, _)) = &fresh {
                        tree.keep(datagram, message.traffic_class, now_ns);
                    }
                    let hops = self.note(tables, index, number, fresh);
                    let next = Run::new(start, datagram.len(), message.traffic_class);
                    open = extend(open, hops, next, |run, hops| {
                        outbox.dispatch.add_tree(tables, underlay, index, run, hops);
                    });
                }
                start += datagram.len();
            }
            if let Some((run, hops)) = open {
                outbox.dispatch.add_tree(tables, underlay, index, run, &hops);
            }
        }
        outbox.dispatch.send(tables, underlay, |index| receiver.bytes(index));
    }

    fn note(
        &mut self,
        tables: &ForwardingTables,
        message: usize,
        datagram: usize,
        fresh: Result<Relay, Reason>,
    ) -> Option<NextHops> {
        let (deliver, hops) = match fresh {
            Ok((tree, hops)) => {
                tables.counters.add(Counter::FramesRelayed, (!hops.is_empty()).into());
                (tree.stream.is_subscribed().then_some(tree), Some(hops))
            }
            Err(reason) => {
                tables.drops.count(reason);
                (None, None)
            }
        };
        self.0.push(Passed { message, datagram, deliver });
        hops
    }
}

/// Grows the open run by one datagram of the same tree that follows it, or closes it (to `done`) and opens the next.
fn extend(
    open: Option<(Run, NextHops)>,
    hops: Option<NextHops>,
    next: Run,
    done: impl FnOnce(Run, &[u32]),
) -> Option<(Run, NextHops)> {
    if let (Some((mut run, before)), Some(hops)) = (open.clone(), &hops) {
        if Arc::ptr_eq(&before, hops) && run.end() == next.start && run.extend(next.length) {
            return Some((run, before));
        }
    }
    if let Some((run, before)) = open {
        done(run, &before);
    }
    hops.map(|hops| (next, hops))
}
