//! A worker thread: waits, reads a batch, decides by `treecast-core`, sends the batch, waits again.
//!
//! Each worker has a queue of the TAP and its share of the sockets to itself, so what one flow sends passes through one
//! worker only, in its order. The first has the control sockets too, sends the probes, and gives up what waited too long.
//! Fairness: each wake-up serves every readable descriptor once, with a bounded batch. Probes are sent for all peers at once,
//! so that an idle node wakes rarely, but not when other nodes send theirs, even if all have one clock.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use treecast_core::arrival::{Opened, OpenedFrame, Recent};
use treecast_core::counters::Counter;
use treecast_core::datagram::TREE;
use treecast_core::flows::FlowAccount;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::{Frame, Headers};
use treecast_core::offload::{CoalescedWrite, Coalescer, Merging};
use treecast_core::port::{Port, TAP_PORT};
use treecast_core::reason::Reason;
use treecast_core::silence::TURN_NS;
use treecast_core::traffic_class::decapsulate;
use treecast_core::verdict::RecentFlow;

use crate::delivering::Delivering;
use crate::dispatch::SocketKind;
use crate::ingress::Ingress;
use crate::local_ports::LocalPorts;
use crate::outbox::Outbox;
use crate::probe_turn;
use crate::reassembly::{reassembly_len, ReassemblyBuffer};
use crate::received_message::UnderlayMessage;
use crate::relay::Relayed;
use crate::repair::turn_trees;
use crate::sys::batch::{Receiver, MESSAGE_LEN};
use crate::sys::poll::{EventFd, Poll};
use crate::sys::thread::{monotonic_ns, set_slice};
use crate::underlay::Underlay;
use crate::worker_liveness::WorkerLiveness;

/// Frames and segments taken from the TAP before the sockets have their turn.
const TAP_BATCH: usize = 64;
/// The same where a run would otherwise leave half full.
const TAP_BATCH_MOST: usize = 192;
/// Messages taken from a socket before the others have their turn.
const UDP_BATCH: usize = 16;
/// A super-frame and its headers.
const TAP_BUFFER_LEN: usize = 65_536 + 256;
const TOKEN_STOP: u64 = 0;
const TOKEN_TAP: u64 = 1;
const TOKEN_LIVENESS: u64 = 2;
/// One token for each address that is listened on, and below it one for each of its sockets.
const TOKEN_SOCKETS: u64 = 1 << 32;

/// A worker's place among all of them.
#[derive(Clone, Copy, Debug)]
pub struct WorkerShare {
    /// The worker's number, from 0 on.
    pub number: usize,
    /// The number of workers, at least 1.
    pub of: usize,
}

/// A worker thread's state.
pub struct Worker {
    tables: Arc<ForwardingTables>,
    underlay: Arc<Underlay>,
    local: Arc<LocalPorts>,
    share: WorkerShare,
    liveness: Arc<WorkerLiveness>,
    /// The liveness of the worker that takes the turns.
    first: Arc<WorkerLiveness>,
    poll: Poll,
    outbox: Outbox,
    receiver: Receiver,
    relayed: Relayed,
    tap_buffer: Box<[u8]>,
    reassembly_buffer: Box<[u8]>,
    merging: Merging,
    senders: FlowAccount,
    delivered: FlowAccount,
}

impl Worker {
    /// Everything that can fail, before the thread starts. `stop` ends [`Worker::run`]; `first`: whose worker takes the turns.
    pub fn new(
        tables: Arc<ForwardingTables>,
        underlay: Arc<Underlay>,
        local: Arc<LocalPorts>,
        stop: &EventFd,
        [liveness, first]: [Arc<WorkerLiveness>; 2],
        share: WorkerShare,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.add(stop.as_fd(), TOKEN_STOP)?;
        poll.add(liveness.signalled.as_fd(), TOKEN_LIVENESS)?;
        if let Some(queue) = local.tap.queues().nth(share.number) {
            poll.add(queue, TOKEN_TAP)?;
        }
        for (listening, token) in underlay.sockets.iter().zip((TOKEN_SOCKETS..).step_by(1 << 32)) {
            for (socket, token) in listening.all().zip(token..).skip(share.number).step_by(share.of) {
                poll.add(socket.as_fd(), token)?;
            }
        }
        let offloads = local.tap.offloads();
        Ok(Self {
            tables,
            underlay,
            local,
            share,
            liveness,
            first,
            poll,
            outbox: Outbox::new(SocketKind::Data),
            receiver: Receiver::new(UDP_BATCH),
            relayed: Relayed::default(),
            tap_buffer: vec![0; TAP_BUFFER_LEN].into_boxed_slice(),
            // Zeros that are not touched are no memory yet.
            reassembly_buffer: vec![0; reassembly_len(UDP_BATCH * MESSAGE_LEN)].into_boxed_slice(),
            merging: Merging { tcp: offloads.csum && offloads.tso, udp: offloads.csum && offloads.uso, groups: true },
            senders: FlowAccount::default(),
            delivered: FlowAccount::default(),
        })
    }

    /// Works until it is stopped, and probes the peers where an interval is given.
    pub fn run(mut self, probe_interval_ns: Option<u64>) {
        let _ = set_slice(0);
        let index = self.tables.node_index;
        let after = |now_ns| probe_interval_ns.map(|interval_ns| probe_turn::next_turn_ns(now_ns, interval_ns, index));
        let (mut next_probe_ns, mut next_turn_ns) = (after(monotonic_ns()), 0);
        loop {
            let turns = next_probe_ns.is_some() && self.tables.watches_trees();
            let next_ns = next_probe_ns.map(|probe_ns| if turns { probe_ns.min(next_turn_ns) } else { probe_ns });
            let wait_ns = next_ns.map(|next_ns| next_ns.saturating_sub(monotonic_ns()));
            let Ok(ready) = self.poll.wait(wait_ns) else { return };
            for token in ready.tokens() {
                match token {
                    TOKEN_STOP => return,
                    TOKEN_TAP => self.serve_tap(),
                    TOKEN_LIVENESS => self.liveness.answer(),
                    socket => self.serve_socket((socket / TOKEN_SOCKETS - 1) as u32, socket % TOKEN_SOCKETS),
                }
            }
            if self.tables.begins_to_watch_trees() && next_probe_ns.is_none() {
                self.first.signal();
            }
            let now_ns = monotonic_ns();
            if turns && now_ns >= next_turn_ns {
                turn_trees(&self.tables, &self.underlay, now_ns);
                next_turn_ns = now_ns + TURN_NS;
            }
            if next_probe_ns.is_some_and(|next_ns| now_ns >= next_ns) {
                self.probe_all(now_ns);
                self.tables.expire_fragments(now_ns);
                next_probe_ns = after(now_ns);
            }
        }
    }

    fn probe_all(&self, now_ns: u64) {
        for session in self.tables.peers().iter().filter_map(|peer| peer.current()) {
            session.path.turn(self.tables.route_to(session.peer).is_some());
            self.underlay.probe(&self.tables, &session, true, now_ns);
        }
    }

    fn serve_tap(&mut self) {
        let Self { tables, underlay, local, outbox, tap_buffer, share, senders, .. } = self;
        let now_ns = monotonic_ns();
        let own_source = tables.own_source();
        let (recent, own_source) = (RecentFlow::default(), own_source.as_deref());
        let mut ingress = Ingress { tables, underlay, local, outbox, senders, recent, own_source };
        let (mut reads, mut frames, mut bytes) = (0, 0, 0);
        while frames < TAP_BATCH || frames < TAP_BATCH_MOST && ingress.outbox.has_open_run() {
            match local.tap.read(share.number, tap_buffer) {
                Ok(length) => {
                    let read = tap_buffer.get_mut(..length).unwrap_or_default();
                    let taken = ingress.encapsulate(TAP_PORT, read, now_ns);
                    reads += 1;
                    frames += taken.0.max(1);
                    bytes += taken.1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // The interface is gone (somebody deleted it): nothing will come any more. Counted once.
                    tables.drops.add(Reason::TapOther, (share.number == 0).into());
                    if let Some(queue) = local.tap.queues().nth(share.number) {
                        let _ = self.poll.remove(queue);
                    }
                    break;
                }
            }
        }
        if let Some(here) = tables.port(TAP_PORT) {
            tables.counters.add(Counter::FlowsReplaced, senders.finish(&here.sent, now_ns));
        }
        tables.counters.add(Counter::TapReads, reads);
        tables.counters.add(Counter::TapRxFrames, frames as u64);
        tables.counters.add(Counter::TapRxBytes, bytes as u64);
        outbox.flush(tables, underlay);
    }

    fn serve_socket(&mut self, socket: u32, own: u64) {
        let Self { tables, underlay, local, outbox, receiver, relayed, reassembly_buffer, merging, delivered, .. } =
            self;
        let from = underlay.sockets.get(socket as usize).and_then(|listening| listening.all().nth(own as usize));
        let Some(fd) = from.map(AsFd::as_fd) else { return };
        // An error is an ICMP message about an earlier datagram, or a signal: what arrived comes with the next call.
        if receiver.receive(fd).is_err() {
            return;
        }
        let now_ns = monotonic_ns();
        if tables.relays() {
            relayed.forward(tables, underlay, outbox, receiver, now_ns);
        }
        let mut delivering = Delivering::new(tables, local, delivered, now_ns);
        let mut sink = |delivery: CoalescedWrite<'_>| delivering.deliver(&delivery);
        let mut reassembly = ReassemblyBuffer(reassembly_buffer);
        let groups = !tables.port(TAP_PORT).is_some_and(Port::groups_go_singly);
        let mut coalescer = Coalescer::new(Merging { groups, ..*merging });
        let mut recent = Recent::default();
        let mut relayed = relayed.0.drain(..).peekable();
        for (index, (message, bytes)) in receiver.messages_mut().enumerate() {
            let Some(received) = UnderlayMessage::new(tables, underlay, socket, message, now_ns) else { continue };
            let mut tree_volume = (0, 0);
            for (number, datagram) in bytes.chunks_mut(message.segment.max(1)).enumerate() {
                let passed = relayed.next_if(|passed| passed.message == index && passed.datagram == number);
                if datagram.first() == Some(&TREE) {
                    tree_volume = (tree_volume.0 + 1, tree_volume.1 + datagram.len() as u64);
                }
                match received.open(datagram, passed, &mut recent, outbox) {
                    Ok(Some(Opened::Frame(OpenedFrame { start, length, checksum, ingress }))) => {
                        let bytes = &mut datagram[start..start + length];
                        let headers = Headers::parse(bytes);
                        let capable = decapsulate(bytes, &headers, message.traffic_class);
                        let frame = Frame { bytes, headers };
                        match capable.and_then(|()| tables.check_source(&frame, ingress, &mut recent)) {
                            Ok(()) => coalescer.push(frame, checksum, ingress.node, &mut sink),
                            Err(reason) => tables.drops.count(reason),
                        }
                    }
                    Ok(Some(Opened::Part(part))) => {
                        let bytes = &datagram[part.start..][..part.length];
                        match reassembly.take(tables, &part, bytes, message.traffic_class, now_ns, &mut recent) {
                            Ok(Some(frame)) => coalescer.push(frame, part.checksum, part.ingress.node, &mut sink),
                            Ok(None) => {}
                            Err(reason) => tables.drops.count(reason),
                        }
                    }
                    Ok(None) => {}
                    Err(reason) => tables.drops.count(reason),
                }
            }
            received.count(message, tree_volume);
        }
        coalescer.finish(&mut sink);
        delivering.finish();
        outbox.flush(tables, underlay);
        underlay.request_anchors(tables);
    }
}
