//! Queues of peers' events: one for each peer, limited by itself and read in turns, so that a peer that floods holds up itself.
//!
//! Within a queue order counts: a session is confirmed before its first message. Decides nothing about bounds.

use std::collections::{HashMap, VecDeque};

use crate::rate::{Rate, TokenBucket};

/// One peer's, of `KINDS` kinds of events.
#[derive(Debug)]
struct PeerQueue<T, const KINDS: usize> {
    events: VecDeque<(usize, T)>,
    counts: [usize; KINDS],
    buckets: [TokenBucket; KINDS],
}

/// The queues of all peers that have sent anything since [`PeerQueues::forget`].
#[derive(Debug)]
pub struct PeerQueues<T, const KINDS: usize> {
    queues: HashMap<u32, PeerQueue<T, KINDS>>,
    /// The peers with events, in the order in which they have their turns.
    turns: VecDeque<u32>,
}

impl<T, const KINDS: usize> Default for PeerQueues<T, KINDS> {
    fn default() -> Self {
        Self { queues: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T, const KINDS: usize> PeerQueues<T, KINDS> {
    /// How many events of a kind wait of a peer.
    pub fn waiting(&self, peer: u32, kind: usize) -> usize {
        self.queues.get(&peer).and_then(|queue| queue.counts.get(kind)).copied().unwrap_or(0)
    }

    /// Takes a token of the peer's bucket for a kind, if there is one.
    pub fn take_token(&mut self, peer: u32, kind: usize, rate: Rate, now_ns: u64) -> bool {
        self.queue(peer).buckets.get_mut(kind).is_some_and(|bucket| bucket.take(rate, now_ns))
    }

    /// Appends an event to its peer's queue.
    pub fn push(&mut self, peer: u32, kind: usize, event: T) {
        let queue = self.queue(peer);
        let is_first = queue.events.is_empty();
        queue.events.push_back((kind, event));
        if let Some(count) = queue.counts.get_mut(kind) {
            *count += 1;
        }
        if is_first {
            self.turns.push_back(peer);
        }
    }

    /// The oldest event of the peer whose turn it is, and its kind.
    pub fn pop(&mut self) -> Option<(usize, T)> {
        let peer = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let (kind, event) = queue.events.pop_front()?;
        if let Some(count) = queue.counts.get_mut(kind) {
            *count -= 1;
        }
        if queue.events.is_empty() {
            queue.events = VecDeque::new(); // what a flood has allocated
        } else {
            self.turns.push_back(peer);
        }
        Some((kind, event))
    }

    /// The peer of which most events of a kind wait, and how many; of several the one whose turn comes first. Looks at all.
    pub fn longest(&self, kind: usize, but: u32) -> Option<(u32, usize)> {
        let peers = self.turns.iter().copied().filter(|peer| *peer != but).rev();
        peers.map(|peer| (peer, self.waiting(peer, kind))).max_by_key(|(_, count)| *count)
    }

    /// Drops the newest event of a kind that waits of a peer, of which there are others.
    pub fn drop_newest(&mut self, peer: u32, kind: usize) {
        let Some(queue) = self.queues.get_mut(&peer) else { return };
        if let Some(at) = queue.events.iter().rposition(|(other, _)| *other == kind) {
            queue.events.remove(at);
            if let Some(count) = queue.counts.get_mut(kind) {
                *count -= 1;
            }
        }
    }

    /// Does none wait?
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The peer is gone. What waits of it comes out yet.
    pub fn forget(&mut self, peer: u32) {
        if self.queues.get(&peer).is_some_and(|queue| queue.events.is_empty()) {
            self.queues.remove(&peer);
        }
    }

    fn queue(&mut self, peer: u32) -> &mut PeerQueue<T, KINDS> {
        self.queues.entry(peer).or_insert_with(|| PeerQueue {
            events: VecDeque::new(),
            counts: [0; KINDS],
            buckets: [TokenBucket::default(); KINDS],
        })
    }
}
