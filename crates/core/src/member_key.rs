//! A sender key at a member of a tree: which counters it takes, and for how long (docs/protocol.md section 5).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::key_steps::{MemberSteps, StepSecret};
use crate::reason::Reason;
use crate::replay::TreeWindow;
use crate::session::lock;

/// A member takes counters that are at most so far beyond the key's anchor: half the window, so that no datagram, forged or
/// not, moves the window beyond those that are on the way.
pub const AHEAD_OF_ANCHOR: u64 = TreeWindow::WIDTH / 2;
/// The key before goes on for so long after the first datagram under the next one.
pub const PREVIOUS_KEY_NS: u64 = 3_000_000_000;

/// A sender key that was accepted.
#[derive(Debug)]
pub(crate) struct MemberKey {
    pub(crate) key_id: u32,
    pub(crate) steps: MemberSteps,
    first_counter: u64,
    anchor: AtomicU64,
    /// 0: no datagram came under it yet.
    first_used_ns: AtomicU64,
    /// The counters of datagrams that were opened. There is none before the first.
    opened: Mutex<Option<Box<TreeWindow>>>,
    /// The counters of datagrams that were relayed: who holds the tree key alone can mark these only.
    relayed: Mutex<Option<Box<TreeWindow>>>,
}

impl MemberKey {
    pub(crate) fn new(key_id: u32, first_counter: u64, step: StepSecret, now_ns: u64) -> Self {
        Self {
            key_id,
            steps: MemberSteps::new(step, now_ns),
            first_counter,
            anchor: AtomicU64::new(first_counter.saturating_sub(1)),
            first_used_ns: AtomicU64::new(0),
            opened: Mutex::default(),
            relayed: Mutex::default(),
        }
    }

    /// Takes the root's word about its counter. Late ones change nothing.
    pub(crate) fn raise_anchor(&self, counter: u64) {
        self.anchor.fetch_max(counter, Ordering::Relaxed);
    }

    /// May a datagram have this counter?
    pub(crate) fn admit(&self, counter: u64) -> Result<(), Reason> {
        if counter < self.first_counter {
            return Err(Reason::TreeReplay);
        }
        if counter.saturating_sub(self.anchor.load(Ordering::Relaxed)) > AHEAD_OF_ANCHOR {
            return Err(Reason::TreeAhead);
        }
        Ok(())
    }

    /// Marks the counter of a datagram that was opened.
    pub(crate) fn mark_opened(&self, counter: u64, now_ns: u64) -> Result<(), Reason> {
        self.mark(&self.opened, counter, now_ns)
    }

    /// Marks the counter of a datagram that goes on.
    pub(crate) fn mark_relayed(&self, counter: u64, now_ns: u64) -> Result<(), Reason> {
        self.mark(&self.relayed, counter, now_ns)
    }

    fn mark(&self, window: &Mutex<Option<Box<TreeWindow>>>, counter: u64, now_ns: u64) -> Result<(), Reason> {
        if !lock(window).get_or_insert_default().mark(counter) {
            return Err(Reason::TreeReplay);
        }
        if !self.is_used() {
            self.first_used_ns.store(now_ns.max(1), Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_used(&self) -> bool {
        self.first_used_ns.load(Ordering::Relaxed) != 0
    }
}

/// The key in use, or offered for use next, and the one before.
#[derive(Debug)]
pub(crate) struct MemberKeys {
    current: Arc<MemberKey>,
    previous: Option<Arc<MemberKey>>,
}

impl MemberKeys {
    pub(crate) fn new(first: MemberKey) -> Self {
        Self { current: Arc::new(first), previous: None }
    }

    /// With a further key, or None where that changes nothing. The two with the highest ids are kept: an offer that comes
    /// late displaces no newer key, and none comes back before one that was used.
    pub(crate) fn with(&self, key: MemberKey) -> Option<Self> {
        let current = &self.current;
        if key.key_id > current.key_id {
            return Some(Self { current: Arc::new(key), previous: Some(current.clone()) });
        }
        let newest = self.previous.as_ref().is_none_or(|previous| previous.key_id < key.key_id);
        let late = key.key_id < current.key_id && newest && !current.is_used();
        late.then(|| Self { current: current.clone(), previous: Some(Arc::new(key)) })
    }

    /// The key of this id, while it lives.
    pub(crate) fn find(&self, key_id: u32, now_ns: u64) -> Result<&MemberKey, Reason> {
        if self.current.key_id == key_id {
            return Ok(&self.current);
        }
        let previous = self.previous.as_deref().filter(|key| key.key_id == key_id);
        let used_ns = self.current.first_used_ns.load(Ordering::Relaxed);
        let lives = used_ns == 0 || now_ns.saturating_sub(used_ns) < PREVIOUS_KEY_NS;
        previous.filter(|_| lives).ok_or(Reason::TreeKeyUnknown)
    }

    /// The key of this id, whether or not it lives.
    pub(crate) fn get(&self, key_id: u32) -> Option<&MemberKey> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.key_id == key_id)
            .map(|key| &**key)
    }
}
