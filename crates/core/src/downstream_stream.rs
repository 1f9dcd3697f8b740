//! A stream of another root at a node of its trees: its keys, and which counters came, by whichever tree (docs/protocol.md
//! sections 5 and 6). A subscriber has its sender keys, a relay the counters of what went on.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwapOption;
use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::anchor::Anchor;
use crate::broadcast_signature::{SignatureChecks, SIGNATURE_LEN};
use crate::counters::Volume;
use crate::datagram::{array_at, tree_associated, u16_at, u32_at, u64_at};
use crate::datagram::{StreamName, TreeHeader, MIN_TREE_LEN, TREE_ASSOCIATED_LEN, TREE_TAG_LEN};
use crate::key_flow::KeyFlow;
use crate::key_steps::StepSecret;
use crate::member_key::{Before, KeyCounters, Keyed, MemberKey, NewestKeys, KEY_OVERLAP_NS};
use crate::reason::Reason;
use crate::replay::TreeWindow;
use crate::root_tree::{MAX_CONTEXT_LEN, OFFER_LEN};

/// A sender key that a root gave us and Python has not judged yet.
#[derive(Debug)]
pub struct KeyOffer {
    /// The stream, of the peer that sent it.
    pub stream: StreamName,
    /// The key's id.
    pub key_id: u32,
    /// The root's word for its use; Python reads it.
    pub context: Vec<u8>,
    first_counter: u64,
    step: StepSecret,
    came_ns: u64,
    before: Before,
}

impl KeyOffer {
    /// Reads the body of a session datagram of kind 2 from `root`, which came at `came_ns`.
    pub fn parse(root: u32, body: &[u8], came_ns: u64) -> Result<Self, Reason> {
        let malformed = Reason::KeyMalformed;
        let stream = StreamName { root, stream: u32_at(body, 0).ok_or(malformed)? };
        let key_id = u32_at(body, 4).ok_or(malformed)?;
        let [aead, 0] = array_at(body, 8).ok_or(malformed)? else { return Err(malformed) };
        let number = u16_at(body, 10).ok_or(malformed)?;
        let first_counter = u64_at(body, 12).ok_or(malformed)?;
        let secret = Zeroizing::new(array_at(body, 20).ok_or(malformed)?);
        let before_ends_ms = u16_at(body, 56).ok_or(malformed)?;
        let before = Before {
            key_id: u32_at(body, 52).ok_or(malformed)?,
            ends_ns: came_ns + u64::from(before_ends_ms) * 1_000_000,
        };
        let context = body.get(OFFER_LEN..).filter(|context| context.len() <= MAX_CONTEXT_LEN).ok_or(malformed)?;
        let aead = Aead::from_number(aead).ok_or(malformed)?;
        let step = StepSecret { number, aead, secret };
        Ok(Self { stream, key_id, context: context.to_vec(), first_counter, step, came_ns, before })
    }
}

/// No request for an anchor is due.
const NO_REQUEST: u64 = u64::MAX;

/// A stream of another root.
#[derive(Debug)]
pub struct DownstreamStream {
    /// Root and stream.
    pub name: StreamName,
    /// Authentic and fresh datagrams, and their bytes.
    pub rx: Volume,
    /// The frames that its keys are for, as the first was taken.
    pub(crate) flow: OnceLock<KeyFlow>,
    /// The sender keys of a subscriber.
    keys: ArcSwapOption<NewestKeys<MemberKey>>,
    /// The counters of datagrams that went on: who holds the tree key alone can mark these only.
    relayed: ArcSwapOption<NewestKeys<KeyCounters>>,
    /// How often the root had got a route when that last reported that the tree serves this node.
    served_since: AtomicU32,
    /// Checks of broadcast's signatures.
    pub(crate) signatures: Option<Box<SignatureChecks>>,
    /// The request for its anchor that is due: the counter that is doubted, 0, or [`NO_REQUEST`].
    request: AtomicU64,
    /// The epochs of the trees by which it comes here, the lower one first.
    pub(crate) epochs: Mutex<Vec<u32>>,
    /// The highest epoch by which anything came.
    newest_epoch: AtomicU32,
    /// The newest key that this node had when it subscribed again, and the time at which that and older ones are over, unless the root
    /// confirms them; [`u64::MAX`]: it has.
    doubted_key: AtomicU32,
    doubted_until_ns: AtomicU64,
}

impl DownstreamStream {
    pub(crate) fn new(name: StreamName) -> Self {
        Self {
            name,
            rx: Volume::default(),
            flow: OnceLock::new(),
            keys: ArcSwapOption::empty(),
            relayed: ArcSwapOption::empty(),
            served_since: AtomicU32::new(u32::MAX),
            signatures: name.is_broadcast().then(Box::default),
            request: AtomicU64::new(NO_REQUEST),
            epochs: Mutex::default(),
            newest_epoch: AtomicU32::new(0),
            doubted_key: AtomicU32::new(0),
            doubted_until_ns: AtomicU64::new(u64::MAX),
        }
    }

    /// Something came by its tree of this epoch.
    pub(crate) fn note_epoch(&self, epoch: u32) {
        if self.newest_epoch.load(Ordering::Relaxed) < epoch {
            self.newest_epoch.fetch_max(epoch, Ordering::Relaxed);
        }
    }

    /// Has the root begun with a tree after this epoch's? Nothing more is to come by that one.
    pub(crate) fn is_superseded(&self, epoch: u32) -> bool {
        self.newest_epoch.load(Ordering::Relaxed) > epoch
    }

    /// Does this node hold a key of it?
    pub fn is_subscribed(&self) -> bool {
        self.keys.load().is_some()
    }

    /// This node subscribes again: its keys are over then, unless the root has confirmed them. Who has left meanwhile may have them.
    pub(crate) fn doubt_keys(&self, until_ns: u64) {
        if let Some(keys) = self.keys.load().as_ref() {
            self.doubted_key.store(keys.newest().counters.key_id, Ordering::Relaxed);
            self.doubted_until_ns.store(until_ns, Ordering::Relaxed);
        }
    }

    /// Is the root to be queried for their confirmation, which it has not given yet? Once in a while.
    pub(crate) fn may_query_keys(&self, now_ns: u64) -> bool {
        let is_doubted = self.doubted_until_ns.load(Ordering::Relaxed) != u64::MAX;
        is_doubted && self.keys.load().as_ref().is_some_and(|keys| keys.newest().counters.may_ask(now_ns))
    }

    fn confirm_keys(&self) {
        self.doubted_until_ns.store(u64::MAX, Ordering::Relaxed);
    }

    fn is_over(&self, key_id: u32, now_ns: u64) -> bool {
        now_ns >= self.doubted_until_ns.load(Ordering::Relaxed) && key_id <= self.doubted_key.load(Ordering::Relaxed)
    }

    /// Takes a further key, or a later first counter and step of one that it has. A root that was restarted and names another
    /// key so has another one. Whether it holds that key now.
    pub(crate) fn accept(&self, offer: KeyOffer) -> bool {
        let keys = self.keys.load();
        let KeyOffer { key_id, first_counter, step, came_ns, before, .. } = offer;
        let known = keys.as_ref().and_then(|keys| keys.get(key_id));
        if key_id == self.doubted_key.load(Ordering::Relaxed) {
            self.confirm_keys();
        }
        if let Some(key) = known.filter(|key| key.steps.continue_to(&step)) {
            key.counters.raise_anchor(first_counter.saturating_sub(1));
            key.counters.end_before(before.ends_ns);
            key.steps.raise(step, came_ns);
            return true;
        }
        put(&self.keys, MemberKey::new(key_id, first_counter, step, came_ns, before))
    }

    /// Datagrams under this key go on from here; `counter`: its anchor.
    pub(crate) fn relay(&self, key_id: u32, counter: u64) {
        match self.relayed.load().as_ref().and_then(|keys| keys.get(key_id)) {
            Some(known) => known.raise_anchor(counter),
            None => {
                put(&self.relayed, KeyCounters::new(key_id, 0, counter, None));
            }
        }
    }

    /// This node subscribes no more: the keys are gone.
    pub(crate) fn forget_keys(&self) {
        self.keys.store(None);
        self.confirm_keys();
    }

    /// Takes news of a key in use, and from the root itself of its counter and of the end of the key before. Whether counters above
    /// that counter were made up.
    pub(crate) fn raise_anchor(&self, anchor: &Anchor, of_root: bool, now_ns: u64) -> bool {
        let used_ns = now_ns.saturating_sub(u64::from(anchor.in_use_ms) * 1_000_000);
        let mut is_set_back = false;
        let mut raise = |counters: &KeyCounters| {
            // Another parent may make up a counter, and a time.
            is_set_back |= of_root && counters.take_anchor(anchor);
            if of_root {
                counters.end_before(used_ns + KEY_OVERLAP_NS);
            }
            counters.note_use(if of_root { used_ns } else { now_ns });
        };
        if let Some(key) = self.keys.load().as_ref().and_then(|keys| keys.get(anchor.key_id)) {
            raise(&key.counters);
        }
        if let Some(known) = self.relayed.load().as_ref().and_then(|keys| keys.get(anchor.key_id)) {
            raise(known);
        }
        is_set_back
    }

    /// Takes the root's word that the tree serves this node from a counter of a key on. `routes_set`: of the path to it.
    pub(crate) fn serve(&self, anchor: &Anchor, routes_set: u32) {
        self.served_since.store(routes_set, Ordering::Relaxed);
        self.confirm_keys();
        if let Some(key) = self.keys.load().as_ref().and_then(|keys| keys.get(anchor.key_id)) {
            key.counters.raise_first(anchor.first_counter);
        }
        if let Some(known) = self.relayed.load().as_ref().and_then(|keys| keys.get(anchor.key_id)) {
            known.raise_first(anchor.first_counter);
        }
    }

    /// Takes the root's word that the tree serves this node up to a counter of a key, and that it gets copies then.
    pub(crate) fn serve_to(&self, anchor: &Anchor) {
        if let Some(key) = self.keys.load().as_ref().and_then(|keys| keys.get(anchor.key_id)) {
            key.counters.set_last(anchor.last_counter);
        }
        if let Some(known) = self.relayed.load().as_ref().and_then(|keys| keys.get(anchor.key_id)) {
            known.set_last(anchor.last_counter);
        }
    }

    /// Has the root reported that the tree of a key serves this node?
    pub(crate) fn is_served_by(&self, key_id: u32) -> bool {
        let (keys, relayed) = (self.keys.load(), self.relayed.load());
        let of_key = keys.as_ref().and_then(|keys| keys.get(key_id)).map(Keyed::counters);
        let counters = of_key.or_else(|| relayed.as_ref().and_then(|keys| keys.get(key_id)));
        counters.is_some_and(KeyCounters::is_served)
    }

    /// Has the root reported that since its route changed last?
    pub(crate) fn is_served_since(&self, routes_set: u32) -> bool {
        self.served_since.load(Ordering::Relaxed) == routes_set
    }

    /// Has a datagram come by the other one of two parents, and not by this one? `relays`: on its tree.
    pub(crate) fn check_copy(&self, header: &TreeHeader, parent: usize, relays: bool) -> Result<(), Reason> {
        let (keys, relayed) = (self.keys.load(), self.relayed.load());
        let counters = match keys.as_ref().filter(|_| !relays) {
            Some(keys) => keys.get(header.key_id).map(Keyed::counters),
            None => relayed.as_ref().and_then(|keys| keys.get(header.key_id)),
        };
        counters.map_or(Ok(()), |counters| counters.check_copy(header.counter, parent))
    }

    /// Marks a datagram that goes on as it came.
    pub(crate) fn pass(&self, header: &TreeHeader, now_ns: u64) -> Result<(), Reason> {
        let keys = self.relayed.load();
        let known = keys.as_ref().ok_or(Reason::TreeKeyUnknown)?.find(header.key_id, now_ns)?;
        let taken = known.admit(header.counter).and_then(|()| known.mark(header.counter, now_ns));
        self.note_request(known.request(header.counter, taken, now_ns));
        taken
    }

    /// How many of a key's counters beyond one, up to another, came: to a subscriber what it opened, to a relay what went on. All, where
    /// it holds no such key. No more than a window has are looked at.
    pub(crate) fn seen(&self, key_id: u32, low: u64, high: u64) -> u64 {
        let low = low.max(high.saturating_sub(TreeWindow::WIDTH));
        let (keys, relayed) = (self.keys.load(), self.relayed.load());
        let counters = match keys.as_ref() {
            Some(keys) => keys.get(key_id).map(Keyed::counters),
            None => relayed.as_ref().and_then(|keys| keys.get(key_id)),
        };
        counters.map_or(high - low, |counters| counters.seen(low, high))
    }

    /// The request that is due to the root, for its anchor: the counter that is doubted, or 0.
    pub(crate) fn take_request(&self) -> Option<u64> {
        let doubted = Some(self.request.load(Ordering::Relaxed)).filter(|doubted| *doubted != NO_REQUEST)?;
        self.request.store(NO_REQUEST, Ordering::Relaxed);
        Some(doubted)
    }

    fn note_request(&self, doubted: Option<u64>) {
        if let Some(doubted) = doubted {
            self.request.store(doubted, Ordering::Relaxed);
        }
    }

    /// Opens a datagram in place, tree tag included, and marks it; the plaintext starts behind the header. `verify`: its length
    /// without a signature, when that is right.
    pub(crate) fn open<'a>(
        &self,
        header: &TreeHeader,
        datagram: &'a mut [u8],
        now_ns: u64,
        verify: impl FnOnce(&[u8; TREE_ASSOCIATED_LEN], &[u8]) -> Result<usize, Reason>,
    ) -> Result<&'a mut [u8], Reason> {
        let keys = self.keys.load();
        let key = keys.as_ref().ok_or(Reason::TreeNotDelivered)?.find(header.key_id, now_ns)?;
        if self.is_over(header.key_id, now_ns) {
            return Err(Reason::TreeKeyUnknown);
        }
        let opened = self.open_under(key, header, datagram, now_ns, verify);
        let taken = opened.as_ref().map(|_| ()).map_err(|reason| *reason);
        self.note_request(key.counters.request(header.counter, taken, now_ns));
        opened
    }

    fn open_under<'a>(
        &self,
        key: &MemberKey,
        header: &TreeHeader,
        datagram: &'a mut [u8],
        now_ns: u64,
        verify: impl FnOnce(&[u8; TREE_ASSOCIATED_LEN], &[u8]) -> Result<usize, Reason>,
    ) -> Result<&'a mut [u8], Reason> {
        key.counters.admit(header.counter)?;
        let (sealed, _) = datagram.split_last_chunk_mut::<TREE_TAG_LEN>().ok_or(Reason::DatagramShort)?;
        let (head, text) = sealed.split_first_chunk_mut().ok_or(Reason::DatagramShort)?;
        let associated = tree_associated(head);
        let plaintext = key.steps.open(header.step, now_ns, |key| key.open_under(header.counter, &associated, text))?;
        if self.signatures.is_some() {
            key.counters.check_fresh(header.counter)?; // who repeats one costs no check of a signature
        }
        let length = verify(&associated, plaintext)?;
        key.counters.mark(header.counter, now_ns)?;
        plaintext.get_mut(..length).ok_or(Reason::InnerMalformed)
    }

    /// Counts the frame in a datagram of this length.
    pub(crate) fn count(&self, datagram_len: usize) {
        let signature_len = if self.signatures.is_some() { SIGNATURE_LEN } else { 0 };
        self.rx.add(1, datagram_len.saturating_sub(MIN_TREE_LEN + signature_len) as u64);
    }
}

/// Whether the key is kept. One writer at a time.
fn put<K: Keyed>(keys: &ArcSwapOption<NewestKeys<K>>, key: K) -> bool {
    let with = match keys.load().as_ref() {
        Some(keys) => keys.with(key),
        None => Some(NewestKeys::new(key)),
    };
    let is_kept = with.is_some();
    if let Some(with) = with {
        keys.store(Some(Arc::new(with)));
    }
    is_kept
}
