//! Tree datagrams for next hops: sent on from the receive buffer, byte-identical, before anything in it is opened.
//! Their DSCP and ECN go on as they came, as a router's would: congestion marked on one hop reaches the members.

use std::sync::Arc;

use treecast_core::arrival::{Recent, Relay};
use treecast_core::counters::Counter;
use treecast_core::downstream_tree::{DownstreamTree, OutgoingList};
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
            let mut open: Option<(Run, Arc<OutgoingList>)> = None;
            let mut start = 0;
            let Some(source) = message.source else { continue };
            for (number, datagram) in bytes.chunks(message.segment.max(1)).enumerate() {
                if let Some(fresh) = tables.relay(datagram, source, now_ns, &mut recent) {
                    let outgoing = self.note(tables, index, number, fresh);
                    let next = Run::new(start, datagram.len(), message.traffic_class);
                    open = extend(open, outgoing, next, |run, outgoing| {
                        outbox.dispatch.add_tree(tables, underlay, index, run, &outgoing.next_hops);
                    });
                }
                start += datagram.len();
            }
            if let Some((run, outgoing)) = open {
                outbox.dispatch.add_tree(tables, underlay, index, run, &outgoing.next_hops);
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
    ) -> Option<Arc<OutgoingList>> {
        let (deliver, outgoing) = match fresh {
            Ok((tree, outgoing)) => {
                tables.counters.add(Counter::FramesRelayed, 1);
                (outgoing.deliver.then_some(tree), Some(outgoing))
            }
            Err(reason) => {
                tables.drops.count(reason);
                (None, None)
            }
        };
        self.0.push(Passed { message, datagram, deliver });
        outgoing
    }
}

/// Grows the open run by one datagram of the same tree that follows it, or closes it (to `done`) and opens the next.
fn extend(
    open: Option<(Run, Arc<OutgoingList>)>,
    outgoing: Option<Arc<OutgoingList>>,
    next: Run,
    done: impl FnOnce(Run, &OutgoingList),
) -> Option<(Run, Arc<OutgoingList>)> {
    if let (Some((mut run, before)), Some(outgoing)) = (open.clone(), &outgoing) {
        if Arc::ptr_eq(&before, outgoing) && run.end() == next.start && run.extend(next.length) {
            return Some((run, before));
        }
    }
    if let Some((run, before)) = open {
        done(run, &before);
    }
    outgoing.map(|outgoing| (next, outgoing))
}
