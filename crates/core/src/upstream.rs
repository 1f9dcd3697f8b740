//! Arrivals by a tree, and when they were (docs/protocol.md section 6, Repair).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether a node has grafted at its backup, which sends it the tree from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraftState {
    /// None so far.
    None,
    /// A graft, and nothing has come from its parent since.
    InsteadOfParent,
    /// A graft, and its parent sends on, too.
    BesideParent,
}

/// Arrivals by one tree.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    /// Datagrams: from whomever, but where the backup sends all, too, those of the parent.
    pub(crate) datagrams: AtomicU64,
    /// The time at which the last one came that was no second copy.
    pub(crate) came_ns: AtomicU64,
    /// The time at which the last one came from the parent.
    pub(crate) parent_ns: AtomicU64,
    /// The time at which this node grafted at its backup last; 0: it has not.
    pub(crate) grafted_ns: AtomicU64,
    /// The highest counter that was taken.
    pub(crate) newest: AtomicU64,
    /// The highest counter that the backup reports, and when it last did.
    pub(crate) of_backup: AtomicU64,
    pub(crate) marked_ns: AtomicU64,
    pub(crate) watched: AtomicBool,
    /// The newest anchor that goes on, where the backup sends all, too: for how long its key was in use, and its counter.
    pub(crate) onwards: AtomicU64,
}

impl Upstream {
    /// A datagram of the tree has come, which `counts`, or is a second copy; whether the tree is to be watched from now on.
    pub(crate) fn note(&self, of_parent: bool, counts: bool, is_copy: bool, now_ns: u64) -> bool {
        self.datagrams.fetch_add(u64::from(counts), Ordering::Relaxed);
        if !is_copy {
            self.came_ns.store(now_ns, Ordering::Relaxed);
        }
        if of_parent {
            self.parent_ns.store(now_ns, Ordering::Relaxed);
        }
        self.is_to_be_watched()
    }

    /// The backup has datagrams up to this counter; whether the tree is to be watched from now on.
    pub(crate) fn note_backup(&self, counter: u64, now_ns: u64) -> bool {
        self.of_backup.fetch_max(counter, Ordering::Relaxed);
        self.marked_ns.store(now_ns, Ordering::Relaxed);
        self.is_to_be_watched()
    }

    /// Has this node grafted at its backup, and has anything come from the parent since?
    pub(crate) fn graft(&self) -> GraftState {
        match self.grafted_ns.load(Ordering::Relaxed) {
            0 => GraftState::None,
            grafted_ns if self.parent_ns.load(Ordering::Relaxed) <= grafted_ns => GraftState::InsteadOfParent,
            _ => GraftState::BesideParent,
        }
    }

    /// The time at which something was last known to come.
    pub(crate) fn used_ns(&self) -> u64 {
        self.came_ns.load(Ordering::Relaxed).max(self.marked_ns.load(Ordering::Relaxed))
    }

    fn is_to_be_watched(&self) -> bool {
        !self.watched.load(Ordering::Relaxed) && !self.watched.swap(true, Ordering::Relaxed)
    }
}
