//! What Python is to hear of: a bounded queue per kind, so that no kind starves another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use crate::datagram::TreeName;
use crate::frame::{is_beacon, Mac};
use crate::rate::{PrefixBuckets, Rate, TokenBucket};
use crate::reason::Reason;
use crate::session::{lock, Endpoint};

/// See `_native.pyi`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    TapFrame { port: u32, data: Vec<u8> },
    Handshake { socket: u32, source: SocketAddr, data: Vec<u8> },
    Control { peer: u32, session: u32, data: Vec<u8> },
    KeyOffered { tree: TreeName, key_id: u32, context: Vec<u8> },
    PeerMoved { peer: u32, session: u32, endpoint: Endpoint },
    SessionConfirmed { peer: u32, session: u32 },
    TreeUsed { tree_id: u32 },
    HostSeen { port: u32, vlan: u16, mac: Mac },
}

/// One row per kind of event: how many may wait, how many may come.
struct Kind {
    bound: usize,
    full: Reason,
    rate: Option<(Rate, Reason)>,
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

const KINDS: [Kind; 7] = [
    Kind { bound: 1024, full: Reason::PuntFramesFull, rate: Some((rate(5_000, 1024), Reason::PuntFramesRate)) },
    Kind { bound: 512, full: Reason::PuntHandshakesFull, rate: Some((rate(1_000, 512), Reason::HandshakeRateGlobal)) },
    Kind { bound: 4096, full: Reason::PuntControlFull, rate: Some((rate(20_000, 4096), Reason::PuntControlRate)) },
    Kind { bound: 4096, full: Reason::PuntKeysFull, rate: Some((rate(10_000, 4096), Reason::PuntKeysRate)) },
    Kind { bound: 8192, full: Reason::PuntSessionsFull, rate: None },
    Kind { bound: 2048, full: Reason::PuntHostsFull, rate: Some((rate(1_000, 1024), Reason::PuntHostsRate)) },
    Kind { bound: 256, full: Reason::PuntBeaconsFull, rate: Some((rate(200, 200), Reason::PuntBeaconsRate)) },
];

/// Handshake datagrams of one IPv4 address or IPv6 /64. One node needs two a handshake, and repeats them.
const HANDSHAKES_PER_PREFIX: Rate = rate(50, 200);
const PREFIX_BUCKETS: usize = 1024;

impl Event {
    fn kind(&self) -> usize {
        match self {
            Self::TapFrame { data, .. } if is_beacon(data) => 6,
            Self::TapFrame { .. } => 0,
            Self::Handshake { .. } => 1,
            Self::Control { .. } => 2,
            Self::KeyOffered { .. } => 3,
            Self::PeerMoved { .. } | Self::SessionConfirmed { .. } | Self::TreeUsed { .. } => 4,
            Self::HostSeen { .. } => 5,
        }
    }
}

struct Queues {
    queues: [VecDeque<(u64, Event)>; KINDS.len()],
    buckets: [TokenBucket; KINDS.len()],
    prefixes: PrefixBuckets,
    sequence: u64,
}

/// The queues and who wakes their reader.
pub struct Events {
    queues: Mutex<Queues>,
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
        let prefixes = PrefixBuckets::new(HANDSHAKES_PER_PREFIX, PREFIX_BUCKETS);
        let (queues, buckets) = (Default::default(), Default::default());
        Self { queues: Mutex::new(Queues { queues, buckets, prefixes, sequence: 0 }), wake }
    }

    /// Queues an event, unless its kind is full or too frequent; the reason says which. It is the caller's to count.
    pub fn push(&self, event: Event, now_ns: u64) -> Result<(), Reason> {
        let was_empty = {
            let mut queues = lock(&self.queues);
            if let Event::Handshake { source, .. } = &event {
                if !queues.prefixes.take(source.ip(), now_ns) {
                    return Err(Reason::HandshakeRateSource);
                }
            }
            queues.push(event, now_ns)?
        };
        if was_empty {
            (self.wake)();
        }
        Ok(())
    }

    /// Up to `limit` events, oldest first, and whether more wait. `clear` runs when none do, before another can come.
    pub fn drain(&self, limit: usize, clear: impl FnOnce()) -> Vec<Event> {
        let mut queues = lock(&self.queues);
        let mut events = Vec::new();
        while events.len() < limit {
            let Some(event) = queues.pop() else { break };
            events.push(event);
        }
        if queues.queues.iter().all(VecDeque::is_empty) {
            clear();
        }
        events
    }
}

impl Queues {
    fn push(&mut self, event: Event, now_ns: u64) -> Result<bool, Reason> {
        let was_empty = self.queues.iter().all(VecDeque::is_empty);
        let number = event.kind();
        let (kind, queue, bucket) = (&KINDS[number], &mut self.queues[number], &mut self.buckets[number]);
        if queue.len() >= kind.bound {
            return Err(kind.full);
        }
        if let Some((rate, reason)) = kind.rate {
            if !bucket.take(rate, now_ns) {
                return Err(reason);
            }
        }
        queue.push_back((self.sequence, event));
        self.sequence += 1;
        Ok(was_empty)
    }

    fn pop(&mut self) -> Option<Event> {
        let oldest = self.queues.iter_mut().filter(|queue| !queue.is_empty());
        let queue = oldest.min_by_key(|queue| queue.front().map(|(sequence, _)| *sequence))?;
        queue.pop_front().map(|(_, event)| event)
    }
}
