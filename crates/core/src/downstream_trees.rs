//! The streams of other roots that come here, and the trees by which they come.
//!
//! A stream begins with a key, or with a place whose datagrams go on from here; a place at a leaf makes none.
//!
//! A writer excludes other writers; a reader waits for nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::anchor::Anchor;
use crate::datagram::{StreamName, TreeName};
use crate::downstream_stream::{DownstreamStream, KeyOffer};
use crate::downstream_tree::{DownstreamTree, InstalledPlace};
use crate::history::HistoriesLen;
use crate::hops::without;
use crate::key_flow::KeyFlow;
use crate::limits::{MAX_DOWNSTREAM_STREAMS, MAX_DOWNSTREAM_STREAMS_PER_ROOT, MAX_DOWNSTREAM_TREES};
use crate::session::lock;
use crate::table::{Refused, Table};
use crate::tree_mark::TreeMark;
use crate::tree_state::TreeState;

/// The trees of a stream's two highest epochs are kept: the one in use, and the next or the one before.
const EPOCHS: usize = 2;

/// The streams of other roots that come here, and the trees by which they come.
#[derive(Debug)]
pub(crate) struct DownstreamTrees {
    streams: Table<StreamName, Arc<DownstreamStream>>,
    /// How many of them each root has.
    of_roots: Mutex<HashMap<u32, usize>>,
    trees: Table<TreeName, Arc<DownstreamTree>>,
    /// Trees with next hops: while there are none, nobody looks for datagrams to relay.
    relaying: AtomicUsize,
    histories_len: HistoriesLen,
}

impl Default for DownstreamTrees {
    fn default() -> Self {
        Self {
            streams: Table::new(MAX_DOWNSTREAM_STREAMS),
            of_roots: Mutex::default(),
            trees: Table::new(MAX_DOWNSTREAM_TREES),
            relaying: AtomicUsize::new(0),
            histories_len: HistoriesLen::default(),
        }
    }
}

impl DownstreamTrees {
    /// Takes a sender key for these frames: the first of its stream, or a further one. Whether it is held now.
    pub(crate) fn accept_key(&self, offer: KeyOffer, flow: Option<KeyFlow>) -> Result<bool, Refused> {
        let stream = self.stream(offer.stream)?;
        if let Some(flow) = flow {
            stream.flow.get_or_init(|| flow);
        }
        Ok(stream.accept(offer))
    }

    /// Takes the state of a tree, in place of one of the same epoch, or beside the one of another. One of an epoch that is over
    /// changes nothing. False: nothing goes on from there, and this node has no key of the stream, which it may have left since.
    pub(crate) fn accept_state(&self, state: TreeState) -> Result<bool, Refused> {
        let (name, relays) = (state.tree, state.place.relays());
        let is_subscribed = self.streams.get(&name.stream_name()).is_some_and(|stream| stream.is_subscribed());
        if !relays && !is_subscribed {
            return Ok(false);
        }
        let stream = self.stream(name.stream_name())?;
        let mut epochs = lock(&stream.epochs);
        let known = epochs.contains(&name.epoch);
        if !known && epochs.len() >= EPOCHS && epochs.first().is_some_and(|lowest| name.epoch < *lowest) {
            return Ok(true);
        }
        if relays {
            stream.relay(state.key_id, state.anchor);
        }
        let before = self.trees.get(&name);
        let tree = DownstreamTree::new(state, stream.clone(), before.as_deref(), &self.histories_len);
        match self.trees.insert(name, Arc::new(tree)) {
            Ok(before) => self.note_relaying(before.is_some_and(|tree| tree.relays()), relays),
            Err(full) => {
                drop(epochs);
                self.remove_if_empty(&stream);
                return Err(full.into());
            }
        }
        if !known {
            epochs.push(name.epoch);
            epochs.sort_unstable();
            if epochs.len() > EPOCHS {
                let gone = epochs.remove(0);
                self.remove_tree(name.stream_name().in_epoch(gone));
            }
        }
        Ok(true)
    }

    /// Takes an anchor that a node sent, if it is a parent on that tree, or its root: the tree. `routes_set`: of the path to that
    /// node.
    pub(crate) fn raise_anchor(
        &self,
        from: u32,
        anchor: &Anchor,
        routes_set: u32,
        now_ns: u64,
    ) -> Option<Arc<DownstreamTree>> {
        let of_root = from == anchor.tree.root;
        let tree = self.trees.get(&anchor.tree).filter(|tree| of_root || tree.parents.contains(&from))?;
        if tree.stream.raise_anchor(anchor, of_root, now_ns) {
            tree.upstream.newest.fetch_min(anchor.counter, Ordering::Relaxed);
        }
        if of_root && anchor.first_counter != 0 {
            tree.stream.serve(anchor, routes_set);
        }
        if of_root && anchor.last_counter != 0 {
            tree.stream.serve_to(anchor);
        }
        Some(tree)
    }

    /// This node subscribes to the stream no more: its keys go, and the trees that it does not relay.
    pub(crate) fn leave(&self, name: StreamName) {
        if let Some(stream) = self.streams.get(&name) {
            stream.forget_keys();
            self.retain_trees(&stream, DownstreamTree::relays);
        }
    }

    /// This node subscribes to the stream again: its keys are over at `until_ns` (None: it has done so before), unless the root confirms
    /// them. The request for that, when the root has not yet.
    pub(crate) fn confirm(&self, name: StreamName, until_ns: Option<u64>, now_ns: u64) -> Option<TreeMark> {
        let stream = self.streams.get(&name)?;
        if let Some(until_ns) = until_ns {
            stream.doubt_keys(until_ns);
        }
        let epoch = lock(&stream.epochs).last().copied().unwrap_or(0);
        stream.may_query_keys(now_ns).then(|| TreeMark { tree: name.in_epoch(epoch), counter: 0 })
    }

    /// This node relays the stream no more: it keeps those trees by which it gets it itself.
    pub(crate) fn end_relaying(&self, name: StreamName) {
        if let Some(stream) = self.streams.get(&name) {
            self.retain_trees(&stream, |tree| !tree.relays());
        }
    }

    /// Removes the streams of a root, and the node from the next hops of the others.
    pub(crate) fn forget(&self, node: u32) {
        self.trees.retain(|name, _| name.root != node);
        self.streams.retain(|name, _| name.root != node);
        lock(&self.of_roots).remove(&node);
        let trees = self.trees.values();
        for tree in &trees {
            let next_hops = tree.next_hops.load();
            if next_hops.contains(&node) {
                tree.next_hops.store(Arc::new(without(&next_hops, node)));
            }
        }
        let relaying = trees.iter().filter(|tree| tree.relays()).count();
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

    /// A stream, and this node's places on its trees, that of the lower epoch first.
    pub(crate) fn places(&self, name: StreamName) -> Option<(Arc<DownstreamStream>, Vec<InstalledPlace>)> {
        let stream = self.streams.get(&name)?;
        let epochs = lock(&stream.epochs).clone();
        let trees = epochs.into_iter().filter_map(|epoch| self.trees.get(&name.in_epoch(epoch)));
        let places = trees.map(|tree| tree.place()).collect();
        Some((stream, places))
    }

    /// All streams by name.
    pub(crate) fn streams(&self) -> Vec<Arc<DownstreamStream>> {
        let mut streams = self.streams.values();
        streams.sort_by_key(|stream| stream.name);
        streams
    }

    fn stream(&self, name: StreamName) -> Result<Arc<DownstreamStream>, Refused> {
        if let Some(stream) = self.streams.get(&name) {
            return Ok(stream);
        }
        let mut of_roots = lock(&self.of_roots);
        let count = of_roots.get(&name.root).copied().unwrap_or(0);
        if count >= MAX_DOWNSTREAM_STREAMS_PER_ROOT {
            return Err(Refused::TableFull);
        }
        let stream = Arc::new(DownstreamStream::new(name));
        self.streams.insert(name, stream.clone())?;
        of_roots.insert(name.root, count + 1);
        Ok(stream)
    }

    fn retain_trees(&self, stream: &Arc<DownstreamStream>, keep: impl Fn(&DownstreamTree) -> bool) {
        lock(&stream.epochs).retain(|epoch| {
            let name = stream.name.in_epoch(*epoch);
            let kept = self.trees.get(&name).is_some_and(|tree| keep(&tree));
            if !kept {
                self.remove_tree(name);
            }
            kept
        });
        self.remove_if_empty(stream);
    }

    fn remove_tree(&self, name: TreeName) {
        if let Some(tree) = self.trees.remove(&name) {
            self.note_relaying(tree.relays(), false);
        }
    }

    fn remove_if_empty(&self, stream: &DownstreamStream) {
        if !stream.is_subscribed() && lock(&stream.epochs).is_empty() {
            self.remove_stream(stream.name);
        }
    }

    fn remove_stream(&self, name: StreamName) {
        let mut of_roots = lock(&self.of_roots);
        if self.streams.remove(&name).is_some() {
            match of_roots.get(&name.root).map_or(0, |count| count.saturating_sub(1)) {
                0 => of_roots.remove(&name.root),
                left => of_roots.insert(name.root, left),
            };
        }
    }

    fn note_relaying(&self, before: bool, after: bool) {
        self.relaying.fetch_add(usize::from(after), Ordering::Relaxed);
        self.relaying.fetch_sub(usize::from(before), Ordering::Relaxed);
    }
}
