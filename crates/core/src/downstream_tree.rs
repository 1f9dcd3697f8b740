//! Trees of other roots: this node takes their keys, opens what it delivers and relays the rest (docs/protocol.md sections 5 and 6).

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::anchor::Anchor;
use crate::counters::Volume;
use crate::datagram::{
    array_at, tree_associated, u16_at, u32_at, u64_at, TreeHeader, TreeName, MIN_TREE_LEN, TREE_TAG_LEN,
};
use crate::key_steps::StepSecret;
use crate::member_key::{MemberKey, MemberKeys};
use crate::reason::Reason;
use crate::root_tree::{MAX_CONTEXT_LEN, OFFER_LEN};
use crate::tree_tag::TreeKey;

/// A sender key that a root gave us and Python has not judged yet.
#[derive(Debug)]
pub struct KeyOffer {
    /// Which tree, of the peer that sent it.
    pub tree: TreeName,
    /// Which key.
    pub key_id: u32,
    /// The root's word for its use; Python reads it.
    pub context: Vec<u8>,
    tree_key: TreeKey,
    first_counter: u64,
    step: StepSecret,
    came_ns: u64,
}

impl KeyOffer {
    /// Reads the body of a session datagram of kind 2 from `root`, which came at `came_ns`.
    pub fn parse(root: u32, body: &[u8], came_ns: u64) -> Result<Self, Reason> {
        let malformed = Reason::KeyMalformed;
        let stream = u32_at(body, 0).ok_or(malformed)?;
        let epoch = u32_at(body, 4).ok_or(malformed)?;
        let key_id = u32_at(body, 8).ok_or(malformed)?;
        let [aead, 0] = array_at(body, 12).ok_or(malformed)? else { return Err(malformed) };
        let number = u16_at(body, 14).ok_or(malformed)?;
        let first_counter = u64_at(body, 16).ok_or(malformed)?;
        let tree_key = TreeKey::new(array_at(body, 24).ok_or(malformed)?);
        let secret = Zeroizing::new(array_at(body, 40).ok_or(malformed)?);
        let context = body.get(OFFER_LEN..).filter(|context| context.len() <= MAX_CONTEXT_LEN).ok_or(malformed)?;
        let aead = Aead::from_number(aead).ok_or(malformed)?;
        let step = StepSecret { number, aead, secret };
        let tree = TreeName { root, stream, epoch };
        Ok(Self { tree, key_id, context: context.to_vec(), tree_key, first_counter, step, came_ns })
    }
}

/// The outgoing list of a tree at a member: delivery to hosts here, and next hops.
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
    /// Authentic and fresh datagrams, and their bytes.
    pub rx: Volume,
    /// Delivery and next hops.
    pub outgoing: ArcSwap<OutgoingList>,
    /// The nodes whose datagrams of this tree are taken.
    pub parents: ArcSwap<Box<[u32]>>,
    tree_key: TreeKey,
    keys: ArcSwap<MemberKeys>,
}

impl DownstreamTree {
    /// The tree exists from its first key on.
    pub fn new(offer: KeyOffer, outgoing: OutgoingList, parents: Box<[u32]>) -> Self {
        let KeyOffer { tree, key_id, tree_key, first_counter, step, came_ns, .. } = offer;
        let keys = MemberKeys::new(MemberKey::new(key_id, first_counter, step, came_ns));
        Self {
            name: tree,
            rx: Volume::default(),
            outgoing: ArcSwap::from_pointee(outgoing),
            parents: ArcSwap::from_pointee(parents),
            tree_key,
            keys: ArcSwap::from_pointee(keys),
        }
    }

    /// Is the offer of this life of the tree? A root that was restarted with the same epoch makes another tree key.
    pub fn continues(&self, offer: &KeyOffer) -> bool {
        self.tree_key.bytes() == offer.tree_key.bytes()
    }

    /// Takes a further key, or a later first counter and step of one that it has.
    pub fn accept(&self, offer: KeyOffer) {
        let keys = self.keys.load();
        let KeyOffer { key_id, first_counter, step, came_ns, .. } = offer;
        if let Some(key) = keys.get(key_id) {
            key.raise_anchor(first_counter.saturating_sub(1));
            key.steps.raise(step, came_ns);
        } else if let Some(keys) = keys.with(MemberKey::new(key_id, first_counter, step, came_ns)) {
            self.keys.store(keys.into());
        }
    }

    /// Takes news of a key's counter.
    pub fn raise_anchor(&self, anchor: &Anchor) {
        if let Some(key) = self.keys.load().get(anchor.key_id) {
            key.raise_anchor(anchor.counter);
        }
    }

    /// Is the tree tag right?
    pub fn verify_tag(&self, datagram: &[u8]) -> Result<(), Reason> {
        if self.tree_key.verify(datagram) {
            Ok(())
        } else {
            Err(Reason::TreeTag)
        }
    }

    /// Marks a datagram that goes on as it came.
    pub fn pass(&self, header: &TreeHeader, datagram: &[u8], now_ns: u64) -> Result<(), Reason> {
        let keys = self.keys.load();
        let key = keys.find(header.key_id, now_ns)?;
        key.admit(header.counter)?;
        key.mark_relayed(header.counter, now_ns)?;
        self.count(datagram.len());
        Ok(())
    }

    /// Opens a datagram in place, tree tag included, and marks it; the plaintext starts behind the header.
    pub fn open<'a>(&self, header: &TreeHeader, datagram: &'a mut [u8], now_ns: u64) -> Result<&'a mut [u8], Reason> {
        let keys = self.keys.load();
        let key = keys.find(header.key_id, now_ns)?;
        key.admit(header.counter)?;
        let (sealed, _) = datagram.split_last_chunk_mut::<TREE_TAG_LEN>().ok_or(Reason::DatagramShort)?;
        let (head, text) = sealed.split_first_chunk_mut().ok_or(Reason::DatagramShort)?;
        let associated = tree_associated(head);
        let plaintext = key.steps.open(header.step, now_ns, |key| key.open_under(header.counter, &associated, text))?;
        key.mark_opened(header.counter, now_ns)?;
        Ok(plaintext)
    }

    /// Counts the frame in a datagram of this length.
    pub fn count(&self, datagram_len: usize) {
        self.rx.add(1, datagram_len.saturating_sub(MIN_TREE_LEN) as u64);
    }
}
