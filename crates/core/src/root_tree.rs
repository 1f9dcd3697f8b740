//! Trees rooted here: they seal for their members and offer them their keys (docs/protocol.md sections 5 and 6).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::anchor::{Anchor, CounterRange, ANCHOR_DATAGRAMS, ANCHOR_INTERVAL};
use crate::broadcast_signature::{Signer, SigningKey, SIGNATURE_LEN};
use crate::datagram::{tree_associated, DatagramLimit, Inner, StreamName, TreeHeader, TreeName};
use crate::datagram::{INNER_LEN, LARGEST_UNDERLAY_MTU, MAX_DATAGRAM_LEN, TREE_HEADER_LEN, TREE_OVERHEAD};
pub use crate::hops::Hops;
use crate::key_steps::StepSecret;
use crate::reason::Reason;
pub use crate::sender_key::{Generation, SenderKey};
use crate::served_counters::ServedCounters;
use crate::session::lock;
use crate::tree_mark::TreeMark;
use crate::tree_state::{self, TreePlace};
use crate::tree_tag::TreeKey;

/// Where the body of a tree datagram starts.
pub const TREE_BODY_OFFSET: usize = TREE_HEADER_LEN + INNER_LEN;
/// The longest context of a sender key offer.
pub const MAX_CONTEXT_LEN: usize = 64;
/// A sender key is to be replaced when it has sealed so many datagrams. Of 8,952 bytes each, they stay below the 2^34.5
/// blocks that RFC 8446 section 5.5 allows AES-GCM.
pub const KEY_DATAGRAMS: u64 = 1 << 25;
/// A sender key seals no more than so many (section 6).
pub const KEY_LIMIT: u64 = 1 << 30;
/// The datagrams after which it is reported again.
const REPORT_AGAIN: u64 = 1 << 20;
/// The body of an offer without its context.
pub(crate) const OFFER_LEN: usize = 4 + 4 + 1 + 1 + 2 + 8 + 32 + 4 + 2;

/// The key before one that is offered, as the offer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBefore {
    /// Its id; 0: there is none. Older ones are over.
    pub key_id: u32,
    /// How long the receiver may take what comes under it.
    pub ends_ms: u16,
}

/// The members of a tree at one moment, and the key and epoch in use.
#[derive(Debug)]
pub struct Members {
    /// The nodes that get it.
    pub hops: Hops,
    /// The smallest MTU of the underlays of those that the tree serves.
    pub underlay_mtu: usize,
    generation: Arc<Generation>,
    /// Nodes that the tree did not serve before, or serves no more, get an anchor first.
    pub served: ServedCounters,
}

impl Members {
    fn new(hops: Hops, underlay_mtu: usize, generation: Arc<Generation>) -> Self {
        Self { hops, underlay_mtu, generation, served: ServedCounters::nobody() }
    }

    /// All that get a copy.
    pub fn copied(&self) -> impl Iterator<Item = &u32> {
        self.hops.replicate.iter().chain(&*self.hops.routed)
    }

    /// Does nobody get it?
    pub fn is_empty(&self) -> bool {
        self.hops.next_hops.is_empty() && self.copied().next().is_none()
    }

    /// The sender key in use.
    pub fn key_id(&self) -> u32 {
        self.generation.key.key_id
    }

    /// The tree by which it goes.
    pub fn tree(&self) -> TreeName {
        self.generation.tree
    }
}

/// A tree rooted here.
#[derive(Debug)]
pub struct RootTree {
    /// Root (this node) and stream.
    pub name: StreamName,
    /// The members now; a reader seals for this snapshot and sends to it, whatever changes meanwhile.
    pub members: ArcSwap<Members>,
    waiting: Mutex<Option<Arc<Generation>>>,
    signer: Option<Signer>,
    cut: AtomicU32,
    report_at: AtomicU64,
}

/// Reports about a tree for Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealingReport {
    /// Its first frame has come.
    Used,
    /// The key of this id, in use, has sealed enough.
    KeyWorn(u32),
}

impl RootTree {
    /// A tree without members. `key`: signs what goes down that of broadcast.
    pub fn new(first: Generation, key: &SigningKey) -> Self {
        let name = first.tree.stream_name();
        let nobody = Members::new(Hops::default(), LARGEST_UNDERLAY_MTU, Arc::new(first));
        Self {
            name,
            members: ArcSwap::from_pointee(nobody),
            waiting: Mutex::default(),
            signer: name.is_broadcast().then(|| Signer::new(key)),
            cut: AtomicU32::new(0),
            report_at: AtomicU64::new(0),
        }
    }

    /// The key of these members takes the step that is due.
    pub fn advance(&self, members: &Members, now_ns: u64) {
        members.generation.key.steps.advance(now_ns);
    }

    /// The report that is due as a frame takes the tree to these members: its first use, then each wear of their key.
    pub fn report(&self, members: &Members) -> Option<SealingReport> {
        let key = &members.generation.key;
        let (at, sealed) = (self.report_at.load(Ordering::Relaxed), key.sealed.load(Ordering::Relaxed));
        if sealed < at {
            return None;
        }
        let next = if at == 0 { sealed + KEY_DATAGRAMS } else { sealed + REPORT_AGAIN };
        self.report_at.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(if at == 0 { SealingReport::Used } else { SealingReport::KeyWorn(key.key_id) })
    }

    /// The key in use is worn when it has sealed so many datagrams.
    pub fn set_worn_at(&self, sealed: u64) {
        self.report_at.store(sealed, Ordering::Relaxed);
    }

    /// Other members, or others of them who hold the key. One writer at a time.
    pub(crate) fn set_members(&self, hops: Hops, underlay_mtu: usize) {
        let before = self.members.load();
        let sealed = before.generation.key.sealed.load(Ordering::Relaxed);
        let served = ServedCounters::new(&before.hops, &hops, &before.served, sealed);
        let members = Members::new(hops, underlay_mtu, before.generation.clone());
        self.members.store(Arc::new(Members { served, ..members }));
    }

    /// The anchor that is due before these members get more, and who gets it, each with its first counter: now and then all next
    /// hops, and who is served anew.
    pub fn anchor<'m>(&self, members: &'m Members) -> (Anchor, impl Iterator<Item = (u32, CounterRange)> + 'm) {
        let Generation { tree, key, .. } = &*members.generation;
        let (counter, last) = (key.sealed.load(Ordering::Relaxed), key.anchored.load(Ordering::Relaxed));
        let due = counter >= last + ANCHOR_INTERVAL
            && key.anchored.compare_exchange(last, counter, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let all = if due { &*members.hops.next_hops } else { &[] };
        let again = all.iter().map(|node| (*node, CounterRange::default()));
        (Anchor::at(*tree, key.key_id, counter), again.chain(members.served.due(counter)))
    }

    /// How far the key is that came into use just now, and whom it serves: they learn from it that the one before is over, also
    /// where nothing follows.
    pub fn anchor_now(&self, now_ns: u64) -> (Anchor, Arc<Members>) {
        let members = self.members.load_full();
        members.generation.key.used_ns.store(now_ns.max(1), Ordering::Relaxed);
        (members.generation.anchor(now_ns), members)
    }

    /// How far the key in use is, for a node of its tree that has requested it.
    pub(crate) fn answer(&self, node: u32, asked: &TreeMark, now_ns: u64) -> Option<Anchor> {
        let members = self.members.load();
        let anchor = members.generation.anchor(now_ns);
        let is_on_tree = members.hops.next_hops.contains(&node) || members.hops.beyond.contains(&node);
        let first_counter = if is_on_tree { members.served.first(node, anchor.counter) } else { 0 };
        let is_member = members.hops.all().any(|member| member == node);
        is_member.then_some(Anchor { answers: asked.counter, first_counter, ..anchor })
    }

    /// The same once more, of a key that took another one's place; None where what followed shows it.
    pub fn anchor_again(&self, now_ns: u64) -> Option<(Anchor, Arc<Members>)> {
        let members = self.members.load_full();
        let anchor = members.generation.anchor(now_ns);
        let is_of_next = members.generation.key.used_ns.load(Ordering::Relaxed) != 0;
        (is_of_next && anchor.counter < ANCHOR_DATAGRAMS).then_some((anchor, members))
    }

    /// The same for those that the tree serves anew, also where no datagram follows; None while the key in use is the first one, and
    /// has sealed nothing.
    pub fn anchor_anew(&self, now_ns: u64) -> Option<(Anchor, Arc<Members>)> {
        let members = self.members.load_full();
        let anchor = members.generation.anchor(now_ns);
        (anchor.counter != 0).then_some((anchor, members)).or_else(|| self.anchor_again(now_ns))
    }

    /// Bytes of a datagram around its body.
    pub fn overhead(&self) -> usize {
        TREE_OVERHEAD + if self.signer.is_some() { SIGNATURE_LEN } else { 0 }
    }

    /// Does what it seals go in the sessions of the next hops?
    pub fn is_wrapped(&self) -> bool {
        self.name.is_broadcast()
    }

    /// May it seal another datagram, which it has to sign? One that needs no signature may always go.
    pub fn admit(&self, now_ns: impl FnOnce() -> u64) -> Result<(), Reason> {
        self.signer.as_ref().map_or(Ok(()), |signer| signer.admit(now_ns()))
    }

    /// Seals the body that lies at [`TREE_BODY_OFFSET`] of `buffer` for these members; returns the datagram's length.
    pub fn seal(&self, members: &Members, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason> {
        let length = body_len + self.overhead();
        if length > MAX_DATAGRAM_LEN {
            return Err(Reason::TooBig);
        }
        let datagram = buffer.get_mut(..length).ok_or(Reason::TooBig)?;
        let Generation { tree, tree_key, key } = &*members.generation;
        if key.sealed.load(Ordering::Relaxed) >= KEY_LIMIT {
            return Err(Reason::TreeExhausted);
        }
        let counter = key.sealed.fetch_add(1, Ordering::Relaxed) + 1;
        let (sealed, tag) = datagram.split_last_chunk_mut().ok_or(Reason::TooBig)?;
        let (header, rest) = sealed.split_first_chunk_mut().ok_or(Reason::TooBig)?;
        let step = key.steps.current.load();
        let (step_number, signed) = (step.secret.number, self.signer.is_some());
        *header = TreeHeader { tree: *tree, key_id: key.key_id, step: step_number, counter, signed }.emit();
        *rest.first_chunk_mut().ok_or(Reason::TooBig)? = inner.emit();
        let associated = tree_associated(header);
        self.signer.as_ref().map_or(Ok(()), |signer| signer.sign(&associated, rest))?;
        let sealed_with = step.key().map_err(|_| Reason::TreeExhausted)?;
        sealed_with.seal_under(counter, &associated, rest).map_err(|_| Reason::TooBig)?;
        *tag = tree_key.tag(sealed).ok_or(Reason::TooBig)?;
        Ok(length)
    }

    /// Is there more of the key in use than its secret?
    pub fn has_key_made(&self) -> bool {
        self.members.load().generation.key.is_made()
    }

    /// Counts as if the key in use had sealed so many datagrams.
    pub fn set_sealed(&self, datagrams: u64) {
        self.members.load().generation.key.set_sealed(datagrams);
    }

    /// The id of the next frame that goes in parts.
    pub fn next_fragment_id(&self) -> u32 {
        self.cut.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a key and its tree for [`RootTree::use_key`]; older ones that wait are dropped.
    pub fn set_waiting(&self, generation: Generation) {
        *lock(&self.waiting) = Some(Arc::new(generation));
    }

    /// Seals with the waiting key for those who look from now on; false when none of that id waits. One writer at a time.
    pub(crate) fn use_key(&self, key_id: u32) -> bool {
        let mut waiting = lock(&self.waiting);
        let members = self.members.load();
        match waiting.take_if(|generation| generation.key.key_id == key_id) {
            Some(generation) => {
                if self.report_at.load(Ordering::Relaxed) != 0 {
                    self.set_worn_at(KEY_DATAGRAMS);
                }
                self.members.store(Arc::new(Members::new(members.hops.clone(), members.underlay_mtu, generation)));
                true
            }
            None => members.generation.key.key_id == key_id,
        }
    }

    /// The one in use, or the one that waits, if it is the one.
    fn find(&self, is_it: impl Fn(&Generation) -> bool) -> Option<Arc<Generation>> {
        let waiting = lock(&self.waiting).clone().filter(|generation| is_it(generation));
        waiting.or_else(|| Some(self.members.load().generation.clone()).filter(|generation| is_it(generation)))
    }

    /// The body of an offer of the current or the waiting key, at the step that is due; None when the id is neither's or the context too long.
    pub fn offer(&self, key_id: u32, before: KeyBefore, context: &[u8], now_ns: u64) -> Option<Zeroizing<Vec<u8>>> {
        let generation = self.find(|generation| generation.key.key_id == key_id)?;
        let key = &generation.key;
        if context.len() > MAX_CONTEXT_LEN {
            return None;
        }
        key.steps.advance(now_ns);
        let step = key.steps.current.load();
        let StepSecret { number, aead, secret } = &step.secret;
        let first_counter = key.sealed.load(Ordering::Relaxed) + 1;
        let mut body = Zeroizing::new(Vec::with_capacity(OFFER_LEN + MAX_CONTEXT_LEN));
        body.extend_from_slice(&self.name.stream.to_be_bytes());
        body.extend_from_slice(&key_id.to_be_bytes());
        body.extend_from_slice(&[*aead as u8, 0]);
        body.extend_from_slice(&number.to_be_bytes());
        body.extend_from_slice(&first_counter.to_be_bytes());
        body.extend_from_slice(secret.as_slice());
        body.extend_from_slice(&before.key_id.to_be_bytes());
        body.extend_from_slice(&before.ends_ms.to_be_bytes());
        body.extend_from_slice(context);
        Some(body)
    }

    /// The body of a state of the current or the waiting tree for a node at this place; None when the epoch is neither's. A node that
    /// is on the tree no more gets no tree key.
    pub fn state(&self, epoch: u32, place: &TreePlace) -> Option<Zeroizing<Vec<u8>>> {
        let generation = self.find(|generation| generation.tree.epoch == epoch)?;
        let Generation { tree, tree_key, key } = &*generation;
        let limit = DatagramLimit::on_underlay(self.members.load().underlay_mtu).unwrap_or(DatagramLimit::SHORTEST);
        let sealed = key.sealed.load(Ordering::Relaxed);
        let nothing = TreeKey::new([0; 16]);
        let tree_key = if place.parent == 0 { &nothing } else { tree_key };
        Some(tree_state::emit(*tree, key.key_id, sealed, limit.datagram_len(), tree_key, place))
    }
}
