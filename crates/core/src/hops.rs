//! The nodes that get what goes down a tree of this node's (docs/protocol.md section 6).

/// The nodes that get what goes down a tree, disjoint lists of node indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hops {
    /// They get the tree datagram.
    pub next_hops: Box<[u32]>,
    /// They get a session-sealed copy.
    pub replicate: Box<[u32]>,
    /// They hold the key, and get a copy nevertheless, for they have no path.
    pub routed: Box<[u32]>,
    /// They get the tree datagram from other nodes.
    pub beyond: Box<[u32]>,
}

impl Hops {
    /// Nodes that this one sends to, and no others.
    pub fn new(next_hops: &[u32], replicate: &[u32]) -> Self {
        Self { next_hops: next_hops.into(), replicate: replicate.into(), ..Self::default() }
    }

    /// The nodes of all lists.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.next_hops.iter().chain(&self.replicate).chain(&self.routed).chain(&self.beyond).copied()
    }

    /// All that hold the key, and to which this node sends.
    pub(crate) fn holders(&self) -> impl Iterator<Item = u32> + '_ {
        self.next_hops.iter().chain(&self.routed).copied()
    }

    /// Does this node get what the tree carries?
    pub(crate) fn is_served(&self, node: u32) -> bool {
        self.holders().chain(self.beyond.iter().copied()).any(|served| served == node)
    }

    /// These without one node.
    pub(crate) fn without(&self, gone: u32) -> Self {
        let [next_hops, replicate, routed, beyond] =
            [&self.next_hops, &self.replicate, &self.routed, &self.beyond].map(|list| without(list, gone));
        Self { next_hops, replicate, routed, beyond }
    }
}

/// A list of node indices without one.
pub(crate) fn without(list: &[u32], gone: u32) -> Box<[u32]> {
    list.iter().copied().filter(|node| *node != gone).collect()
}
