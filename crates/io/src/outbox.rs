//! The outbox of a batch: sealed datagrams in runs, and the receivers of each run.
//!
//! A *tx buffer* collects the datagrams of one destination set in one buffer, in order. Consecutive datagrams of equal length are a
//! *run*, which the kernel takes as one message (a shorter datagram ends it). All messages of a batch leave by one
//! `sendmmsg` per socket; every next hop of a tree gets its message from the one buffer.

use std::sync::Arc;

use treecast_core::datagram::MAX_DATAGRAM_LEN;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::root_tree::{Members, RootTree};
use treecast_core::session::Session;

use crate::dispatch::{Dispatch, Run, SentCounters, SocketKind, MAX_RUN_LEN};
use crate::underlay::Underlay;

const TX_BUFFER_LEN: usize = 2 * 65_536 + MAX_DATAGRAM_LEN;
const TX_BUFFERS: usize = 16;

/// The destinations of a tx buffer's datagrams.
#[derive(Clone, Copy, Debug)]
pub enum Destinations<'t> {
    /// One session's peer.
    Session(&'t Arc<Session>),
    /// The next hops of a tree, as they were when the frame was sealed.
    Tree(&'t Arc<RootTree>, &'t Arc<Members>),
}

/// The same, kept while the tx buffer is filled.
#[derive(Debug)]
enum KeptDestinations {
    Session(Arc<Session>),
    Tree(Arc<RootTree>, Arc<Members>),
}

impl KeptDestinations {
    fn new(target: Destinations<'_>) -> Self {
        match target {
            Destinations::Session(session) => Self::Session(session.clone()),
            Destinations::Tree(tree, members) => Self::Tree(tree.clone(), members.clone()),
        }
    }

    fn is(&self, target: Destinations<'_>) -> bool {
        match (self, target) {
            (Self::Session(one), Destinations::Session(two)) => Arc::ptr_eq(one, two),
            (Self::Tree(one, members), Destinations::Tree(two, others)) => {
                Arc::ptr_eq(one, two) && Arc::ptr_eq(members, others)
            }
            _ => false,
        }
    }
}

/// The datagrams of one destination set, in order, in one buffer.
#[derive(Debug)]
pub struct TxBuffer {
    target: Option<KeptDestinations>,
    buffer: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
    /// The traffic class of what is written next.
    traffic_class: u8,
}

impl TxBuffer {
    fn new() -> Self {
        let (buffer, runs) = (vec![0; TX_BUFFER_LEN].into_boxed_slice(), Vec::with_capacity(64));
        Self { target: None, buffer, used: 0, runs, traffic_class: 0 }
    }

    /// The free part, for one datagram.
    pub fn free(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..self.used + MAX_DATAGRAM_LEN]
    }

    /// The datagram written to the free part is `length` long.
    pub fn commit(&mut self, length: usize) {
        let class = self.traffic_class;
        let extended = self.runs.last_mut().is_some_and(|run| run.traffic_class == class && run.extend(length));
        if !extended {
            self.runs.push(Run::new(self.used, length, class));
        }
        self.used += length;
    }

    fn has_capacity(&self) -> bool {
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

/// The tx buffers of one worker.
pub struct Outbox {
    tx_buffers: Vec<TxBuffer>,
    traffic_class: u8,
    /// A tree datagram of broadcast, until it lies in the next hops' sessions.
    pub scratch: Box<[u8]>,
    /// The dispatch, which sends what is relayed from receive buffers, too.
    pub dispatch: Dispatch,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Outbox({})", self.tx_buffers.len())
    }
}

impl Outbox {
    /// Empty; what is written to it leaves by sockets of this kind.
    pub fn new(kind: SocketKind) -> Self {
        let (tx_buffers, scratch) = (Vec::with_capacity(TX_BUFFERS), vec![0; MAX_DATAGRAM_LEN].into_boxed_slice());
        Self { tx_buffers, traffic_class: 0, scratch, dispatch: Dispatch::new(kind) }
    }

    /// DSCP and ECN of all that is written to tx buffers from now on.
    pub fn set_traffic_class(&mut self, traffic_class: u8) {
        self.traffic_class = traffic_class;
    }

    /// The tx buffer of a target, with capacity for one datagram, and for `length` bytes in one run if a run can be so long.
    pub fn tx_buffer(
        &mut self,
        tables: &ForwardingTables,
        underlay: &Underlay,
        target: Destinations<'_>,
        length: usize,
    ) -> &mut TxBuffer {
        let mut found =
            self.tx_buffers.iter().position(|tx_buffer| tx_buffer.target.as_ref().is_some_and(|has| has.is(target)));
        if let Some(index) = found {
            if !self.tx_buffers[index].reserve(length) {
                self.flush(tables, underlay);
                found = None;
            }
        }
        let index = found.unwrap_or_else(|| self.free_tx_buffer(tables, underlay));
        let tx_buffer = &mut self.tx_buffers[index];
        if tx_buffer.target.is_none() {
            tx_buffer.target = Some(KeptDestinations::new(target));
        }
        tx_buffer.traffic_class = self.traffic_class;
        tx_buffer
    }

    /// The tx buffer again, after its free part was used.
    pub fn more<'s>(
        &'s mut self,
        tables: &ForwardingTables,
        underlay: &Underlay,
        target: Destinations<'_>,
    ) -> &'s mut TxBuffer {
        self.tx_buffer(tables, underlay, target, MAX_DATAGRAM_LEN)
    }

    /// Does the run that is being filled still take a datagram like its last?
    pub fn has_open_run(&self) -> bool {
        self.tx_buffers.iter().filter_map(|tx_buffer| tx_buffer.runs.last()).any(Run::is_open)
    }

    /// Sends everything.
    pub fn flush(&mut self, tables: &ForwardingTables, underlay: &Underlay) {
        for (index, tx_buffer) in self.tx_buffers.iter().enumerate() {
            for run in &tx_buffer.runs {
                match &tx_buffer.target {
                    Some(KeptDestinations::Session(session)) => {
                        let counters = SentCounters::Session(session.clone());
                        self.dispatch.add(tables, underlay, index, *run, session.endpoint(), counters);
                    }
                    Some(KeptDestinations::Tree(_, members)) => {
                        self.dispatch.add_tree(tables, underlay, index, *run, &members.hops.next_hops);
                    }
                    None => {}
                }
            }
        }
        let tx_buffers = &self.tx_buffers;
        self.dispatch.send(tables, underlay, |index| &tx_buffers[index].buffer);
        self.tx_buffers.iter_mut().for_each(TxBuffer::clear);
    }

    fn free_tx_buffer(&mut self, tables: &ForwardingTables, underlay: &Underlay) -> usize {
        if let Some(index) = self.tx_buffers.iter().position(|tx_buffer| tx_buffer.target.is_none()) {
            return index;
        }
        if self.tx_buffers.len() < TX_BUFFERS {
            self.tx_buffers.push(TxBuffer::new());
            return self.tx_buffers.len() - 1;
        }
        self.flush(tables, underlay);
        0
    }
}

impl TxBuffer {
    /// Is the capacity used up?
    pub fn is_full(&self) -> bool {
        !self.has_capacity()
    }
}
