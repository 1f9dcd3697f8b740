//! Served counters: which of a key's counters a node gets by the tree, where it gets the others as copies. The root says so to each
//! node that the tree serves anew, or no more (docs/protocol.md section 5, Anchors): what came both ways is a replay there.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::anchor::CounterRange;
use crate::hops::Hops;

/// The range is sent before the 1st, 2nd, 4th, 8th datagram and so on to this one, for one may be lost.
pub const LAST_RANGE: u64 = 64;
const NOT_YET: u64 = 0;
const NEVER: u64 = u64::MAX;

/// Which way a node's service changes, between a tree and copies: the range that it is sent begins or ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServedEnd {
    /// The tree serves a next hop from a counter on.
    HopBegins,
    /// The tree serves a node beyond a next hop from a counter on.
    BeyondBegins,
    /// The tree served a node up to a counter.
    Ends,
}

#[derive(Debug)]
struct Changed {
    node: u32,
    change: ServedEnd,
    /// The first datagram that was sealed with these members; none yet: 0.
    since: AtomicU64,
}

/// Nodes that were not served before their members were set, or were served and get copies now, or are not sure to know it.
#[derive(Debug)]
pub struct ServedCounters {
    nodes: Box<[Changed]>,
    /// The counter as they were set.
    begun: u64,
    /// The counter from which they are sent again.
    next: AtomicU64,
}

impl ServedCounters {
    /// No node.
    pub(crate) fn nobody() -> Self {
        Self { nodes: Box::default(), begun: 0, next: AtomicU64::new(NEVER) }
    }

    /// The nodes that change between those that a tree served, and those that it is to; the key has sealed so many datagrams. `known`:
    /// of the former; those that changed then may not know it yet.
    pub(crate) fn new(before: &Hops, after: &Hops, known: &Self, sealed: u64) -> Self {
        let served: HashSet<&u32> = before.next_hops.iter().chain(&before.beyond).collect();
        let begins = |node: &u32, change| {
            let since = if served.contains(node) { known.since(*node, ServedEnd::begins)? } else { NOT_YET };
            Some(Changed { node: *node, change, since: AtomicU64::new(since) })
        };
        let ends = |node: &u32| {
            let ended = known.since(*node, ServedEnd::ends);
            let since = if served.contains(node) { NOT_YET } else { ended? };
            Some(Changed { node: *node, change: ServedEnd::Ends, since: AtomicU64::new(since) })
        };
        let of_hops = after.next_hops.iter().filter_map(|node| begins(node, ServedEnd::HopBegins));
        let of_beyond = after.beyond.iter().filter_map(|node| begins(node, ServedEnd::BeyondBegins));
        let ended: &[u32] = if sealed == 0 { &[] } else { &after.replicate };
        let nodes: Box<[Changed]> = of_hops.chain(of_beyond).chain(ended.iter().filter_map(ends)).collect();
        let next = AtomicU64::new(if nodes.is_empty() { NEVER } else { sealed });
        Self { nodes, begun: sealed, next }
    }

    /// The counter since which a node's change of this kind is, while that is sent.
    fn since(&self, node: u32, is_it: impl Fn(ServedEnd) -> bool) -> Option<u64> {
        let is_sent = self.next.load(Ordering::Relaxed) != NEVER;
        let changed = self.nodes.iter().filter(|_| is_sent).find(|one| one.node == node && is_it(one.change))?;
        Some(changed.since.load(Ordering::Relaxed))
    }

    /// Takes the nodes that are to learn of it before the datagram after this counter, each with the counters that it gets. Later
    /// datagrams to the same members have higher ones.
    pub(crate) fn due(&self, sealed: u64) -> impl Iterator<Item = (u32, CounterRange)> + '_ {
        let next = self.next.load(Ordering::Acquire);
        let is_due = sealed >= next && next != NEVER;
        let is_first = next == self.begun;
        if is_due {
            for changed in &self.nodes {
                let _ = changed.since.compare_exchange(NOT_YET, sealed + 1, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        let gone = sealed.saturating_sub(self.begun) + 1;
        let then = if gone < LAST_RANGE { self.begun + 2 * gone - 1 } else { NEVER };
        let taken = is_due && self.next.compare_exchange(next, then, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let nodes = if taken { &*self.nodes } else { &[] };
        nodes
            .iter()
            .map(|changed| (changed, changed.since.load(Ordering::Relaxed)))
            .filter(move |(changed, since)| *since > 1 || (is_first && changed.change == ServedEnd::HopBegins)) // there were no copies under this key
            .map(|(changed, since)| (changed.node, changed.change.range(since)))
    }

    /// The same of all that the tree serves anew, where no datagram follows.
    pub fn known(&self, sealed: u64) -> impl Iterator<Item = (u32, CounterRange)> + '_ {
        let begun = self.nodes.iter().filter(|changed| changed.change != ServedEnd::Ends);
        let since = begun.map(move |changed| match changed.since.load(Ordering::Relaxed) {
            NOT_YET => (changed, sealed + 1),
            since => (changed, since),
        });
        since
            .filter(|(changed, since)| *since > 1 || changed.change == ServedEnd::HopBegins)
            .map(|(changed, since)| (changed.node, changed.change.range(since)))
    }

    /// The first counter of a node that the tree serves: 1 where it is not known to have had copies.
    pub(crate) fn first(&self, node: u32, sealed: u64) -> u64 {
        let changed = self.nodes.iter().find(|changed| changed.node == node && changed.change.begins());
        changed.map_or(1, |changed| match changed.since.load(Ordering::Relaxed) {
            NOT_YET => sealed + 1,
            since => since,
        })
    }
}

impl ServedEnd {
    fn begins(self) -> bool {
        self != Self::Ends
    }

    fn ends(self) -> bool {
        self == Self::Ends
    }

    fn range(self, since: u64) -> CounterRange {
        match self {
            Self::Ends => CounterRange { first: 0, last: since - 1 },
            _ => CounterRange { first: since, last: 0 },
        }
    }
}
