//! Trees: those rooted here, which seal, and those of other roots, which open and relay (sections 5 and 6).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::aead::{Aead, AeadKey};
use crate::counters::Volume;
use crate::datagram::LARGEST_UNDERLAY_MTU;
use crate::datagram::{array_at, u32_at, u64_at, Inner, TreeHeader, TreeName};
use crate::datagram::{AEAD_TAG_LEN, INNER_LEN, MAX_DATAGRAM_LEN, MIN_TREE_LEN, TREE_HEADER_LEN, TREE_TAG_LEN};
use crate::reason::Reason;
use crate::replay::TreeWindow;
use crate::session::lock;
use crate::tree_tag::TreeKey;

/// Where the body of a tree datagram starts.
pub const TREE_BODY_OFFSET: usize = TREE_HEADER_LEN + INNER_LEN;
/// The longest context of a sender key offer.
pub const MAX_CONTEXT_LEN: usize = 64;
/// A sender key is to be replaced when it has sealed so many datagrams. Of 8,952 bytes each, they stay below the 2^34.5
/// blocks that RFC 8446 section 5.5 allows AES-GCM.
pub const KEY_DATAGRAMS: u64 = 1 << 25;
/// After so many more it is reported again.
const REPORT_AGAIN: u64 = 1 << 20;
const OFFER_LEN: usize = 4 + 4 + 4 + 1 + 3 + 8 + 16 + 32;

/// A sender key at its root.
pub struct SenderKey {
    /// Its id, unique in the tree.
    pub key_id: u32,
    aead: Aead,
    secret: Zeroizing<[u8; 32]>,
    seal: AeadKey,
}

impl SenderKey {
    /// From 32 random bytes.
    pub fn new(key_id: u32, aead: Aead, secret: Zeroizing<[u8; 32]>) -> Option<Self> {
        let seal = AeadKey::new(aead, &secret).ok()?;
        Some(Self { key_id, aead, secret, seal })
    }
}

impl std::fmt::Debug for SenderKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SenderKey({})", self.key_id)
    }
}

/// Who gets what this tree carries, and under which key, at one moment. Disjoint lists of node indices.
#[derive(Debug)]
pub struct Members {
    /// They get the tree datagram.
    pub next_hops: Box<[u32]>,
    /// They get a session-sealed copy.
    pub replicate: Box<[u32]>,
    /// The smallest MTU of the next hops' underlays.
    pub underlay_mtu: usize,
    key: Arc<SenderKey>,
}

impl Members {
    /// Nobody?
    pub fn is_empty(&self) -> bool {
        self.next_hops.is_empty() && self.replicate.is_empty()
    }
}

/// A list of node indices without one.
pub(crate) fn without(list: &[u32], gone: u32) -> Box<[u32]> {
    list.iter().copied().filter(|node| *node != gone).collect()
}

/// A tree rooted here.
#[derive(Debug)]
pub struct RootTree {
    /// Root (this node), id, epoch.
    pub name: TreeName,
    /// Who is a member now; a reader seals for this snapshot and sends to it, whatever changes meanwhile.
    pub members: ArcSwap<Members>,
    tree_key: TreeKey,
    waiting: Mutex<Option<Arc<SenderKey>>>,
    sealed: AtomicU64,
    cut: AtomicU32,
    report_at: AtomicU64,
}

/// What Python is to hear of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeReport {
    /// Its first frame has come.
    Used,
    /// The key of this id, in use, has sealed enough.
    KeyWorn(u32),
}

impl RootTree {
    /// A tree without members.
    pub fn new(name: TreeName, tree_key: TreeKey, key: SenderKey) -> Self {
        let nobody = Members {
            next_hops: Box::default(),
            replicate: Box::default(),
            underlay_mtu: LARGEST_UNDERLAY_MTU,
            key: Arc::new(key),
        };
        Self {
            name,
            members: ArcSwap::from_pointee(nobody),
            tree_key,
            waiting: Mutex::default(),
            sealed: AtomicU64::new(0),
            cut: AtomicU32::new(0),
            report_at: AtomicU64::new(0),
        }
    }

    /// What is to be reported as a frame takes the tree: its first use, then each wear of a key, again while that is in use.
    pub fn report(&self) -> Option<TreeReport> {
        let (at, sealed) = (self.report_at.load(Ordering::Relaxed), self.sealed.load(Ordering::Relaxed));
        if sealed < at {
            return None;
        }
        let next = if at == 0 { sealed + KEY_DATAGRAMS } else { sealed + REPORT_AGAIN };
        self.report_at.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(if at == 0 { TreeReport::Used } else { TreeReport::KeyWorn(self.members.load().key.key_id) })
    }

    /// The key in use is worn when the tree has sealed so many datagrams in all.
    pub fn set_worn_at(&self, sealed: u64) {
        self.report_at.store(sealed, Ordering::Relaxed);
    }

    /// Other members, or others of them who hold the key. One writer at a time.
    pub(crate) fn set_members(&self, next_hops: Box<[u32]>, replicate: Box<[u32]>, underlay_mtu: usize) {
        let key = self.members.load().key.clone();
        self.members.store(Arc::new(Members { next_hops, replicate, underlay_mtu, key }));
    }

    /// Seals the body that lies at [`TREE_BODY_OFFSET`] of `buffer` for these members; returns the datagram's length.
    pub fn seal(&self, members: &Members, inner: Inner, body_len: usize, buffer: &mut [u8]) -> Result<usize, Reason> {
        let sealed_len = TREE_BODY_OFFSET + body_len + AEAD_TAG_LEN;
        let length = sealed_len + TREE_TAG_LEN;
        if length > MAX_DATAGRAM_LEN {
            return Err(Reason::TooBig);
        }
        let datagram = buffer.get_mut(..length).ok_or(Reason::TooBig)?;
        let key = &members.key;
        let counter = self.sealed.fetch_add(1, Ordering::Relaxed) + 1;
        let (sealed, tag) = datagram.split_last_chunk_mut().ok_or(Reason::TooBig)?;
        let (header, rest) = sealed.split_first_chunk_mut().ok_or(Reason::TooBig)?;
        *header = TreeHeader { tree: self.name, key_id: key.key_id, counter }.emit();
        *rest.first_chunk_mut().ok_or(Reason::TooBig)? = inner.emit();
        key.seal.seal(counter, TREE_HEADER_LEN, sealed).map_err(|_| Reason::TooBig)?;
        *tag = self.tree_key.tag(sealed).ok_or(Reason::TooBig)?;
        Ok(length)
    }

    /// The id of the next frame that goes in parts.
    pub fn next_fragment_id(&self) -> u32 {
        self.cut.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a key for [`RootTree::use_key`]; an older one that waits is dropped.
    pub fn set_waiting(&self, key: SenderKey) {
        *lock(&self.waiting) = Some(Arc::new(key));
    }

    /// Seals with the waiting key for those who look from now on; false when none of that id waits. One writer at a time.
    pub(crate) fn use_key(&self, key_id: u32) -> bool {
        let mut waiting = lock(&self.waiting);
        let members = self.members.load();
        match waiting.take_if(|key| key.key_id == key_id) {
            Some(key) => {
                if self.report_at.load(Ordering::Relaxed) != 0 {
                    self.set_worn_at(self.sealed.load(Ordering::Relaxed) + KEY_DATAGRAMS);
                }
                let (next_hops, replicate) = (members.next_hops.clone(), members.replicate.clone());
                self.members.store(Arc::new(Members { next_hops, replicate, underlay_mtu: members.underlay_mtu, key }));
                true
            }
            None => members.key.key_id == key_id,
        }
    }

    /// The body of an offer of the current or the waiting key; None when the id is neither's or the context too long.
    pub fn offer(&self, key_id: u32, context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = lock(&self.waiting).clone().filter(|key| key.key_id == key_id);
        let key = key.or_else(|| Some(self.members.load().key.clone()).filter(|key| key.key_id == key_id))?;
        if context.len() > MAX_CONTEXT_LEN {
            return None;
        }
        let first_counter = self.sealed.load(Ordering::Relaxed) + 1;
        let mut body = Zeroizing::new(Vec::with_capacity(OFFER_LEN + MAX_CONTEXT_LEN));
        body.extend_from_slice(&self.name.tree_id.to_be_bytes());
        body.extend_from_slice(&self.name.epoch.to_be_bytes());
        body.extend_from_slice(&key_id.to_be_bytes());
        body.extend_from_slice(&[key.aead as u8, 0, 0, 0]);
        body.extend_from_slice(&first_counter.to_be_bytes());
        body.extend_from_slice(self.tree_key.bytes());
        body.extend_from_slice(&*key.secret);
        body.extend_from_slice(context);
        Some(body)
    }
}

/// A sender key that a root gave us and Python has not judged yet.
#[derive(Debug)]
pub struct KeyOffer {
    /// Which tree, of the peer that sent it.
    pub tree: TreeName,
    /// Which key.
    pub key_id: u32,
    /// What the root says it is for; Python reads it.
    pub context: Vec<u8>,
    tree_key: TreeKey,
    first_counter: u64,
    open: AeadKey,
}

impl KeyOffer {
    /// Reads the body of a session datagram of kind 2 from `root`.
    pub fn parse(root: u32, body: &[u8]) -> Result<Self, Reason> {
        let malformed = Reason::KeyMalformed;
        let tree_id = u32_at(body, 0).ok_or(malformed)?;
        let epoch = u32_at(body, 4).ok_or(malformed)?;
        let key_id = u32_at(body, 8).ok_or(malformed)?;
        let [aead, 0, 0, 0] = array_at(body, 12).ok_or(malformed)? else { return Err(malformed) };
        let first_counter = u64_at(body, 16).ok_or(malformed)?;
        let tree_key = TreeKey::new(array_at(body, 24).ok_or(malformed)?);
        let secret = Zeroizing::new(array_at(body, 40).ok_or(malformed)?);
        let context = body.get(OFFER_LEN..).filter(|context| context.len() <= MAX_CONTEXT_LEN).ok_or(malformed)?;
        let aead = Aead::from_number(aead).ok_or(malformed)?;
        let open = AeadKey::new(aead, &secret).map_err(|_| malformed)?;
        let tree = TreeName { root, tree_id, epoch };
        Ok(Self { tree, key_id, context: context.to_vec(), tree_key, first_counter, open })
    }
}

#[derive(Debug)]
struct MemberKey {
    key_id: u32,
    first_counter: u64,
    open: AeadKey,
}

#[derive(Debug)]
struct MemberKeys {
    current: Arc<MemberKey>,
    previous: Option<Arc<MemberKey>>,
}

/// What a member does with a tree's datagrams.
#[derive(Debug, PartialEq, Eq)]
pub struct OutgoingList {
    /// Hosts here subscribe.
    pub deliver: bool,
    /// Nodes that get each datagram as it came.
    pub next_hops: Box<[u32]>,
}

impl OutgoingList {
    /// Do datagrams go on from here?
    pub fn relays(&self) -> bool {
        !self.next_hops.is_empty()
    }
}

/// Another root's tree that this node is on.
#[derive(Debug)]
pub struct DownstreamTree {
    /// Root, id, epoch.
    pub name: TreeName,
    /// What arrived authentic and fresh: datagrams and their bytes.
    pub rx: Volume,
    /// Delivery and next hops.
    pub outgoing: ArcSwap<OutgoingList>,
    tree_key: TreeKey,
    keys: ArcSwap<MemberKeys>,
    window: Mutex<TreeWindow>,
}

impl DownstreamTree {
    /// The tree exists from its first key on.
    pub fn new(offer: KeyOffer, outgoing: OutgoingList) -> Self {
        let KeyOffer { tree, key_id, tree_key, first_counter, open, .. } = offer;
        let current = Arc::new(MemberKey { key_id, first_counter, open });
        Self {
            name: tree,
            rx: Volume::default(),
            outgoing: ArcSwap::from_pointee(outgoing),
            tree_key,
            keys: ArcSwap::from_pointee(MemberKeys { current, previous: None }),
            window: Mutex::default(),
        }
    }

    /// Is the offer of this life of the tree? A root that was restarted with the same epoch makes another tree key.
    pub fn continues(&self, offer: &KeyOffer) -> bool {
        self.tree_key.bytes() == offer.tree_key.bytes()
    }

    /// Takes a further key. The two with the highest ids are kept: an offer that comes late displaces no newer key.
    pub fn accept(&self, offer: KeyOffer) {
        let keys = self.keys.load();
        let KeyOffer { key_id, first_counter, open, .. } = offer;
        if keys.find(key_id).is_some() {
            return;
        }
        let key = Arc::new(MemberKey { key_id, first_counter, open });
        let (current, previous) = if key_id > keys.current.key_id {
            (key, keys.current.clone())
        } else {
            (keys.current.clone(), keys.previous.clone().filter(|has| has.key_id > key_id).unwrap_or(key))
        };
        self.keys.store(Arc::new(MemberKeys { current, previous: Some(previous) }));
    }

    /// Is the tree tag right?
    pub fn verify_tag(&self, datagram: &[u8]) -> Result<(), Reason> {
        if self.tree_key.verify(datagram) {
            Ok(())
        } else {
            Err(Reason::TreeTag)
        }
    }

    /// Marks a counter in the replay window, and counts the frame in a datagram of this length.
    pub fn mark(&self, counter: u64, datagram_len: usize) -> Result<(), Reason> {
        if !lock(&self.window).mark(counter) {
            return Err(Reason::TreeReplay);
        }
        self.rx.add(1, datagram_len.saturating_sub(MIN_TREE_LEN) as u64);
        Ok(())
    }

    /// Opens a datagram in place, tree tag included; the plaintext starts behind the header.
    pub fn open<'a>(&self, header: &TreeHeader, datagram: &'a mut [u8]) -> Result<&'a mut [u8], Reason> {
        let keys = self.keys.load();
        let key = keys.find(header.key_id).ok_or(Reason::TreeKeyUnknown)?;
        let (sealed, _) = datagram.split_last_chunk_mut::<TREE_TAG_LEN>().ok_or(Reason::DatagramShort)?;
        let plaintext = key.open.open(header.counter, TREE_HEADER_LEN, sealed).map_err(|_| Reason::TreeAuth)?;
        if header.counter < key.first_counter {
            return Err(Reason::TreeReplay);
        }
        Ok(plaintext)
    }
}

impl MemberKeys {
    fn find(&self, key_id: u32) -> Option<&MemberKey> {
        if self.current.key_id == key_id {
            return Some(&self.current);
        }
        self.previous.as_deref().filter(|key| key.key_id == key_id)
    }
}
