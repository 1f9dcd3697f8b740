//! Keys of a stream at a node of its trees: which counters are taken, and for how long (docs/protocol.md section 5).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::anchor::Anchor;
use crate::key_steps::{MemberSteps, StepSecret};
use crate::reason::Reason;
use crate::replay::TreeWindow;
use crate::session::lock;

/// A member takes counters that are at most so far beyond the key's anchor: half the window, so that no datagram, forged or
/// not, moves the window beyond those that are on the way.
pub const AHEAD_OF_ANCHOR: u64 = TreeWindow::WIDTH / 2;
/// The member requests the root's anchor when a counter is so far beyond the last one: where relays bring a stream, nobody else reports it.
const ASKED_AHEAD: u64 = AHEAD_OF_ANCHOR / 2;
/// A further request for it leaves no sooner.
const ASKED_AGAIN_NS: u64 = 50_000_000;
/// Replays, less the counters that were new meanwhile, by which what was marked is doubted: who holds the keys may have made it up.
const DOUBTED_REPLAYS: u32 = 2;
/// The key before is over at subscribers so long after its root has used the next one, when that says so. No datagram ends it: who holds the
/// next key could make one before the root uses it.
pub const KEY_OVERLAP_NS: u64 = 1_500_000_000;
/// The key before is over so long after the next one was used at a relay, to which the root reports nothing of its end and opens nothing.
pub const RELAYED_KEY_NS: u64 = 3_000_000_000;

/// The key before a key that was offered, and when that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) key_id: u32,
    pub(crate) ends_ns: u64,
}

/// The counters of a key, whichever tree its datagrams come by. A relay has them without the key.
#[derive(Debug)]
pub(crate) struct KeyCounters {
    pub(crate) key_id: u32,
    first_counter: AtomicU64,
    /// Datagrams with higher counters come as copies.
    last_counter: AtomicU64,
    /// The root has said that the tree serves this node.
    is_served: AtomicBool,
    had_copies: AtomicBool,
    anchor: AtomicU64,
    /// The id of the key before, as its root names it; None at a relay.
    before: Option<u32>,
    /// Has a datagram or an anchor come under it?
    is_used: AtomicBool,
    /// The time at which the key before this one is over; [`u64::MAX`] where that is not known yet.
    before_ends_ns: AtomicU64,
    marked: Mutex<Marked>,
    asked_ns: AtomicU64,
}

/// The counters that came.
#[derive(Debug, Default)]
struct Marked {
    /// There is none before the first datagram.
    window: Option<Box<TreeWindow>>,
    /// The counters of each of two parents that both send all of it, whether they were new or not.
    of_parents: Option<Box<[TreeWindow; 2]>>,
    /// Replays, less the counters that were new.
    replays: u32,
}

impl KeyCounters {
    /// A counter below `first_counter` is a replay here. `before`: None at a relay.
    pub(crate) fn new(key_id: u32, first_counter: u64, anchor: u64, before: Option<Before>) -> Self {
        Self {
            key_id,
            first_counter: AtomicU64::new(first_counter),
            last_counter: AtomicU64::new(u64::MAX),
            is_served: AtomicBool::new(false),
            had_copies: AtomicBool::new(false),
            anchor: AtomicU64::new(anchor),
            before: before.map(|before| before.key_id),
            is_used: AtomicBool::new(false),
            before_ends_ns: AtomicU64::new(before.map_or(u64::MAX, |before| before.ends_ns)),
            marked: Mutex::default(),
            asked_ns: AtomicU64::new(0),
        }
    }

    /// Takes the root's report of its counter. Late ones change nothing.
    pub(crate) fn raise_anchor(&self, counter: u64) {
        self.anchor.fetch_max(counter, Ordering::Relaxed);
    }

    /// Takes the root's anchor. Where it answers a request that doubted a higher counter than the root's, those above the root's were made
    /// up: they count as not seen, and the anchor is the root's. Whether it is so.
    pub(crate) fn take_anchor(&self, anchor: &Anchor) -> bool {
        let mut marked = lock(&self.marked);
        let Some(window) = marked.window.as_mut().filter(|_| anchor.counter < anchor.answers) else {
            self.raise_anchor(anchor.counter);
            return false;
        };
        let lost = window.highest().saturating_sub(TreeWindow::WIDTH).min(anchor.counter);
        window.set_back(anchor.counter);
        marked
            .of_parents
            .iter_mut()
            .flat_map(|windows| windows.iter_mut())
            .for_each(|one| one.set_back(anchor.counter));
        marked.replays = 0;
        self.first_counter.fetch_max(lost + 1, Ordering::Relaxed);
        self.anchor.store(anchor.counter, Ordering::Relaxed);
        true
    }

    /// Is the root's anchor to be requested, now that a datagram of this counter was taken, or was not? The highest counter, where
    /// that is doubted, or 0.
    pub(crate) fn request(&self, counter: u64, taken: Result<(), Reason>, now_ns: u64) -> Option<u64> {
        let is_replay = taken == Err(Reason::TreeReplay) && counter >= self.first_counter.load(Ordering::Relaxed);
        let doubted = if is_replay { self.note_replay() } else { 0 };
        let beyond = counter.saturating_sub(self.anchor.load(Ordering::Relaxed));
        if doubted == 0 && beyond <= ASKED_AHEAD {
            return None;
        }
        self.may_ask(now_ns).then_some(doubted)
    }

    /// May a request leave now? Once in a while.
    pub(crate) fn may_ask(&self, now_ns: u64) -> bool {
        let asked_ns = self.asked_ns.load(Ordering::Relaxed);
        let is_due = asked_ns == 0 || now_ns.saturating_sub(asked_ns) >= ASKED_AGAIN_NS;
        let (relaxed, now_ns) = (Ordering::Relaxed, now_ns.max(1));
        is_due && self.asked_ns.compare_exchange(asked_ns, now_ns, relaxed, relaxed).is_ok()
    }

    /// Takes the root's report that lower counters came as copies. Where some did under this key, the tree has not served this node
    /// since it came into use, nor then under the one before, which is over.
    pub(crate) fn raise_first(&self, counter: u64) {
        self.first_counter.fetch_max(counter, Ordering::Relaxed);
        if counter > 1 {
            self.had_copies.store(true, Ordering::Relaxed);
        }
        if counter > self.last_counter.load(Ordering::Relaxed) {
            self.last_counter.store(u64::MAX, Ordering::Relaxed);
        }
        self.is_served.store(true, Ordering::Relaxed);
    }

    /// Takes the root's report that higher counters come as copies. One from before the tree served this node last changes nothing.
    pub(crate) fn set_last(&self, counter: u64) {
        if counter >= self.first_counter.load(Ordering::Relaxed) {
            self.last_counter.store(counter, Ordering::Relaxed);
            self.is_served.store(false, Ordering::Relaxed);
        }
    }

    /// Has the root said that the tree serves this node?
    pub(crate) fn is_served(&self) -> bool {
        self.is_served.load(Ordering::Relaxed)
    }

    /// May a datagram have this counter?
    pub(crate) fn admit(&self, counter: u64) -> Result<(), Reason> {
        let (first, last) = (self.first_counter.load(Ordering::Relaxed), self.last_counter.load(Ordering::Relaxed));
        if counter < first || counter > last {
            return Err(Reason::TreeReplay);
        }
        if counter.saturating_sub(self.anchor.load(Ordering::Relaxed)) > AHEAD_OF_ANCHOR {
            return Err(Reason::TreeAhead);
        }
        Ok(())
    }

    /// Is it a second copy, which one of two parents sends after the other? What comes by the same one again is a replay, as of a parent
    /// that is alone: who makes up counters is found by these.
    pub(crate) fn check_copy(&self, counter: u64, parent: usize) -> Result<(), Reason> {
        if counter.saturating_sub(self.anchor.load(Ordering::Relaxed)) > AHEAD_OF_ANCHOR {
            return Ok(());
        }
        let mut marked = lock(&self.marked);
        let is_seen = marked.window.as_ref().is_some_and(|window| !window.is_fresh(counter));
        let windows = marked.of_parents.get_or_insert_default();
        let is_first = windows.get_mut(parent).is_some_and(|window| window.mark(counter));
        if is_seen && is_first {
            Err(Reason::SecondCopy)
        } else {
            Ok(())
        }
    }

    /// Would the counter be new? Marks nothing: what is asked next may find the datagram forged.
    pub(crate) fn check_fresh(&self, counter: u64) -> Result<(), Reason> {
        let is_seen = lock(&self.marked).window.as_ref().is_some_and(|window| !window.is_fresh(counter));
        if is_seen {
            Err(Reason::TreeReplay)
        } else {
            Ok(())
        }
    }

    /// How many counters beyond one, up to another, came here, or cannot be new.
    pub(crate) fn seen(&self, low: u64, high: u64) -> u64 {
        let marked = lock(&self.marked);
        let is_fresh = |counter: u64| marked.window.as_ref().is_none_or(|window| window.is_fresh(counter));
        let by_tree = self.first_counter.load(Ordering::Relaxed)..=self.last_counter.load(Ordering::Relaxed);
        (low + 1..=high).filter(|counter| !by_tree.contains(counter) || !is_fresh(*counter)).count() as u64
    }

    /// Marks the counter of an authentic datagram.
    pub(crate) fn mark(&self, counter: u64, now_ns: u64) -> Result<(), Reason> {
        let mut marked = lock(&self.marked);
        if !marked.window.get_or_insert_default().mark(counter) {
            return Err(Reason::TreeReplay);
        }
        marked.replays = marked.replays.saturating_sub(1);
        drop(marked);
        self.note_use(now_ns);
        Ok(())
    }

    /// A counter came that was marked: the highest one, when there are so many that it is doubted, or 0.
    fn note_replay(&self) -> u64 {
        let mut marked = lock(&self.marked);
        marked.replays = (marked.replays + 1).min(DOUBTED_REPLAYS);
        let is_doubted = marked.replays == DOUBTED_REPLAYS;
        marked.window.as_ref().filter(|_| is_doubted).map_or(0, |window| window.highest())
    }

    /// Its root has used it since then.
    pub(crate) fn note_use(&self, since_ns: u64) {
        if !self.is_used() {
            self.is_used.store(true, Ordering::Relaxed);
            if self.before.is_none() {
                self.end_before(since_ns + RELAYED_KEY_NS);
            }
        }
    }

    /// The key before is over by then, or sooner.
    pub(crate) fn end_before(&self, at_ns: u64) {
        self.before_ends_ns.fetch_min(at_ns, Ordering::Relaxed);
    }

    /// Is an older key over? Who was away, or got no offer, may have one that is older than the one before.
    fn is_over(&self, key_id: u32, now_ns: u64) -> bool {
        self.before.is_some_and(|before| before != key_id)
            || self.had_copies.load(Ordering::Relaxed)
            || now_ns >= self.before_ends_ns.load(Ordering::Relaxed)
    }

    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }
}

/// A sender key that was accepted.
#[derive(Debug)]
pub(crate) struct MemberKey {
    /// The counters of datagrams that were opened.
    pub(crate) counters: KeyCounters,
    pub(crate) steps: MemberSteps,
}

impl MemberKey {
    pub(crate) fn new(key_id: u32, first_counter: u64, step: StepSecret, now_ns: u64, before: Before) -> Self {
        let anchor = first_counter.saturating_sub(1);
        let counters = KeyCounters::new(key_id, first_counter, anchor, Some(before));
        Self { counters, steps: MemberSteps::new(step, now_ns) }
    }
}

/// The counters of a key, alone or with it.
pub(crate) trait Keyed {
    fn counters(&self) -> &KeyCounters;
}

impl Keyed for KeyCounters {
    fn counters(&self) -> &KeyCounters {
        self
    }
}

impl Keyed for MemberKey {
    fn counters(&self) -> &KeyCounters {
        &self.counters
    }
}

/// The key in use, or known for use next, and the one before.
#[derive(Debug)]
pub(crate) struct NewestKeys<K> {
    current: Arc<K>,
    previous: Option<Arc<K>>,
}

impl<K: Keyed> NewestKeys<K> {
    pub(crate) fn new(first: K) -> Self {
        Self { current: Arc::new(first), previous: None }
    }

    /// The keys with a further one, or None where that changes nothing. The two with the highest ids are kept: what comes late
    /// displaces no newer key, and none comes back before one that was used. One of the same id is replaced.
    pub(crate) fn with(&self, key: K) -> Option<Self> {
        let (current, key_id) = (&self.current, key.counters().key_id);
        let current_id = current.counters().key_id;
        if key_id > current_id {
            return Some(Self { current: Arc::new(key), previous: Some(current.clone()) });
        }
        if key_id == current_id {
            return Some(Self { current: Arc::new(key), previous: self.previous.clone() });
        }
        let newest = self.previous.as_ref().is_none_or(|previous| previous.counters().key_id <= key_id);
        let late = newest && !current.counters().is_used();
        late.then(|| Self { current: current.clone(), previous: Some(Arc::new(key)) })
    }

    /// The newest one.
    pub(crate) fn newest(&self) -> &K {
        &self.current
    }

    /// The key of this id, while it lives.
    pub(crate) fn find(&self, key_id: u32, now_ns: u64) -> Result<&K, Reason> {
        let current = self.current.counters();
        if current.key_id == key_id {
            return Ok(&self.current);
        }
        let previous = self.previous.as_deref().filter(|key| key.counters().key_id == key_id);
        previous.filter(|_| !current.is_over(key_id, now_ns)).ok_or(Reason::TreeKeyUnknown)
    }

    /// The key of this id, whether or not it lives.
    pub(crate) fn get(&self, key_id: u32) -> Option<&K> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.counters().key_id == key_id)
            .map(|key| &**key)
    }
}
