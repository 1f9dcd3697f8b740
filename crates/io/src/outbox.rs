//! What is to be sent at the end of a batch: sealed datagrams in runs, and who gets each run.
//!
//! A *lane* collects the datagrams of one destination set in one buffer, in order. Consecutive datagrams of equal length are a
//! *run*, which the kernel takes as one message (a shorter datagram ends it). All messages of a batch leave by one
//! `sendmmsg` per socket; every next hop of a tree gets its message from the one buffer.

use std::sync::Arc;

use treecast_core::counters::Counter;
use treecast_core::datagram::MAX_DATAGRAM_LEN;
use treecast_core::plane::Plane;
use treecast_core::reason::Reason;
use treecast_core::session::{Endpoint, Peer, Session};
use treecast_core::tree::{Members, RootTree};

use crate::ports::{is_transient, send_reason, Ports};
use crate::sys::address::RawAddress;
use crate::sys::batch::{Outgoing, Sender};
use crate::sys::udp::Socket;

/// Datagrams in a run: more gain nothing, the kernel takes 128.
pub const MAX_RUN_SEGMENTS: usize = 64;
/// Bytes in a run: a UDP datagram's limit over IPv4.
pub const MAX_RUN_LEN: usize = 65_507;
const LANE_LEN: usize = 2 * 65_536;
const LANES: usize = 16;
const MESSAGES_PER_CALL: usize = 256;

/// To whom a lane's datagrams go.
#[derive(Clone, Debug)]
pub enum Target {
    /// One session's peer.
    Session(Arc<Session>),
    /// The next hops of a tree, as they were when the frame was sealed.
    Tree(Arc<RootTree>, Arc<Members>),
}

impl Target {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(two)) => Arc::ptr_eq(one, two),
            (Self::Tree(one, members), Self::Tree(two, others)) => {
                Arc::ptr_eq(one, two) && Arc::ptr_eq(members, others)
            }
            _ => false,
        }
    }
}

/// Consecutive datagrams of equal length in a buffer; the last may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Where the first starts.
    pub start: usize,
    /// Bytes in all.
    pub length: usize,
    /// Length of each but the last.
    pub segment: usize,
    /// How many.
    pub count: usize,
    closed: bool,
}

impl Run {
    /// A run of one datagram.
    pub fn new(start: usize, length: usize) -> Self {
        Self { start, length, segment: length, count: 1, closed: false }
    }

    /// Adds the datagram that follows in the buffer, if it fits the run.
    pub fn extend(&mut self, length: usize) -> bool {
        let full = self.closed || self.count >= MAX_RUN_SEGMENTS || self.length + length > MAX_RUN_LEN;
        if full || length > self.segment {
            return false;
        }
        self.closed = length < self.segment;
        self.length += length;
        self.count += 1;
        true
    }

    /// Takes no more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Where the first byte behind it lies.
    pub fn end(&self) -> usize {
        self.start + self.length
    }
}

/// See the module.
#[derive(Debug)]
pub struct Lane {
    target: Option<Target>,
    buffer: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
}

impl Lane {
    fn new() -> Self {
        Self { target: None, buffer: vec![0; LANE_LEN].into_boxed_slice(), used: 0, runs: Vec::with_capacity(64) }
    }

    /// Room for one datagram.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..self.used + MAX_DATAGRAM_LEN]
    }

    /// The datagram written to the room is `length` long.
    pub fn commit(&mut self, length: usize) {
        let extended = self.runs.last_mut().is_some_and(|run| run.extend(length));
        if !extended {
            self.runs.push(Run::new(self.used, length));
        }
        self.used += length;
    }

    fn has_room(&self) -> bool {
        self.used + MAX_DATAGRAM_LEN <= self.buffer.len()
    }

    /// Keeps `length` bytes together in one run if they fit one; false when the buffer is too full for that.
    fn reserve(&mut self, length: usize) -> bool {
        let length = length.clamp(MAX_DATAGRAM_LEN, MAX_RUN_LEN);
        if self.used + length + MAX_DATAGRAM_LEN > self.buffer.len() {
            return false;
        }
        if let Some(run) = self.runs.last_mut() {
            if run.length + length > MAX_RUN_LEN {
                run.close();
            }
        }
        true
    }

    fn clear(&mut self) {
        self.target = None;
        self.used = 0;
        self.runs.clear();
    }
}

/// Whose numbers grow when a message has left.
#[derive(Clone, Debug)]
pub enum Tally {
    /// A session's.
    Session(Arc<Session>),
    /// A peer's tree datagrams.
    Peer(Arc<Peer>),
}

/// One message to be sent: a run, to one peer.
pub struct Message {
    /// Number of the buffer that the run lies in.
    pub buffer: usize,
    /// The run.
    pub run: Run,
    /// Of [`Ports::data_socket`].
    socket: (u32, u32),
    address: RawAddress,
    tally: Tally,
}

/// Messages, and the headers to send them with.
pub struct Dispatch {
    messages: Vec<Message>,
    sender: Sender,
}

impl Dispatch {
    fn new() -> Self {
        Self { messages: Vec::with_capacity(MESSAGES_PER_CALL), sender: Sender::new(MESSAGES_PER_CALL) }
    }

    /// Adds a run of `buffer` for each node of `next_hops`.
    pub fn add_tree(&mut self, plane: &Plane, ports: &Ports, buffer: usize, run: Run, next_hops: &[u32]) {
        for index in next_hops {
            let reached = plane.peer(*index).and_then(|peer| peer.current().map(|session| (peer, session)));
            match reached {
                Some((peer, session)) => self.add(plane, ports, buffer, run, session.endpoint(), Tally::Peer(peer)),
                None => plane.drops.add(Reason::NoSession, run.count as u64),
            }
        }
    }

    fn add(&mut self, plane: &Plane, ports: &Ports, buffer: usize, run: Run, to: Endpoint, tally: Tally) {
        let Some(socket) = ports.data_socket(&to) else {
            return plane.drops.add(Reason::SocketUnreachable, run.count as u64);
        };
        let address = RawAddress::new(&to.address);
        if run.count == 1 || socket_of(ports, socket).is_some_and(Socket::gso) {
            self.messages.push(Message { buffer, run, socket, address, tally });
            return;
        }
        for single in singles(run) {
            self.messages.push(Message { buffer, run: single, socket, address, tally: tally.clone() });
        }
    }

    /// Sends everything, with `bytes_of` giving each buffer.
    pub fn send<'a>(&mut self, plane: &Plane, ports: &Ports, bytes_of: impl Fn(usize) -> &'a [u8]) {
        let Self { messages, sender } = self;
        if messages.iter().any(|message| message.socket != messages[0].socket) {
            messages.sort_by_key(|message| message.socket); // stable: the order of each flow stays
        }
        for messages in messages.chunk_by(|one, two| one.socket == two.socket) {
            if let Some(socket) = messages.first().and_then(|first| socket_of(ports, first.socket)) {
                send_all(plane, socket, sender, messages, &bytes_of);
            }
        }
        messages.clear();
    }
}

fn socket_of(ports: &Ports, (address, own): (u32, u32)) -> Option<&Socket> {
    ports.sockets.get(address as usize)?.data().get(own as usize)
}

fn singles(run: Run) -> impl Iterator<Item = Run> {
    (0..run.count).map(move |index| {
        let start = run.start + index * run.segment;
        Run::new(start, run.segment.min(run.end() - start))
    })
}

fn send_all<'a>(
    plane: &Plane,
    socket: &Socket,
    sender: &mut Sender,
    messages: &[Message],
    bytes_of: &impl Fn(usize) -> &'a [u8],
) {
    use std::os::fd::AsFd;
    let mut rest = messages;
    let mut retried = false;
    while let Some(first) = rest.first() {
        let outgoing = rest.iter().map(|message| {
            let Run { start, segment, count, .. } = message.run;
            let segment = if count > 1 { segment as u16 } else { 0 };
            Outgoing { address: &message.address, data: &bytes_of(message.buffer)[start..message.run.end()], segment }
        });
        match sender.send(socket.as_fd(), outgoing) {
            Ok(sent) => {
                rest[..sent].iter().for_each(|message| count_sent(plane, message));
                rest = &rest[sent..];
                retried = false;
            }
            Err(error) if is_transient(&error) && !retried => retried = true,
            Err(error) => {
                failed(plane, socket, first, &error, &bytes_of(first.buffer)[first.run.start..first.run.end()]);
                rest = &rest[1..];
                retried = false;
            }
        }
    }
}

/// A message was refused. A run is tried again datagram by datagram where the system may not know runs.
fn failed(plane: &Plane, socket: &Socket, message: &Message, error: &std::io::Error, bytes: &[u8]) {
    let refused = matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP));
    if message.run.count == 1 || !refused {
        plane.drops.add(send_reason(error), message.run.count as u64);
        return;
    }
    let Some(address) = message.address.get() else { return };
    for single in bytes.chunks(message.run.segment) {
        match socket.send_to(single, &address) {
            Ok(()) => {
                if socket.disable_gso() {
                    plane.counters.add(Counter::GsoOff, 1);
                }
                let run = Run::new(0, single.len());
                count_sent(plane, &Message { run, tally: message.tally.clone(), ..*message });
            }
            Err(error) => plane.drops.count(send_reason(&error)),
        }
    }
}

fn count_sent(plane: &Plane, message: &Message) {
    let (datagrams, bytes) = (message.run.count as u64, message.run.length as u64);
    plane.counters.add(Counter::UdpSends, 1);
    plane.counters.add(Counter::UdpTxDatagrams, datagrams);
    plane.counters.add(Counter::UdpTxBytes, bytes);
    match &message.tally {
        Tally::Session(session) => session.traffic.tx.add(datagrams, bytes),
        Tally::Peer(peer) => peer.tree_traffic.tx.add(datagrams, bytes),
    }
}

/// The lanes of one worker.
pub struct Outbox {
    lanes: Vec<Lane>,
    /// Also used for what is relayed from receive buffers.
    pub dispatch: Dispatch,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { lanes: Vec::with_capacity(LANES), dispatch: Dispatch::new() }
    }
}

impl Outbox {
    /// The lane of a target, with room for one datagram, and for `length` bytes in one run if a run can be so long.
    pub fn lane(&mut self, plane: &Plane, ports: &Ports, target: &Target, length: usize) -> &mut Lane {
        let mut found = self.lanes.iter().position(|lane| lane.target.as_ref().is_some_and(|has| has.is(target)));
        if let Some(index) = found {
            if !self.lanes[index].reserve(length) {
                self.flush(plane, ports);
                found = None;
            }
        }
        let index = found.unwrap_or_else(|| self.free_lane(plane, ports));
        let lane = &mut self.lanes[index];
        if lane.target.is_none() {
            lane.target = Some(target.clone());
        }
        lane
    }

    /// The lane again, after its room was used.
    pub fn more<'s>(&'s mut self, plane: &Plane, ports: &Ports, target: &Target) -> &'s mut Lane {
        self.lane(plane, ports, target, MAX_DATAGRAM_LEN)
    }

    /// Does the run that is being filled still take a datagram like its last?
    pub fn has_open_run(&self) -> bool {
        let mut runs = self.lanes.iter().filter_map(|lane| lane.runs.last());
        runs.any(|run| !run.closed && run.count < MAX_RUN_SEGMENTS && run.length + run.segment <= MAX_RUN_LEN)
    }

    /// Sends everything.
    pub fn flush(&mut self, plane: &Plane, ports: &Ports) {
        for (index, lane) in self.lanes.iter().enumerate() {
            for run in &lane.runs {
                match &lane.target {
                    Some(Target::Session(session)) => {
                        let tally = Tally::Session(session.clone());
                        self.dispatch.add(plane, ports, index, *run, session.endpoint(), tally);
                    }
                    Some(Target::Tree(_, members)) => {
                        self.dispatch.add_tree(plane, ports, index, *run, &members.next_hops);
                    }
                    None => {}
                }
            }
        }
        let lanes = &self.lanes;
        self.dispatch.send(plane, ports, |index| &lanes[index].buffer);
        self.lanes.iter_mut().for_each(Lane::clear);
    }

    fn free_lane(&mut self, plane: &Plane, ports: &Ports) -> usize {
        if let Some(index) = self.lanes.iter().position(|lane| lane.target.is_none()) {
            return index;
        }
        if self.lanes.len() < LANES {
            self.lanes.push(Lane::new());
            return self.lanes.len() - 1;
        }
        self.flush(plane, ports);
        0
    }
}

impl Lane {
    /// Is the room used up?
    pub fn is_full(&self) -> bool {
        !self.has_room()
    }
}
