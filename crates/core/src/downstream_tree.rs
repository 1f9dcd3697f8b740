//! Trees of other roots: a tree datagram is one of this tree, and goes on from here or not (docs/protocol.md section 5).

use std::sync::atomic::Ordering;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::anchor::Anchor;
use crate::datagram::{TreeHeader, TreeName};
use crate::downstream_stream::DownstreamStream;
use crate::history::{HistoriesLen, History};
use crate::reason::Reason;
use crate::tree_state::{TreePlace, TreeState};
use crate::tree_tag::TreeKey;
pub use crate::upstream::GraftState;
use crate::upstream::Upstream;

const COUNTER_OF_48_BITS: u64 = (1 << 48) - 1;

/// The nodes that get each datagram of a tree as it came.
pub type NextHops = Arc<Box<[u32]>>;

/// Another root's tree that this node is on. There is another one for each state that its root sends.
#[derive(Debug)]
pub struct DownstreamTree {
    /// Root, stream, epoch.
    pub name: TreeName,
    /// The stream that comes by it.
    pub stream: Arc<DownstreamStream>,
    /// The nodes whose datagrams of this tree are taken.
    pub parents: Box<[u32]>,
    /// The parent by which it comes; 0: none.
    pub(crate) parent: u32,
    /// The backup by which it comes where the parent is silent; 0: none.
    pub(crate) backup: u32,
    /// The backup sends it, too, whatever the parent does.
    pub(crate) backup_sends: bool,
    /// Children, and those of the backup children that have grafted.
    pub(crate) next_hops: ArcSwap<Box<[u32]>>,
    pub(crate) backup_children: Box<[u32]>,
    /// Where there are backup children.
    pub(crate) history: Option<Arc<History>>,
    pub(crate) upstream: Upstream,
    /// Has it children here, or a parent that is not its root?
    pub(crate) is_watched: bool,
    /// The time at which this node took its first place on it.
    since_ns: u64,
    key_id: u32,
    tree_key: TreeKey,
}

/// A node's place on a tree, as it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPlace {
    /// Root, stream, epoch.
    pub name: TreeName,
    /// The sender key of its datagrams.
    pub key_id: u32,
    /// The parent by which it comes; 0: none.
    pub parent: u32,
    /// The backup by which it comes where the parent is silent; 0: none.
    pub backup: u32,
    /// The nodes that it goes on to, those that have grafted here among them.
    pub next_hops: Box<[u32]>,
    /// Does the backup send it, too?
    pub graft: GraftState,
    /// The time at which this node took its first place on it.
    pub since_ns: u64,
}

impl DownstreamTree {
    /// `before`: the one that it takes the place of, whose history and grafts it keeps.
    pub(crate) fn new(
        state: TreeState,
        stream: Arc<DownstreamStream>,
        before: Option<&Self>,
        histories_len: &HistoriesLen,
    ) -> Self {
        let TreeState { tree, key_id, place, tree_key, came_ns, .. } = state;
        let parents = place.parents();
        let TreePlace { parent, backup, children, backup_children, backup_sends } = place;
        let kept = before.and_then(|before| before.history.clone());
        let history = kept.or_else(|| Some(Arc::new(History::new(histories_len.clone()))));
        let is_watched = ![0, tree.root].contains(&parent) || !children.is_empty() || !backup_children.is_empty();
        let mut next_hops = children.into_vec();
        if let Some(before) = before {
            next_hops.extend(before.next_hops.load().iter().filter(|node| backup_children.contains(node)));
        }
        Self {
            name: tree,
            stream,
            parents,
            parent,
            backup,
            backup_sends,
            next_hops: ArcSwap::from_pointee(next_hops.into_boxed_slice()),
            history: history.filter(|_| !backup_children.is_empty()),
            backup_children,
            is_watched,
            upstream: Upstream::default(),
            since_ns: before.map_or(came_ns, |before| before.since_ns),
            key_id,
            tree_key,
        }
    }

    /// This node's place on it.
    pub(crate) fn place(&self) -> InstalledPlace {
        InstalledPlace {
            name: self.name,
            key_id: self.key_id,
            parent: self.parent,
            backup: self.backup,
            next_hops: self.next_hops.load().iter().copied().collect(),
            graft: self.upstream.graft(),
            since_ns: self.since_ns,
        }
    }

    /// A datagram was new here.
    pub(crate) fn note_newest(&self, header: &TreeHeader) {
        if self.is_watched {
            self.upstream.newest.fetch_max(header.counter, Ordering::Relaxed);
        }
    }

    /// Does what its root sends come by it, as far as this node knows? Else it may come as copies.
    pub(crate) fn is_in_use(&self) -> bool {
        self.upstream.datagrams.load(Ordering::Relaxed) > 0 || self.stream.is_served_by(self.key_id)
    }

    /// Is its parent another node than its root?
    pub(crate) fn is_below_a_relay(&self) -> bool {
        self.parent != 0 && self.parent != self.name.root
    }

    /// How many of its counters beyond one, up to another, came, by whichever tree.
    pub(crate) fn seen(&self, low: u64, high: u64) -> u64 {
        self.stream.seen(self.key_id, low, high)
    }

    /// A backup child becomes a child; false when it is one. One writer at a time.
    pub(crate) fn adopt(&self, node: u32) -> bool {
        let next_hops = self.next_hops.load();
        if next_hops.contains(&node) {
            return false;
        }
        let with = next_hops.iter().copied().chain([node]).collect();
        self.next_hops.store(Arc::new(with));
        true
    }

    /// Keeps a datagram that has passed, where a node may want it later.
    pub(crate) fn keep(&self, header: &TreeHeader, datagram: &[u8], traffic_class: u8, now_ns: u64) {
        if let Some(history) = &self.history {
            history.keep(header.counter, traffic_class, datagram, now_ns);
        }
    }

    /// Do datagrams go on from here, or may they?
    pub(crate) fn relays(&self) -> bool {
        !self.backup_children.is_empty() || !self.next_hops.load().is_empty()
    }

    /// Is the tree tag right, and the sender key that of this tree? Who was on an earlier one cannot have a datagram of a later
    /// key sent on. Broadcast is signed, and nothing else is.
    pub(crate) fn verify(&self, header: &TreeHeader, datagram: &[u8]) -> Result<(), Reason> {
        if !self.tree_key.verify(datagram) {
            return Err(Reason::TreeTag);
        }
        if header.key_id != self.key_id {
            return Err(Reason::TreeKeyUnknown);
        }
        if header.signed != self.stream.name.is_broadcast() {
            return Err(Reason::BroadcastSignature);
        }
        Ok(())
    }

    /// Does an anchor go on to the next hops? Of two parents each sends it, and of two nodes each may be the other's parent: it goes on once.
    pub(crate) fn takes_onwards(&self, anchor: &Anchor) -> bool {
        let newest = (u64::from(anchor.in_use_ms) << 48 | anchor.counter & COUNTER_OF_48_BITS) + 1;
        !self.backup_sends || self.upstream.onwards.fetch_max(newest, Ordering::Relaxed) < newest
    }

    /// Where both parents send all of it, the second copy of a datagram goes no further.
    pub(crate) fn check_copy(&self, header: &TreeHeader, of_parent: bool) -> Result<(), Reason> {
        if !self.backup_sends {
            return Ok(());
        }
        self.stream.check_copy(header, usize::from(of_parent), self.relays())
    }

    /// Marks a datagram that goes on as it came.
    pub(crate) fn pass(&self, header: &TreeHeader, datagram: &[u8], now_ns: u64) -> Result<(), Reason> {
        self.stream.pass(header, now_ns)?;
        self.note_newest(header);
        self.stream.count(datagram.len());
        Ok(())
    }
}
