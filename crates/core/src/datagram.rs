//! Headers of the datagrams on the wire (`docs/protocol.md` sections 1, 4 and 5): bytes to records and back.
//!
//! Nothing here believes anything: a record has what the bytes claim.

use std::ops::{Range, RangeInclusive};

use crate::reason::Reason;

/// First byte of each datagram type.
pub const INIT: u8 = 0xC0;
/// Second handshake datagram.
pub const RESPONSE: u8 = 0xC1;
/// Third handshake datagram.
pub const FINAL: u8 = 0xC2;
/// The responder's word that it refuses the initiator, instead of a session.
pub const REFUSAL: u8 = 0xC3;
/// The answer under load to an INIT whose address is not known to be its sender's.
pub const COOKIE: u8 = 0xC6;
/// A session datagram.
pub const SESSION: u8 = 0xC4;
/// A tree datagram.
pub const TREE: u8 = 0xC5;

/// Length of a session datagram's header, which is its associated data.
pub const SESSION_HEADER_LEN: usize = 16;
/// Length of a tree datagram's header.
pub const TREE_HEADER_LEN: usize = 28;
/// Where the epoch lies in it.
const TREE_EPOCH: Range<usize> = 12..16;
/// Length of what is sealed and signed of it: all but the epoch.
pub const TREE_ASSOCIATED_LEN: usize = TREE_HEADER_LEN - TREE_EPOCH.end + TREE_EPOCH.start;
/// The stream of a root's broadcast.
pub const BROADCAST_STREAM: u32 = 0;
/// Length of the header in front of the body, inside the seal.
pub const INNER_LEN: usize = 4;
/// Length of the AEAD tag of both algorithms.
pub const AEAD_TAG_LEN: usize = 16;
/// Length of the tree tag.
pub const TREE_TAG_LEN: usize = 8;
/// Bytes of a session datagram around its body.
pub const SESSION_OVERHEAD: usize = SESSION_HEADER_LEN + INNER_LEN + AEAD_TAG_LEN;
/// Bytes of a tree datagram around its body.
pub const TREE_OVERHEAD: usize = TREE_HEADER_LEN + INNER_LEN + AEAD_TAG_LEN + TREE_TAG_LEN;
/// Length of a UDP header.
pub const UDP_HEADER_LEN: usize = 8;
/// IPv6 and UDP headers.
const UNDERLAY_HEADERS_LEN: usize = 40 + UDP_HEADER_LEN;
/// The smallest MTU of an underlay (IPv6's), and the largest.
const UNDERLAY_MTUS: RangeInclusive<usize> = 1280..=9000;
/// The largest MTU of an underlay.
pub const LARGEST_UNDERLAY_MTU: usize = *UNDERLAY_MTUS.end();
/// No sealed datagram is longer.
pub const MAX_DATAGRAM_LEN: usize = *UNDERLAY_MTUS.end() - UNDERLAY_HEADERS_LEN;
/// The longest control message (section 7): it fits every underlay.
pub const MAX_CONTROL_LEN: usize = *UNDERLAY_MTUS.start() - UNDERLAY_HEADERS_LEN - SESSION_OVERHEAD;
/// The shortest session datagram: an inner header without a body.
pub const MIN_SESSION_LEN: usize = SESSION_OVERHEAD;
/// The shortest tree datagram.
pub const MIN_TREE_LEN: usize = TREE_OVERHEAD;

/// Kind of a sealed body: an Ethernet frame.
pub const KIND_FRAME: u8 = 0;
/// A control message.
pub const KIND_CONTROL: u8 = 1;
/// A sender key (section 6).
pub const KIND_SENDER_KEY: u8 = 2;
/// A probe.
pub const KIND_PROBE: u8 = 3;
/// The answer to a probe.
pub const KIND_PROBE_REPLY: u8 = 4;
/// One of the parts of an Ethernet frame that does not fit one datagram.
pub const KIND_FRAGMENT: u8 = 5;
/// How far the counter of a sender key is (section 5).
pub const KIND_ANCHOR: u8 = 6;
/// Inner kind: a handshake datagram, of the next session with the same peer.
pub const KIND_HANDSHAKE: u8 = 7;
/// A datagram between two other nodes, or of one other that reaches this node by its neighbour.
pub const KIND_FORWARD: u8 = 8;
/// A tree, and the receiver's place on it (section 6).
pub const KIND_TREE_STATE: u8 = 9;
/// A random value, for whoever is at the address that it goes to.
pub const KIND_PATH_CHALLENGE: u8 = 10;
/// The answer to it.
pub const KIND_PATH_RESPONSE: u8 = 11;
/// A tree datagram of broadcast, from neighbour to neighbour (section 5).
pub const KIND_BROADCAST: u8 = 12;

/// Higher kinds are of later versions; those from 13 on are in [`crate::tree_mark`].
const LAST_KIND: u8 = 15;
const FLAG_PARTIAL_CHECKSUM: u8 = 0x01;
/// The plaintext of a tree datagram ends with its root's signature.
const FLAG_SIGNED: u8 = 0x01;

/// The `N` bytes at `offset`.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// The big-endian u16 at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_be_bytes)
}

/// The big-endian u32 at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_be_bytes)
}

/// The big-endian u64 at `offset`.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_be_bytes)
}

/// How long a datagram the paths to all nodes carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramLimit(usize);

impl DatagramLimit {
    /// The MTU that all underlays carry.
    pub const SHORTEST: Self = Self(*UNDERLAY_MTUS.start() - UNDERLAY_HEADERS_LEN);

    /// The limit on an underlay with this MTU; None below 1280 and above 9000.
    pub fn on_underlay(mtu: usize) -> Option<Self> {
        UNDERLAY_MTUS.contains(&mtu).then(|| Self(mtu - UNDERLAY_HEADERS_LEN))
    }

    /// Bytes of a datagram.
    pub fn datagram_len(self) -> usize {
        self.0
    }

    /// The longest body inside so much overhead: [`SESSION_OVERHEAD`] or [`TREE_OVERHEAD`].
    pub fn body_len(self, overhead: usize) -> usize {
        self.0 - overhead
    }
}

/// Kinds of datagrams by their first byte (RFC 7983 style).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramType {
    /// INIT, RESPONSE, FINAL, REFUSAL or COOKIE.
    Handshake,
    /// A session datagram.
    Session,
    /// A tree datagram.
    Tree,
}

impl DatagramType {
    /// The type by the first byte.
    pub fn of(datagram: &[u8]) -> Result<Self, Reason> {
        match datagram.first() {
            Some(&(INIT | RESPONSE | FINAL | REFUSAL | COOKIE)) => Ok(Self::Handshake),
            Some(&SESSION) => Ok(Self::Session),
            Some(&TREE) => Ok(Self::Tree),
            _ => Err(Reason::UnknownType),
        }
    }
}

/// Does the UDP datagram begin as ours do?
pub fn looks_like_ours(udp: &[u8]) -> bool {
    udp.get(UDP_HEADER_LEN..).is_some_and(|payload| DatagramType::of(payload).is_ok())
}

/// Header of a session datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionHeader {
    /// The receiver's session index.
    pub receiver: u32,
    /// Counts the sender's datagrams of the session, from 1.
    pub counter: u64,
}

impl SessionHeader {
    /// Reads the header of a datagram of at least [`MIN_SESSION_LEN`] bytes.
    pub fn parse(datagram: &[u8]) -> Result<Self, Reason> {
        check_length(datagram, MIN_SESSION_LEN)?;
        check_flags(datagram, [SESSION, 0, 0, 0])?;
        let receiver = u32_at(datagram, 4).ok_or(Reason::DatagramShort)?;
        let counter = u64_at(datagram, 8).ok_or(Reason::DatagramShort)?;
        Ok(Self { receiver, counter })
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; SESSION_HEADER_LEN] {
        let [r0, r1, r2, r3] = self.receiver.to_be_bytes();
        let [c0, c1, c2, c3, c4, c5, c6, c7] = self.counter.to_be_bytes();
        [SESSION, 0, 0, 0, r0, r1, r2, r3, c0, c1, c2, c3, c4, c5, c6, c7]
    }
}

/// The name of a stream: what a root's keys are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName {
    /// The root's node index.
    pub root: u32,
    /// The stream's number at its root; 0 is that of broadcast.
    pub stream: u32,
}

impl StreamName {
    /// Is it the one that all nodes are on?
    pub fn is_broadcast(self) -> bool {
        self.stream == BROADCAST_STREAM
    }

    /// Its tree of this epoch.
    pub fn in_epoch(self, epoch: u32) -> TreeName {
        TreeName { root: self.root, stream: self.stream, epoch }
    }
}

/// The name of a tree: the key of the table of downstream trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeName {
    /// The root's node index.
    pub root: u32,
    /// The stream's number at its root.
    pub stream: u32,
    /// The tree's epoch.
    pub epoch: u32,
}

impl TreeName {
    /// The stream that it carries.
    pub fn stream_name(self) -> StreamName {
        StreamName { root: self.root, stream: self.stream }
    }
}

/// Header of a tree datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHeader {
    /// The tree by which it goes.
    pub tree: TreeName,
    /// The sender key that seals it.
    pub key_id: u32,
    /// The step of that key.
    pub step: u16,
    /// Counts the tree's datagrams under this key, from 1.
    pub counter: u64,
    /// Has its plaintext the root's signature?
    pub signed: bool,
}

impl TreeHeader {
    /// Reads the header of a datagram of at least [`MIN_TREE_LEN`] bytes.
    pub fn parse(datagram: &[u8]) -> Result<Self, Reason> {
        check_length(datagram, MIN_TREE_LEN)?;
        let signed = datagram.get(1) == Some(&FLAG_SIGNED);
        check_flags(datagram, [TREE, if signed { FLAG_SIGNED } else { 0 }])?;
        let word = |offset| u32_at(datagram, offset).ok_or(Reason::DatagramShort);
        let tree = TreeName { root: word(4)?, stream: word(8)?, epoch: word(12)? };
        let step = u16_at(datagram, 2).ok_or(Reason::DatagramShort)?;
        let counter = u64_at(datagram, 20).ok_or(Reason::DatagramShort)?;
        Ok(Self { tree, key_id: word(16)?, step, counter, signed })
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; TREE_HEADER_LEN] {
        let mut out = [0; TREE_HEADER_LEN];
        let words = [self.tree.root, self.tree.stream, self.tree.epoch, self.key_id];
        out[0] = TREE;
        out[1] = if self.signed { FLAG_SIGNED } else { 0 };
        out[2..4].copy_from_slice(&self.step.to_be_bytes());
        for (chunk, word) in out[4..20].chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        out[20..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }
}

/// The associated data of a tree datagram: its header without the epoch, so that what was sealed once is the same on any tree
/// of its stream.
pub fn tree_associated(header: &[u8; TREE_HEADER_LEN]) -> [u8; TREE_ASSOCIATED_LEN] {
    let mut out = [0; TREE_ASSOCIATED_LEN];
    out[..TREE_EPOCH.start].copy_from_slice(&header[..TREE_EPOCH.start]);
    out[TREE_EPOCH.start..].copy_from_slice(&header[TREE_EPOCH.end..]);
    out
}

/// A checksum to be completed by the receiver's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where summing starts, counted from the Ethernet header.
    pub start: u8,
    /// Where the sum goes, counted from `start`.
    pub offset: u8,
}

/// The header inside the seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// The kind of the body.
    pub kind: u8,
    /// The checksum of a frame, whole or in parts, where it is partial.
    pub checksum: Option<PartialChecksum>,
}

impl Inner {
    /// Reads the inner header; a partial checksum must lie within the body (a fragment's: [`crate::fragment`] checks it). Flags of a
    /// kind that is not known here are left alone.
    pub fn parse(plaintext: &[u8]) -> Result<Self, Reason> {
        let [kind, flags, start, offset] = array_at(plaintext, 0).ok_or(Reason::InnerMalformed)?;
        let checksum = match flags {
            _ if kind > LAST_KIND => None,
            0 => None,
            FLAG_PARTIAL_CHECKSUM if matches!(kind, KIND_FRAME | KIND_FRAGMENT) => {
                Some(PartialChecksum { start, offset })
            }
            _ => return Err(Reason::InnerMalformed),
        };
        let body_len = plaintext.len() - INNER_LEN;
        if kind == KIND_FRAME && checksum.is_some_and(|c| usize::from(c.start) + usize::from(c.offset) + 2 > body_len) {
            return Err(Reason::InnerMalformed);
        }
        Ok(Self { kind, checksum })
    }

    /// The inner header's bytes.
    pub fn emit(&self) -> [u8; INNER_LEN] {
        match self.checksum {
            None => [self.kind, 0, 0, 0],
            Some(PartialChecksum { start, offset }) => [self.kind, FLAG_PARTIAL_CHECKSUM, start, offset],
        }
    }
}

fn check_length(datagram: &[u8], minimum: usize) -> Result<(), Reason> {
    if datagram.len() < minimum {
        return Err(Reason::DatagramShort);
    }
    if datagram.len() > MAX_DATAGRAM_LEN {
        return Err(Reason::DatagramLong);
    }
    Ok(())
}

fn check_flags<const N: usize>(datagram: &[u8], expected: [u8; N]) -> Result<(), Reason> {
    match array_at(datagram, 0) {
        Some(found) if found == expected => Ok(()),
        Some(_) => Err(Reason::FlagsUnknown),
        None => Err(Reason::DatagramShort),
    }
}
