//! The trees of other roots that this node is on.
//!
//! A writer excludes other writers; a reader waits for nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::anchor::Anchor;
use crate::datagram::TreeName;
use crate::downstream_tree::{DownstreamTree, KeyOffer, OutgoingList};
use crate::limits::MAX_DOWNSTREAM_TREES;
use crate::root_tree::without;
use crate::table::{Refused, Table};

/// The trees of other roots that this node is on.
#[derive(Debug)]
pub(crate) struct DownstreamTrees {
    trees: Table<TreeName, Arc<DownstreamTree>>,
    /// Trees with next hops: while there are none, nobody looks for datagrams to relay.
    relaying: AtomicUsize,
}

impl Default for DownstreamTrees {
    fn default() -> Self {
        Self { trees: Table::new(MAX_DOWNSTREAM_TREES), relaying: AtomicUsize::new(0) }
    }
}

impl DownstreamTrees {
    /// Takes a key: the first of its tree, or a further one.
    pub(crate) fn accept(&self, offer: KeyOffer, outgoing: OutgoingList, parents: Box<[u32]>) -> Result<(), Refused> {
        let before = self.trees.get(&offer.tree);
        let relayed = before.as_ref().is_some_and(|tree| tree.outgoing.load().relays());
        let relays = outgoing.relays();
        match before.filter(|tree| tree.continues(&offer)) {
            Some(tree) => {
                tree.accept(offer);
                tree.outgoing.store(Arc::new(outgoing));
                tree.parents.store(Arc::new(parents));
            }
            None => {
                self.trees.insert(offer.tree, Arc::new(DownstreamTree::new(offer, outgoing, parents)))?;
            }
        }
        self.note_relaying(relayed, relays);
        Ok(())
    }

    /// Takes an anchor that a node sent, if it is a parent on that tree: the tree.
    pub(crate) fn raise_anchor(&self, from: u32, anchor: &Anchor) -> Option<Arc<DownstreamTree>> {
        let tree = self.trees.get(&anchor.tree).filter(|tree| tree.parents.load().contains(&from))?;
        tree.raise_anchor(anchor);
        Some(tree)
    }

    /// Removes a tree, if it is there.
    pub(crate) fn remove(&self, name: TreeName) {
        if let Some(tree) = self.trees.remove(&name) {
            self.note_relaying(tree.outgoing.load().relays(), false);
        }
    }

    /// Removes the trees of a root, and the node from the next hops of the others.
    pub(crate) fn forget(&self, node: u32) {
        self.trees.retain(|name, _| name.root != node);
        let trees = self.trees.values();
        for tree in &trees {
            let outgoing = tree.outgoing.load();
            if outgoing.next_hops.contains(&node) {
                let next_hops = without(&outgoing.next_hops, node);
                tree.outgoing.store(Arc::new(OutgoingList { deliver: outgoing.deliver, next_hops }));
            }
        }
        let relaying = trees.iter().filter(|tree| tree.outgoing.load().relays()).count();
        self.relaying.store(relaying, Ordering::Relaxed);
    }

    /// The tree of this name.
    pub(crate) fn get(&self, name: &TreeName) -> Option<Arc<DownstreamTree>> {
        self.trees.get(name)
    }

    /// Is this node a relay of any tree?
    pub(crate) fn relays(&self) -> bool {
        self.relaying.load(Ordering::Relaxed) > 0
    }

    /// All trees by name.
    pub(crate) fn all(&self) -> Vec<Arc<DownstreamTree>> {
        let mut trees = self.trees.values();
        trees.sort_by_key(|tree| tree.name);
        trees
    }

    fn note_relaying(&self, before: bool, after: bool) {
        self.relaying.fetch_add(usize::from(after), Ordering::Relaxed);
        self.relaying.fetch_sub(usize::from(before), Ordering::Relaxed);
    }
}
