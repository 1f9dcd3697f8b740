//! Sending runs of sealed datagrams: all messages of a batch by one `sendmmsg` per socket.
//!
//! A *run* is what the kernel takes as one message: consecutive datagrams in a buffer, equal in length (the last may be
//! shorter) and in traffic class. What a socket refuses is dropped by its reason and the next message tried: a peer that
//! cannot be reached, or whose socket is full, is passed over.

use std::os::fd::AsFd;
use std::sync::Arc;

use treecast_core::counters::Counter;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::path::Endpoint;
use treecast_core::reason::Reason;
use treecast_core::session::{Peer, Session};

use crate::sys::address::RawAddress;
use crate::sys::batch::{BatchSender, Outgoing};
use crate::sys::udp::Socket;
use crate::underlay::{is_transient, send_reason, SocketId, Underlay};

/// Datagrams in a run: more gain nothing, the kernel takes 128.
pub const MAX_RUN_SEGMENTS: usize = 64;
/// Bytes in a run: a UDP datagram's limit over IPv4.
pub const MAX_RUN_LEN: usize = 65_507;
const MESSAGES_PER_CALL: usize = 256;

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
    /// DSCP and ECN of all of them.
    pub traffic_class: u8,
    closed: bool,
}

impl Run {
    /// A run of one datagram.
    pub fn new(start: usize, length: usize, traffic_class: u8) -> Self {
        Self { start, length, segment: length, count: 1, traffic_class, closed: false }
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

    /// Does it still take a datagram like its first?
    pub fn is_open(&self) -> bool {
        !self.closed && self.count < MAX_RUN_SEGMENTS && self.length + self.segment <= MAX_RUN_LEN
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

/// The counters that grow when a message has left.
#[derive(Clone, Debug)]
pub enum SentCounters {
    /// A session's.
    Session(Arc<Session>),
    /// A peer's tree datagrams.
    Peer(Arc<Peer>),
}

impl SentCounters {
    /// The peer's node index.
    fn peer(&self) -> u32 {
        match self {
            Self::Session(session) => session.peer,
            Self::Peer(peer) => peer.index,
        }
    }
}

/// One message to be sent: a run, to one peer.
pub struct OutgoingMessage {
    /// Number of the buffer that the run lies in.
    pub buffer: usize,
    /// The run.
    pub run: Run,
    socket: SocketId,
    address: RawAddress,
    counters: SentCounters,
}

/// Which sockets of an underlay address messages leave by: those of the workers, or the one for control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// A socket of the workers, for each peer always the same.
    Data,
    /// The socket for control, in whose buffer no data waits.
    Control,
}

/// Messages, and the headers to send them with.
pub struct Dispatch {
    kind: SocketKind,
    messages: Vec<OutgoingMessage>,
    sender: BatchSender,
}

impl Dispatch {
    /// Sends by sockets of this kind.
    pub fn new(kind: SocketKind) -> Self {
        Self { kind, messages: Vec::with_capacity(MESSAGES_PER_CALL), sender: BatchSender::new(MESSAGES_PER_CALL) }
    }

    /// Adds a run of `buffer` for each node of `next_hops`.
    pub fn add_tree(
        &mut self,
        tables: &ForwardingTables,
        underlay: &Underlay,
        buffer: usize,
        run: Run,
        next_hops: &[u32],
    ) {
        for index in next_hops {
            let reached = tables.peer(*index).and_then(|peer| peer.current().map(|session| (peer, session)));
            match reached {
                Some((peer, session)) => {
                    self.add(tables, underlay, buffer, run, session.endpoint(), SentCounters::Peer(peer))
                }
                None => tables.drops.add(Reason::NoSession, run.count as u64),
            }
        }
    }

    /// Adds a run of `buffer` for one address.
    pub fn add(
        &mut self,
        tables: &ForwardingTables,
        underlay: &Underlay,
        buffer: usize,
        run: Run,
        to: Endpoint,
        counters: SentCounters,
    ) {
        let socket = match self.kind {
            SocketKind::Data => underlay.data_socket(counters.peer(), &to),
            SocketKind::Control => underlay.control_socket(&to),
        };
        let Some(socket) = socket else {
            return tables.drops.add(Reason::SocketUnreachable, run.count as u64);
        };
        let address = RawAddress::new(&to.address);
        if run.count == 1 || underlay.socket(socket).is_some_and(Socket::gso) {
            self.messages.push(OutgoingMessage { buffer, run, socket, address, counters });
            return;
        }
        for single in singles(run) {
            self.messages.push(OutgoingMessage {
                buffer,
                run: single,
                socket,
                address: address.clone(),
                counters: counters.clone(),
            });
        }
    }

    /// Sends everything, with `bytes_of` giving each buffer.
    pub fn send<'a>(&mut self, tables: &ForwardingTables, underlay: &Underlay, bytes_of: impl Fn(usize) -> &'a [u8]) {
        let Self { messages, sender, .. } = self;
        if messages.iter().any(|message| message.socket != messages[0].socket) {
            messages.sort_by_key(|message| message.socket); // stable: the order of each flow stays
        }
        for messages in messages.chunk_by(|one, two| one.socket == two.socket) {
            if let Some(socket) = messages.first().and_then(|first| underlay.socket(first.socket)) {
                send_all(tables, socket, sender, messages, &bytes_of);
            }
        }
        messages.clear();
    }
}

fn singles(run: Run) -> impl Iterator<Item = Run> {
    (0..run.count).map(move |index| {
        let start = run.start + index * run.segment;
        Run::new(start, run.segment.min(run.end() - start), run.traffic_class)
    })
}

fn send_all<'a>(
    tables: &ForwardingTables,
    socket: &Socket,
    sender: &mut BatchSender,
    messages: &[OutgoingMessage],
    bytes_of: &impl Fn(usize) -> &'a [u8],
) {
    let mut rest = messages;
    let mut retried = false;
    while let Some(first) = rest.first() {
        match sender.send(socket.as_fd(), rest.iter().map(|message| outgoing(message, &message.run, bytes_of))) {
            Ok(sent) => {
                rest[..sent].iter().for_each(|message| count_sent(tables, &message.counters, &message.run));
                rest = &rest[sent..];
                retried = false;
            }
            Err(error) if is_transient(&error) && !retried => retried = true,
            Err(error) => {
                failed(tables, socket, sender, first, &error, bytes_of);
                rest = &rest[1..];
                retried = false;
            }
        }
    }
}

fn outgoing<'s, 'a: 's>(
    message: &'s OutgoingMessage,
    run: &Run,
    bytes_of: &impl Fn(usize) -> &'a [u8],
) -> Outgoing<'s> {
    let segment = if run.count > 1 { run.segment as u16 } else { 0 };
    let data = &bytes_of(message.buffer)[run.start..run.end()];
    Outgoing { address: &message.address, data, segment, traffic_class: run.traffic_class }
}

/// A message was refused. A run is tried again datagram by datagram where the system may not know runs: if the first leaves
/// so, runs it was, and the socket sends no more of them.
fn failed<'a>(
    tables: &ForwardingTables,
    socket: &Socket,
    sender: &mut BatchSender,
    message: &OutgoingMessage,
    error: &std::io::Error,
    bytes_of: &impl Fn(usize) -> &'a [u8],
) {
    let refused = matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP));
    if message.run.count == 1 || !refused {
        tables.drops.add(send_reason(error), message.run.count as u64);
        return;
    }
    for (number, single) in singles(message.run).enumerate() {
        match sender.send(socket.as_fd(), std::iter::once(outgoing(message, &single, bytes_of))) {
            Ok(_) => {
                if socket.disable_gso() {
                    tables.counters.add(Counter::GsoOff, 1);
                }
                count_sent(tables, &message.counters, &single);
            }
            // The way is barred to all of them.
            Err(error) if number == 0 => return tables.drops.add(send_reason(&error), message.run.count as u64),
            Err(error) => tables.drops.count(send_reason(&error)),
        }
    }
}

fn count_sent(tables: &ForwardingTables, counters: &SentCounters, run: &Run) {
    let (datagrams, bytes) = (run.count as u64, run.length as u64);
    tables.counters.add(Counter::UdpSends, 1);
    tables.counters.add(Counter::UdpTxDatagrams, datagrams);
    tables.counters.add(Counter::UdpTxBytes, bytes);
    match counters {
        SentCounters::Session(session) => session.traffic.tx.add(datagrams, bytes),
        SentCounters::Peer(peer) => peer.tree_traffic.tx.add(datagrams, bytes),
    }
}
