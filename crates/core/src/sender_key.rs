//! A sender key at its root, and the tree that changes with it (docs/protocol.md section 6).

use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::anchor::Anchor;
use crate::datagram::TreeName;
use crate::key_steps::RootSteps;
use crate::tree_tag::TreeKey;

/// A sender key at its root.
pub struct SenderKey {
    /// Its id, unique in the tree.
    pub key_id: u32,
    pub(crate) steps: RootSteps,
    pub(crate) sealed: AtomicU64,
    pub(crate) anchored: AtomicU64,
    /// The time at which it took the place of another one; 0: it did not.
    pub(crate) used_ns: AtomicU64,
}

impl SenderKey {
    /// A key of 32 random bytes, its first step.
    pub fn new(key_id: u32, aead: Aead, secret: Zeroizing<[u8; 32]>) -> Self {
        let steps = RootSteps::new(aead, secret);
        let [sealed, anchored, used_ns] = [0; 3].map(AtomicU64::new);
        Self { key_id, steps, sealed, anchored, used_ns }
    }

    /// Is there more of it than the secret that it is made of?
    pub fn is_made(&self) -> bool {
        self.steps.current.load().is_used()
    }

    /// Counts as if the key had sealed so many datagrams. Never fewer than it has: their counters would come again.
    pub fn set_sealed(&self, datagrams: u64) {
        self.sealed.fetch_max(datagrams, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for SenderKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SenderKey({})", self.key_id)
    }
}

/// A sender key, and the tree of an epoch by which what it seals goes: they change together.
#[derive(Debug)]
pub struct Generation {
    /// Root (this node), stream, epoch.
    pub tree: TreeName,
    /// The key of the tree's tags.
    pub tree_key: TreeKey,
    /// The key of what goes down the tree.
    pub key: SenderKey,
}

impl Generation {
    /// How far its key is.
    pub(crate) fn anchor(&self, now_ns: u64) -> Anchor {
        let SenderKey { key_id, sealed, used_ns, .. } = &self.key;
        let in_use_ns = match used_ns.load(Ordering::Relaxed) {
            0 => 0,
            since_ns => now_ns.saturating_sub(since_ns),
        };
        let in_use_ms = u16::try_from(in_use_ns / 1_000_000).unwrap_or(u16::MAX);
        Anchor { in_use_ms, ..Anchor::at(self.tree, *key_id, sealed.load(Ordering::Relaxed)) }
    }
}
