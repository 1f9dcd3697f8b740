//! The content of an authentic datagram that carries a frame or a part of one, and where it lies there (docs/protocol.md
//! sections 4 and 5).

use crate::datagram::{Inner, PartialChecksum, StreamName};
use crate::datagram::{INNER_LEN, KIND_FRAGMENT, KIND_FRAME, SESSION_HEADER_LEN, TREE_HEADER_LEN};
use crate::fragment::{Fragment, SentBy, FRAGMENT_HEADER_LEN};
use crate::key_flow::KeyFlow;
use crate::reason::Reason;

const ETHERNET_HEADER_LEN: usize = 14;

/// Proof of the node at which a frame entered the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Sealed for this node alone, or signed.
    Own,
    /// A key that all subscribers of a stream hold: then the frame can be of its flow only; None: to any group.
    Shared(Option<KeyFlow>),
}

/// The node at which a frame entered the overlay, and what proves that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngressNode {
    /// The node: a stream's root, or a session's peer.
    pub node: u32,
    /// Proof of that.
    pub proof: Proof,
}

impl IngressNode {
    /// The ingress node of what comes by a session with that node.
    pub fn peer(node: u32) -> Self {
        Self { node, proof: Proof::Own }
    }

    /// The ingress node of what comes by a stream of that node, whose key is for this flow; it signs broadcast.
    pub fn stream(name: StreamName, flow: Option<KeyFlow>) -> Self {
        Self { node: name.root, proof: if name.is_broadcast() { Proof::Own } else { Proof::Shared(flow) } }
    }
}

/// Where an opened frame lies in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedFrame {
    /// Offset of its first byte.
    pub start: usize,
    /// Its length.
    pub length: usize,
    /// Its checksum, where it is partial.
    pub checksum: Option<PartialChecksum>,
    /// The node at which it entered the overlay.
    pub ingress: IngressNode,
}

/// The sealed part: a frame, or a fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A frame.
    Frame(OpenedFrame),
    /// Bytes of a frame.
    Part(OpenedPart),
}

/// Where a part of a frame lies in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedPart {
    /// The counter that its id is of.
    pub sender: SentBy,
    /// Its header.
    pub fragment: Fragment,
    /// Offset of its first byte.
    pub start: usize,
    /// How many bytes there are.
    pub length: usize,
    /// The whole frame's checksum, where it is partial.
    pub checksum: Option<PartialChecksum>,
    /// The node at which the frame entered the overlay.
    pub ingress: IngressNode,
}

/// The frame in a session datagram of that peer.
pub(crate) fn session_frame(inner: Inner, length: usize, peer: u32) -> Result<Opened, Reason> {
    frame(SESSION_HEADER_LEN, inner, length, IngressNode::peer(peer))
}

/// The part of a frame in a datagram of this session with that peer.
pub(crate) fn session_part(inner: Inner, body: &[u8], session: u32, peer: u32) -> Result<Opened, Reason> {
    part(SESSION_HEADER_LEN, inner, body, SentBy::Session(session), IngressNode::peer(peer))
}

/// The content of an opened tree datagram, whose plaintext is given.
pub(crate) fn opened_tree(name: StreamName, flow: Option<KeyFlow>, plaintext: &[u8]) -> Result<Opened, Reason> {
    let ingress = IngressNode::stream(name, flow);
    let inner = Inner::parse(plaintext)?;
    let body = plaintext.get(INNER_LEN..).unwrap_or_default();
    match inner.kind {
        KIND_FRAME => frame(TREE_HEADER_LEN, inner, body.len(), ingress),
        KIND_FRAGMENT => part(TREE_HEADER_LEN, inner, body, SentBy::Stream(name), ingress),
        _ => Err(Reason::KindUnknown),
    }
}

fn frame(header_len: usize, inner: Inner, length: usize, ingress: IngressNode) -> Result<Opened, Reason> {
    if length < ETHERNET_HEADER_LEN {
        return Err(Reason::FrameShort);
    }
    Ok(Opened::Frame(OpenedFrame { start: header_len + INNER_LEN, length, checksum: inner.checksum, ingress }))
}

fn part(header_len: usize, inner: Inner, body: &[u8], sender: SentBy, ingress: IngressNode) -> Result<Opened, Reason> {
    let (fragment, bytes) = Fragment::parse(body, inner.checksum)?;
    let start = header_len + INNER_LEN + FRAGMENT_HEADER_LEN;
    Ok(Opened::Part(OpenedPart { sender, fragment, start, length: bytes.len(), checksum: inner.checksum, ingress }))
}
