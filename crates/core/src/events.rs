//! Events for Python: bounded and limited per kind, those of sessions per peer, and read in turns, so that neither a kind nor a
//! peer starves another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use crate::datagram::{StreamName, TreeName, INIT};
use crate::frame::Mac;
use crate::path::Endpoint;
use crate::peer_queues::PeerQueues;
use crate::punt::PuntKind;
use crate::rate::{Rate, TokenBucket};
use crate::reason::Reason;
use crate::session::lock;
use crate::tree_state::TreePlace;
use crate::withheld::ParentFailure;

/// See `base/events.py`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    TapFrame { port: u32, generation: u32, about: PuntKind, data: Vec<u8> },
    Handshake { socket: u32, source: SocketAddr, data: Vec<u8> },
    ForeignHandshake { source: SocketAddr },
    ForwardedHandshake { neighbour: u32, source: u32, data: Vec<u8> },
    Control { peer: u32, session: u32, data: Vec<u8> },
    SessionHandshake { peer: u32, session: u32, data: Vec<u8> },
    KeyOffered { stream: StreamName, key_id: u32, context: Vec<u8> },
    TreeOffered { tree: TreeName, number: u64, place: TreePlace },
    ParentFailed { tree: TreeName, parent: u32, failure: ParentFailure },
    PathSeen { peer: u32, session: u32, endpoint: Endpoint },
    PathAnswered { peer: u32, session: u32, endpoint: Endpoint },
    SessionConfirmed { peer: u32, session: u32 },
    FingerprintDiffers { peer: u32, difference: u128 },
    TreeUsed { stream: u32 },
    KeyWorn { stream: u32, key_id: u32 },
    HostSeen { port: u32, generation: u32, vlan: u16, mac: Mac },
}

/// One row per kind of event: how many may wait, how many may come (of sessions: of each peer), which queue it waits in.
struct EventKind {
    bound: usize,
    full: Reason,
    rate: Option<(Rate, Reason)>,
    queue: Queue,
}

/// A queue, and how many of its events come out for one of another's. The sessions' kinds share one for each peer: order matters.
#[derive(Clone, Copy)]
enum Queue {
    Sessions,
    Handshakes,
    Beacons,
    Neighbours,
    Igmp,
    Mld,
    Dhcp,
    Routers,
    Hosts,
    DhcpClients,
    Mdns,
    Answers,
}

/// How many come out of each queue before the next has its turn.
const TURNS: [usize; 12] = [8, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 4];

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

const fn kind(queue: Queue, bound: usize, full: Reason, per_second: u32, above: Reason) -> EventKind {
    EventKind { bound, full, rate: Some((rate(per_second, bound as u32), above)), queue }
}

/// A kind of sessions: each peer has a part of the bound, and a rate of its own.
const fn peer_kind(queue: Queue, bound: usize, full: Reason, per_second: u32, above: Reason) -> EventKind {
    EventKind { bound, full, rate: Some((rate(per_second, (bound / PARTS) as u32), above)), queue }
}

/// One peer may have a kind's bound divided by this.
const PARTS: usize = 4;
/// The rows of the kinds of sessions.
const OF_SESSIONS: [usize; 7] = [9, 10, 11, 14, 16, 17, 18];
/// Events of this node's own trees, in the peers' queues.
const OWN: u32 = 0;

const KINDS: [EventKind; 19] = [
    kind(Queue::Neighbours, 1024, Reason::PuntNeighboursFull, 5_000, Reason::PuntNeighboursRate),
    kind(Queue::Igmp, 1024, Reason::PuntIgmpFull, 5_000, Reason::PuntIgmpRate),
    kind(Queue::Mld, 1024, Reason::PuntMldFull, 5_000, Reason::PuntMldRate),
    kind(Queue::Dhcp, 256, Reason::PuntDhcpFull, 500, Reason::PuntDhcpRate),
    kind(Queue::Routers, 256, Reason::PuntRoutersFull, 200, Reason::PuntRoutersRate),
    kind(Queue::Beacons, 512, Reason::PuntBeaconsFull, 400, Reason::PuntBeaconsRate),
    kind(Queue::DhcpClients, 256, Reason::PuntDhcpClientsFull, 100, Reason::PuntDhcpClientsRate),
    kind(Queue::Mdns, 256, Reason::PuntMdnsFull, 100, Reason::PuntMdnsRate),
    kind(Queue::Handshakes, 512, Reason::PuntHandshakesFull, 1_000, Reason::HandshakeRateGlobal),
    peer_kind(Queue::Sessions, 4096, Reason::PuntControlFull, 2_000, Reason::PuntControlRate),
    peer_kind(Queue::Sessions, 4096, Reason::PuntKeysFull, 2_000, Reason::PuntKeysRate),
    EventKind { bound: 8192, full: Reason::PuntSessionsFull, rate: None, queue: Queue::Sessions },
    EventKind {
        bound: 2048,
        full: Reason::PuntHostsFull,
        rate: Some((rate(1_000, 1024), Reason::PuntHostsRate)),
        queue: Queue::Hosts,
    },
    kind(Queue::Handshakes, 8, Reason::HandshakeMac, 4, Reason::HandshakeMac),
    peer_kind(Queue::Sessions, 1024, Reason::PuntRekeysFull, 100, Reason::PuntRekeysRate),
    kind(Queue::Answers, 512, Reason::PuntAnswersFull, 1_000, Reason::HandshakeRateAnswers),
    peer_kind(Queue::Sessions, 4096, Reason::PuntTreesFull, 2_000, Reason::PuntTreesRate),
    peer_kind(Queue::Sessions, 2048, Reason::PuntFingerprintsFull, 100, Reason::PuntFingerprintsRate),
    EventKind { bound: 4096, full: Reason::PuntSilentFull, rate: None, queue: Queue::Sessions },
];

impl Event {
    /// The port that it came from, and which of the ports with this number: they follow each other.
    pub fn port(&self) -> Option<(u32, u32)> {
        match self {
            Self::TapFrame { port, generation, .. } | Self::HostSeen { port, generation, .. } => {
                Some((*port, *generation))
            }
            _ => None,
        }
    }

    /// The peer in whose queue it waits; None of what is no session's.
    fn peer(&self) -> Option<u32> {
        match self {
            Self::Control { peer, .. }
            | Self::SessionHandshake { peer, .. }
            | Self::FingerprintDiffers { peer, .. } => Some(*peer),
            Self::PathSeen { peer, .. } | Self::PathAnswered { peer, .. } | Self::SessionConfirmed { peer, .. } => {
                Some(*peer)
            }
            Self::KeyOffered { stream, .. } => Some(stream.root),
            Self::TreeOffered { tree, .. } => Some(tree.root),
            Self::ParentFailed { parent, .. } => Some(*parent),
            Self::TreeUsed { .. } | Self::KeyWorn { .. } => Some(OWN),
            Self::TapFrame { .. } | Self::HostSeen { .. } => None,
            Self::Handshake { .. } | Self::ForeignHandshake { .. } | Self::ForwardedHandshake { .. } => None,
        }
    }

    /// Its row.
    fn kind(&self) -> usize {
        match self {
            Self::TapFrame { about, .. } => *about as usize,
            Self::Handshake { data, .. } | Self::ForwardedHandshake { data, .. } if data.first() != Some(&INIT) => 15,
            Self::Handshake { .. } | Self::ForwardedHandshake { .. } => 8,
            Self::Control { .. } => 9,
            Self::KeyOffered { .. } => 10,
            Self::PathSeen { .. } | Self::PathAnswered { .. } | Self::SessionConfirmed { .. } => 11,
            Self::TreeUsed { .. } | Self::KeyWorn { .. } => 11,
            Self::HostSeen { .. } => 12,
            Self::ForeignHandshake { .. } => 13,
            Self::SessionHandshake { .. } => 14,
            Self::TreeOffered { .. } => 16,
            Self::FingerprintDiffers { .. } => 17,
            Self::ParentFailed { .. } => 18,
        }
    }
}

type EventQueues = [VecDeque<Event>; TURNS.len()];

/// Events since the reader last looked.
struct ArrivedEvents {
    queues: EventQueues,
    /// Events of sessions.
    peers: PeerQueues<Event, { OF_SESSIONS.len() }>,
    /// How many of each kind are in them.
    counts: [usize; KINDS.len()],
    buckets: [TokenBucket; KINDS.len()],
    /// The reader was woken.
    woken: bool,
}

/// The queues and who wakes their reader.
///
/// Workers and reader share a lock for as long as it takes to append one event, or to swap the queues: the reader picks from
/// those that it took, so no worker waits while it does. Each kind's bound holds on either side; of those of sessions it takes no
/// more than a batch, so that who comes late waits behind no more.
pub struct Events {
    arrived: Mutex<ArrivedEvents>,
    taken: Mutex<EventQueues>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// `wake` is called when the queues were empty and are not any more.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let arrived = ArrivedEvents {
            queues: EventQueues::default(),
            peers: PeerQueues::default(),
            counts: Default::default(),
            buckets: Default::default(),
            woken: false,
        };
        Self { arrived: Mutex::new(arrived), taken: Mutex::default(), wake }
    }

    /// Queues an event, unless its kind, or its peer, has too many or is too frequent; then the reason is returned, for the caller to
    /// count. So it is where the event is queued and has pushed out one of the peer that has most of that kind.
    pub fn push(&self, event: Event, now_ns: u64) -> Result<(), Reason> {
        let mut arrived = lock(&self.arrived);
        let pushed_out = arrived.push(event, now_ns)?;
        let first = !std::mem::replace(&mut arrived.woken, true);
        drop(arrived);
        if first {
            (self.wake)();
        }
        pushed_out.map_or(Ok(()), Err)
    }

    /// The peer is gone: it is limited no more.
    pub fn forget_peer(&self, peer: u32) {
        lock(&self.arrived).peers.forget(peer);
    }

    /// Takes up to `limit` events: some of each queue in turn, so that a flood of one kind holds up no other; of one queue
    /// oldest first. `clear` runs when none is left, before another can come.
    pub fn drain(&self, limit: usize, clear: impl FnOnce()) -> Vec<Event> {
        let mut taken = lock(&self.taken);
        lock(&self.arrived).hand_over(&mut taken, limit);
        let mut events = Vec::new();
        while events.len() < limit && taken.iter().any(|queue| !queue.is_empty()) {
            for (queue, turns) in taken.iter_mut().zip(TURNS) {
                let count = turns.min(queue.len()).min(limit - events.len());
                events.extend(queue.drain(..count));
            }
        }
        if taken.iter().all(VecDeque::is_empty) {
            lock(&self.arrived).end(clear);
        }
        events
    }
}

impl ArrivedEvents {
    /// The reason for which another peer's event was pushed out, if one was.
    fn push(&mut self, event: Event, now_ns: u64) -> Result<Option<Reason>, Reason> {
        let number = event.kind();
        if let Some((peer, of_sessions)) = event.peer().zip(OF_SESSIONS.iter().position(|other| *other == number)) {
            let pushed_out = self.evict_for(peer, of_sessions, now_ns)?;
            self.counts[number] += 1;
            self.peers.push(peer, of_sessions, event);
            return Ok(pushed_out);
        }
        let (kind, count, bucket) = (&KINDS[number], &mut self.counts[number], &mut self.buckets[number]);
        if *count >= kind.bound {
            return Err(kind.full);
        }
        if let Some((rate, reason)) = kind.rate {
            if !bucket.take(rate, now_ns) {
                return Err(reason);
            }
        }
        *count += 1;
        self.queues[kind.queue as usize].push_back(event);
        Ok(None)
    }

    /// Takes the place of an event of a peer's session: a free one, or that of the peer that has most.
    fn evict_for(&mut self, peer: u32, of_sessions: usize, now_ns: u64) -> Result<Option<Reason>, Reason> {
        let number = OF_SESSIONS[of_sessions];
        let (kind, waiting) = (&KINDS[number], self.peers.waiting(peer, of_sessions));
        if peer != OWN && waiting >= kind.bound / PARTS {
            return Err(Reason::PuntPeerFull);
        }
        if let Some((rate, reason)) = kind.rate {
            if !self.peers.take_token(peer, of_sessions, rate, now_ns) {
                return Err(reason);
            }
        }
        if self.counts[number] < kind.bound {
            return Ok(None);
        }
        match self.peers.longest(of_sessions, OWN) {
            Some((other, most)) if most > waiting + 1 => {
                self.peers.drop_newest(other, of_sessions);
                self.counts[number] -= 1;
                Ok(Some(kind.full))
            }
            _ => Err(kind.full),
        }
    }

    /// Gives what is in a queue to the reader, who has taken all of that queue before; of sessions, by turns of the peers, so that
    /// the reader has `limit`.
    fn hand_over(&mut self, taken: &mut EventQueues, limit: usize) {
        let sessions = &mut taken[Queue::Sessions as usize];
        while sessions.len() < limit {
            let Some((of_sessions, event)) = self.peers.pop() else { break };
            self.counts[OF_SESSIONS[of_sessions]] -= 1;
            sessions.push_back(event);
        }
        for (number, (queue, free)) in self.queues.iter_mut().zip(taken).enumerate() {
            if !free.is_empty() || queue.is_empty() {
                continue;
            }
            std::mem::swap(queue, free);
            for (kind, count) in KINDS.iter().zip(&mut self.counts) {
                if kind.queue as usize == number {
                    *count = 0;
                }
            }
        }
    }

    /// The reader has taken all that it was given.
    fn end(&mut self, clear: impl FnOnce()) {
        if self.queues.iter().all(VecDeque::is_empty) && self.peers.is_empty() {
            self.woken = false;
            clear();
        }
    }
}
