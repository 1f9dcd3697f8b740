//! Node routes: which nodes are reached by a neighbour, for want of a path of their own.
//!
//! A node without an entry is reached directly, or not at all. ([`crate::routes`] has those of groups.)

use std::sync::atomic::{AtomicBool, Ordering};

use crate::limits::MAX_PEERS;
use crate::table::{Table, TableFull};

/// The next hop of each node that has a route.
#[derive(Debug)]
pub(crate) struct NodeRoutes {
    next_hops: Table<u32, u32>,
    /// A node whose nodes all have paths reads no more than this.
    any: AtomicBool,
}

impl Default for NodeRoutes {
    fn default() -> Self {
        Self { next_hops: Table::new(MAX_PEERS), any: AtomicBool::new(false) }
    }
}

impl NodeRoutes {
    /// The next hop to this node; None: it is reached directly, or not at all.
    pub(crate) fn get(&self, node: u32) -> Option<u32> {
        self.any.load(Ordering::Acquire).then(|| self.next_hops.get(&node)).flatten()
    }

    /// All for a node goes by this next hop.
    pub(crate) fn set(&self, node: u32, next_hop: u32) -> Result<(), TableFull> {
        self.next_hops.insert(node, next_hop)?;
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// A node has no route any more.
    pub(crate) fn remove(&self, node: u32) {
        self.next_hops.remove(&node);
        self.any.store(!self.next_hops.is_empty(), Ordering::Release);
    }
}
