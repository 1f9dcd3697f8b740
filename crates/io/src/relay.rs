//! Tree datagrams for next hops: sent on from the receive buffer, byte-identical, before anything in it is opened.
//! Their DSCP and ECN go on as they came, as a router's would: congestion marked on one hop reaches the members.

use std::sync::Arc;

use treecast_core::arrival::Relay;
use treecast_core::counters::Counter;
use treecast_core::plane::Plane;
use treecast_core::reason::Reason;
use treecast_core::tree::{MemberTree, Outlet};

use crate::dispatch::Run;
use crate::outbox::Outbox;
use crate::ports::Ports;
use crate::sys::batch::Receiver;

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
    pub deliver: Option<Arc<MemberTree>>,
}

impl Relayed {
    /// Sends tree datagrams on, from the receive buffer, before anything in it is opened.
    pub fn forward(&mut self, plane: &Plane, ports: &Ports, outbox: &mut Outbox, receiver: &Receiver) {
        for (index, (message, bytes)) in receiver.messages().enumerate() {
            let mut open: Option<(Run, Arc<Outlet>)> = None;
            let mut start = 0;
            for (number, datagram) in bytes.chunks(message.segment.max(1)).enumerate() {
                if let Some(fresh) = plane.relay(datagram) {
                    let outlet = self.note(plane, index, number, fresh);
                    let next = Run::new(start, datagram.len(), message.traffic_class);
                    open = extend(open, outlet, next, |run, outlet| {
                        outbox.dispatch.add_tree(plane, ports, index, run, &outlet.next_hops);
                    });
                }
                start += datagram.len();
            }
            if let Some((run, outlet)) = open {
                outbox.dispatch.add_tree(plane, ports, index, run, &outlet.next_hops);
            }
        }
        outbox.dispatch.send(plane, ports, |index| receiver.bytes(index));
    }

    fn note(
        &mut self,
        plane: &Plane,
        message: usize,
        datagram: usize,
        fresh: Result<Relay, Reason>,
    ) -> Option<Arc<Outlet>> {
        let (deliver, outlet) = match fresh {
            Ok((tree, outlet)) => {
                plane.counters.add(Counter::FramesRelayed, 1);
                (outlet.deliver.then_some(tree), Some(outlet))
            }
            Err(reason) => {
                plane.drops.count(reason);
                (None, None)
            }
        };
        self.0.push(Passed { message, datagram, deliver });
        outlet
    }
}

/// Grows the open run by one datagram of the same tree that follows it, or closes it (to `done`) and opens the next.
fn extend(
    open: Option<(Run, Arc<Outlet>)>,
    outlet: Option<Arc<Outlet>>,
    next: Run,
    done: impl FnOnce(Run, &Outlet),
) -> Option<(Run, Arc<Outlet>)> {
    if let (Some((mut run, before)), Some(outlet)) = (open.clone(), &outlet) {
        if Arc::ptr_eq(&before, outlet) && run.end() == next.start && run.extend(next.length) {
            return Some((run, before));
        }
    }
    if let Some((run, before)) = open {
        done(run, &before);
    }
    outlet.map(|outlet| (next, outlet))
}
