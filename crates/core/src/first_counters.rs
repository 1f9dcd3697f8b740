//! First counters: each node that a tree of this node serves anew learns from which counter on (docs/protocol.md section 5,
//! Anchors). Datagrams sealed before it had as copies in its session; by the tree they are replays there.

use std::sync::atomic::{AtomicU64, Ordering};

/// First counters are sent before the 1st, 2nd, 4th, 8th datagram and so on to this one, for one may be lost.
pub const LAST_WORD: u64 = 64;
const NOT_YET: u64 = 0;
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct FirstCounter {
    node: u32,
    /// The first counter that went to it by the tree; 0: none did.
    first: AtomicU64,
    /// Does this node send to it?
    is_hop: bool,
}

/// Nodes that were not served before their members were set, or are not sure to know it.
#[derive(Debug)]
pub struct FirstCounters {
    nodes: Box<[FirstCounter]>,
    /// The counter as they were set.
    begun: u64,
    /// The counter from which they are sent again.
    next: AtomicU64,
}

impl FirstCounters {
    /// No node.
    pub(crate) fn nobody() -> Self {
        Self { nodes: Box::default(), begun: 0, next: AtomicU64::new(NEVER) }
    }

    /// Next hops, and nodes that get the tree from others, of which those that `is_served` names are not new; the key has sealed so many
    /// datagrams. `before`: those that follow may not know it yet.
    pub(crate) fn new(
        next_hops: &[u32],
        beyond: &[u32],
        is_served: impl Fn(u32) -> bool,
        before: &Self,
        sealed: u64,
    ) -> Self {
        let of_hops = next_hops.iter().map(|node| (*node, true));
        let all = of_hops.chain(beyond.iter().map(|node| (*node, false)));
        let nodes: Box<[FirstCounter]> = all
            .filter_map(|(node, is_hop)| {
                let first = if is_served(node) { before.first(node)? } else { NOT_YET };
                Some(FirstCounter { node, first: AtomicU64::new(first), is_hop })
            })
            .collect();
        let next = AtomicU64::new(if nodes.is_empty() { NEVER } else { sealed });
        Self { nodes, begun: sealed, next }
    }

    /// Its first counter, while it is sent.
    fn first(&self, node: u32) -> Option<u64> {
        let is_sent = self.next.load(Ordering::Relaxed) != NEVER;
        let newly = self.nodes.iter().filter(|_| is_sent).find(|newly| newly.node == node)?;
        Some(newly.first.load(Ordering::Relaxed))
    }

    /// Takes the nodes that are to learn of it before the datagram after this counter, each with its first counter. Later
    /// datagrams to the same members have higher ones.
    pub(crate) fn due(&self, sealed: u64) -> impl Iterator<Item = (u32, u64)> + '_ {
        let next = self.next.load(Ordering::Acquire);
        let is_due = sealed >= next && next != NEVER;
        let is_first = next == self.begun;
        if is_due {
            for newly in &self.nodes {
                let _ = newly.first.compare_exchange(NOT_YET, sealed + 1, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        let gone = sealed.saturating_sub(self.begun) + 1;
        let then = if gone < LAST_WORD { self.begun + 2 * gone - 1 } else { NEVER };
        let taken = is_due && self.next.compare_exchange(next, then, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let nodes = if taken { &*self.nodes } else { &[] };
        nodes
            .iter()
            .map(|newly| (newly, newly.first.load(Ordering::Relaxed)))
            .filter(move |(newly, first)| *first > 1 || (is_first && newly.is_hop)) // there were no copies under this key
            .map(|(newly, first)| (newly.node, first))
    }

    /// The same of all, where no datagram follows.
    pub fn known(&self, sealed: u64) -> impl Iterator<Item = (u32, u64)> + '_ {
        let firsts = self.nodes.iter().map(move |newly| match newly.first.load(Ordering::Relaxed) {
            NOT_YET => (newly, sealed + 1),
            first => (newly, first),
        });
        firsts.filter(|(newly, first)| *first > 1 || newly.is_hop).map(|(newly, first)| (newly.node, first))
    }
}
