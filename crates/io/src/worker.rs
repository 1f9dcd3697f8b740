//! The worker thread: waits, reads a batch, asks `treecast-core`, sends the batch, waits again.
//!
//! Fairness: each wake-up serves every readable descriptor once, with a bounded batch. Probes are sent for all peers at once,
//! at multiples of the interval, so that an idle node wakes rarely.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use treecast_core::counters::Counter;
use treecast_core::datagram::{DatagramType, Inner, TreeHeader};
use treecast_core::datagram::{KIND_FRAME, KIND_PROBE, KIND_PROBE_REPLY, MAX_SESSION_BODY_LEN, MAX_TREE_BODY_LEN};
use treecast_core::events::Event;
use treecast_core::offload::{Coalescer, Delivery, Merging, Segmenter, VnetHeader};
use treecast_core::plane::{Destination, OpenedFrame, Plane, Received, Relay};
use treecast_core::reason::Reason;
use treecast_core::session::{Endpoint, Session, SESSION_BODY_OFFSET};
use treecast_core::tree::{MemberTree, Members, Outlet, RootTree, TREE_BODY_OFFSET};

use crate::outbox::{Lane, Outbox, Run, Target};
use crate::ports::Ports;
use crate::sys::batch::{Message, Receiver};
use crate::sys::poll::{EventFd, Poll};
use crate::sys::thread::{monotonic_ns, schedule_batch};

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
const TOKEN_SOCKETS: u64 = 2;

/// See the module.
pub struct Worker {
    plane: Arc<Plane>,
    ports: Arc<Ports>,
    poll: Poll,
    outbox: Outbox,
    receiver: Receiver,
    relayed: Relayed,
    tap_buffer: Box<[u8]>,
    merging: Merging,
    probe_interval_ns: u64,
    next_probe_ns: u64,
}

impl Worker {
    /// Everything that can fail, before the thread starts. `stop` ends [`Worker::run`].
    pub fn new(plane: Arc<Plane>, ports: Arc<Ports>, stop: &EventFd, probe_interval_ns: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.add(stop.as_fd(), TOKEN_STOP)?;
        poll.add(ports.tap.as_fd(), TOKEN_TAP)?;
        for (token, fd) in (TOKEN_SOCKETS..).zip(ports.fds()) {
            poll.add(fd, token)?;
        }
        let offloads = ports.tap.offloads();
        let mut worker = Self {
            plane,
            ports,
            poll,
            outbox: Outbox::default(),
            receiver: Receiver::new(UDP_BATCH),
            relayed: Relayed::default(),
            tap_buffer: vec![0; TAP_BUFFER_LEN].into_boxed_slice(),
            merging: Merging { tcp: offloads.csum && offloads.tso, udp: offloads.csum && offloads.uso },
            probe_interval_ns,
            next_probe_ns: 0,
        };
        worker.plan_probe(monotonic_ns());
        Ok(worker)
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        // Without SCHED_BATCH everything works, with smaller batches.
        let _ = schedule_batch();
        loop {
            let wait_ns = self.next_probe_ns.saturating_sub(monotonic_ns());
            let Ok(ready) = self.poll.wait(wait_ns.div_ceil(1_000_000) as i32) else { return };
            for token in ready.tokens() {
                match token {
                    TOKEN_STOP => return,
                    TOKEN_TAP => self.serve_tap(),
                    socket => self.serve_socket((socket - TOKEN_SOCKETS) as u32),
                }
            }
            let now_ns = monotonic_ns();
            if now_ns >= self.next_probe_ns {
                self.probe_all(now_ns);
                self.plan_probe(now_ns);
            }
        }
    }

    fn plan_probe(&mut self, now_ns: u64) {
        self.next_probe_ns = (now_ns / self.probe_interval_ns + 1) * self.probe_interval_ns;
    }

    fn probe_all(&self, now_ns: u64) {
        for session in self.plane.peers().iter().filter_map(|peer| peer.current()) {
            let value = session.probe(now_ns).to_be_bytes();
            if self.ports.send_on(&self.plane, &session, KIND_PROBE, &value) {
                self.plane.counters.add(Counter::ProbesSent, 1);
            }
        }
    }

    fn serve_tap(&mut self) {
        let Self { plane, ports, outbox, tap_buffer, .. } = self;
        let now_ns = monotonic_ns();
        let (mut reads, mut frames, mut bytes) = (0, 0, 0);
        while frames < TAP_BATCH || frames < TAP_BATCH_MOST && outbox.has_open_run() {
            match ports.tap.read(tap_buffer) {
                Ok(length) => {
                    let read = tap_buffer.get(..length).unwrap_or_default();
                    let taken = send_read(plane, ports, outbox, read, now_ns);
                    reads += 1;
                    frames += taken.0.max(1);
                    bytes += taken.1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // The interface is gone (somebody deleted it): nothing will come any more.
                    plane.drops.count(Reason::TapOther);
                    let _ = self.poll.remove(ports.tap.as_fd());
                    break;
                }
            }
        }
        plane.counters.add(Counter::TapReads, reads);
        plane.counters.add(Counter::TapRxFrames, frames as u64);
        plane.counters.add(Counter::TapRxBytes, bytes as u64);
        outbox.flush(plane, ports);
    }

    fn serve_socket(&mut self, socket: u32) {
        let Self { plane, ports, outbox, receiver, relayed, merging, .. } = self;
        let Some(fd) = ports.fds().nth(socket as usize) else { return };
        // An error is an ICMP message about an earlier datagram, or a signal: what arrived comes with the next call.
        if receiver.receive(fd).is_err() {
            return;
        }
        let now_ns = monotonic_ns();
        if plane.relays() {
            relayed.forward(plane, ports, outbox, receiver);
        }
        let mut sink = |delivery: Delivery<'_>| {
            ports.deliver(plane, delivery.parts, delivery.frames as u64, delivery.length);
        };
        let mut coalescer = Coalescer::new(*merging);
        let mut relayed = relayed.0.drain(..).peekable();
        for (index, (message, bytes)) in receiver.messages_mut().enumerate() {
            let Some(batch) = Batch::new(plane, ports, socket, message, now_ns) else { continue };
            let mut tree_volume = (0, 0);
            for (number, datagram) in bytes.chunks_mut(message.segment.max(1)).enumerate() {
                let passed = relayed.next_if(|passed| passed.message == index && passed.datagram == number);
                if datagram.first() == Some(&treecast_core::datagram::TREE) {
                    tree_volume = (tree_volume.0 + 1, tree_volume.1 + datagram.len() as u64);
                }
                match batch.open(datagram, passed) {
                    Ok(Some(OpenedFrame { start, length, checksum })) => {
                        let datagram: &[u8] = datagram;
                        coalescer.push(&datagram[start..start + length], checksum, &mut sink);
                    }
                    Ok(None) => {}
                    Err(reason) => plane.drops.count(reason),
                }
            }
            batch.count(message, tree_volume);
        }
        coalescer.finish(&mut sink);
    }
}

/// One read from the TAP: classified, cut up, sealed. Returns frames and their bytes.
fn send_read(plane: &Plane, ports: &Ports, outbox: &mut Outbox, read: &[u8], now_ns: u64) -> (usize, usize) {
    let Some((vnet, frame)) = VnetHeader::parse(read) else {
        plane.drops.count(Reason::VnetMalformed);
        return (0, 0);
    };
    let segmenter = match Segmenter::new(&vnet, frame) {
        Ok(segmenter) => segmenter,
        Err(reason) => {
            plane.drops.count(reason);
            return (0, 0);
        }
    };
    let count = segmenter.count();
    let verdict = plane.classify(frame, now_ns);
    if verdict.punt {
        plane.counters.add(Counter::FramesPunted, count as u64);
        plane.tell(Event::TapFrame { port: 0, data: frame.to_vec() }, now_ns);
    }
    let mut sealing = Sealing { plane, ports, outbox };
    match verdict.destination {
        None => {}
        Some(Err(reason)) => plane.drops.add(reason, count as u64),
        Some(Ok(Destination::Node(session))) => {
            plane.counters.add(Counter::FramesUnicast, count as u64);
            sealing.for_session(&session, &segmenter);
        }
        Some(Ok(Destination::Tree(tree, route))) => {
            let counter = if route.is_some() { Counter::FramesMulticast } else { Counter::FramesBroadcast };
            plane.counters.add(counter, count as u64);
            if let Some(route) = route {
                let bytes = (0..count).filter_map(|index| segmenter.segment_len(index)).sum::<usize>();
                route.tx.add(count as u64, bytes as u64);
            }
            let members = tree.members.load_full();
            sealing.for_tree(&tree, &members, &segmenter);
        }
    }
    (count, frame.len())
}

struct Sealing<'s> {
    plane: &'s Plane,
    ports: &'s Ports,
    outbox: &'s mut Outbox,
}

impl Sealing<'_> {
    fn for_session(&mut self, session: &Arc<Session>, segmenter: &Segmenter<'_>) {
        let target = Target::Session(session.clone());
        self.all(&target, segmenter, SESSION_BODY_OFFSET, MAX_SESSION_BODY_LEN, |inner, length, room| {
            session.seal(inner, length, room)
        });
    }

    fn for_tree(&mut self, tree: &Arc<RootTree>, members: &Arc<Members>, segmenter: &Segmenter<'_>) {
        if !members.next_hops.is_empty() {
            let target = Target::Tree(tree.clone(), members.clone());
            self.all(&target, segmenter, TREE_BODY_OFFSET, MAX_TREE_BODY_LEN, |inner, length, room| {
                tree.seal(inner, length, room)
            });
        }
        for peer in &members.replicate {
            match self.plane.session_to(*peer) {
                Ok(session) => self.for_session(&session, segmenter),
                Err(reason) => self.plane.drops.add(reason, segmenter.count() as u64),
            }
        }
    }

    /// Each frame straight into the lane, then sealed there.
    fn all(
        &mut self,
        target: &Target,
        segmenter: &Segmenter<'_>,
        offset: usize,
        limit: usize,
        seal: impl Fn(Inner, usize, &mut [u8]) -> Result<usize, Reason>,
    ) {
        let overhead = treecast_core::datagram::MAX_DATAGRAM_LEN - limit;
        let largest = segmenter.segment_len(0).unwrap_or(0) + overhead;
        let mut lane = self.outbox.lane(self.plane, self.ports, target, largest * segmenter.count());
        for index in 0..segmenter.count() {
            if lane.is_full() {
                lane = self.outbox.more(self.plane, self.ports, target);
            }
            match seal_one(lane, segmenter, index, offset, limit, &seal) {
                Ok(length) => lane.commit(length),
                Err(reason) => self.plane.drops.count(reason),
            }
        }
    }
}

fn seal_one(
    lane: &mut Lane,
    segmenter: &Segmenter<'_>,
    index: usize,
    offset: usize,
    limit: usize,
    seal: &impl Fn(Inner, usize, &mut [u8]) -> Result<usize, Reason>,
) -> Result<usize, Reason> {
    let room = lane.room();
    let body = room.get_mut(offset..offset + limit).ok_or(Reason::TooBig)?;
    let (length, checksum) = segmenter.write(index, body).ok_or(Reason::TooBig)?;
    seal(Inner { kind: KIND_FRAME, checksum }, length, room)
}

/// Datagrams of the current batch that were relayed (or refused) before the batch was opened.
#[derive(Default)]
struct Relayed(Vec<Passed>);

struct Passed {
    message: usize,
    datagram: usize,
    /// The tree to open it for, where hosts here subscribe.
    deliver: Option<Arc<MemberTree>>,
}

impl Relayed {
    /// Sends tree datagrams on, from the receive buffer, before anything in it is opened.
    fn forward(&mut self, plane: &Plane, ports: &Ports, outbox: &mut Outbox, receiver: &Receiver) {
        for (index, (message, bytes)) in receiver.messages().enumerate() {
            let mut open: Option<(Run, Arc<Outlet>)> = None;
            let mut start = 0;
            for (number, datagram) in bytes.chunks(message.segment.max(1)).enumerate() {
                if let Some(fresh) = plane.relay(datagram) {
                    let outlet = self.note(plane, index, number, fresh);
                    open = extend(open, outlet, start, datagram.len(), |run, outlet| {
                        outbox.dispatch.add_tree(plane, ports, index, run, &outlet.next_hops);
                    });
                }
                start += datagram.len();
            }
            if let Some((run, outlet)) = open {
                outbox.dispatch.add_tree(plane, ports, index, run, &outlet.next_hops);
            }
        }
        let buffers: Vec<&[u8]> = receiver.messages().map(|(_, bytes)| bytes).collect();
        outbox.dispatch.send(plane, ports, |index| buffers[index]);
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
    start: usize,
    length: usize,
    done: impl FnOnce(Run, &Outlet),
) -> Option<(Run, Arc<Outlet>)> {
    if let (Some((mut run, before)), Some(outlet)) = (open.clone(), &outlet) {
        if Arc::ptr_eq(&before, outlet) && run.end() == start && run.extend(length) {
            return Some((run, before));
        }
    }
    if let Some((run, before)) = open {
        done(run, &before);
    }
    outlet.map(|outlet| (Run::new(start, length), outlet))
}

/// One received message.
struct Batch<'s> {
    plane: &'s Plane,
    ports: &'s Ports,
    from: Endpoint,
    now_ns: u64,
}

impl<'s> Batch<'s> {
    fn new(plane: &'s Plane, ports: &'s Ports, socket: u32, message: &Message, now_ns: u64) -> Option<Self> {
        let Some(address) = message.source.filter(|_| !message.truncated) else {
            plane.drops.count(Reason::Truncated);
            return None;
        };
        Some(Self { plane, ports, from: Endpoint { socket, address }, now_ns })
    }

    /// What a datagram holds for the TAP.
    fn open(&self, datagram: &mut [u8], passed: Option<Passed>) -> Result<Option<OpenedFrame>, Reason> {
        if let Some(passed) = passed {
            let Some(tree) = passed.deliver else { return Ok(None) };
            let header = TreeHeader::parse(datagram)?;
            return self.plane.open_tree(&tree, &header, datagram, true).map(Some);
        }
        match DatagramType::of(datagram)? {
            DatagramType::Session => match self.plane.receive_session(datagram, self.from, self.now_ns)? {
                Received::Frame(frame) => Ok(Some(frame)),
                Received::Probe(session, value) => {
                    self.ports.send_on(self.plane, &session, KIND_PROBE_REPLY, &value.to_be_bytes());
                    Ok(None)
                }
                Received::Done => Ok(None),
            },
            DatagramType::Tree => {
                let (header, tree) = self.plane.receive_tree(datagram)?;
                if !tree.outlet.load().deliver {
                    return Err(Reason::TreeNotDelivered);
                }
                self.plane.open_tree(&tree, &header, datagram, false).map(Some)
            }
            DatagramType::Handshake => {
                let Endpoint { socket, address } = self.from;
                self.plane.receive_handshake(datagram, socket, address, self.now_ns).map(|()| None)
            }
        }
    }

    fn count(&self, message: &Message, (tree_datagrams, tree_bytes): (u64, u64)) {
        let datagrams = message.length.div_ceil(message.segment.max(1)) as u64;
        self.plane.counters.add(Counter::UdpReceives, 1);
        self.plane.counters.add(Counter::UdpRxDatagrams, datagrams);
        self.plane.counters.add(Counter::UdpRxBytes, message.length as u64);
        if tree_datagrams > 0 {
            if let Some(peer) = self.plane.peer_at(&self.from.address) {
                peer.tree_traffic.rx.add(tree_datagrams, tree_bytes);
            }
        }
    }
}
