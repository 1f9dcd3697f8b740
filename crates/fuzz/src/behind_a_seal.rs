//! Bytes from other nodes: datagrams as they are, and bodies that a member could put behind its own seal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::LazyLock;

use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::datagram::{
    DatagramType, Inner, TreeHeader, BROADCAST_STREAM, INNER_LEN, KIND_FRAME, KIND_SENDER_KEY, MAX_CONTROL_LEN,
};
use treecast_core::downstream_stream::KeyOffer;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::MAX_FRAME_LEN;

use crate::nodes::{endpoint, Nodes, GROUP_STREAM, MEMBER};

/// Time passes with each input, so that what waits is given up some day.
static NOW_NS: AtomicU64 = AtomicU64::new(1_000_000_000);
const STEP_NS: u64 = 1_000_000;
/// An Ethernet header: what is shorter is no frame.
const MIN_FRAME_LEN: usize = 14;

static NODES: LazyLock<Nodes> = LazyLock::new(Nodes::joined);
/// Others: anchors of any counters, which session bodies are, would end their trees' keys.
static TREES: LazyLock<Nodes> = LazyLock::new(Nodes::joined);

/// A datagram of anybody: no session and no tree believes it.
pub fn datagram(bytes: &[u8]) {
    let node = &NODES.node;
    let now_ns = NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed);
    let (_, _) = (DatagramType::of(bytes), TreeHeader::parse(bytes));
    let mut recent = Recent::default();
    assert!(node.receive_session(&mut bytes.to_vec(), endpoint(66), now_ns, &mut recent).is_err());
    assert!(node.receive_tree(bytes, endpoint(MEMBER).address, now_ns, &mut recent).is_err());
    assert!(node.relay((bytes, 0), endpoint(MEMBER).address, now_ns, &mut recent).is_none_or(|fresh| fresh.is_err()));
    let _ = node.receive_handshake(bytes, 0, endpoint(66).address, now_ns);
    node.drain(16, || {});
}

/// A member's own datagram: the first byte is its kind, the others its body.
pub fn session_body(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    if body.len() > MAX_CONTROL_LEN {
        return;
    }
    let now_ns = NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed);
    let Some((received, datagram)) = NODES.receive(*kind, body, now_ns) else { return };
    if let Ok(Received::Opened(opened)) = received {
        check_opened(&NODES.node, &opened, &datagram, body, now_ns);
    }
    finish_turn(&NODES.node, now_ns);
}

/// A root's own tree datagram: broadcast where the first byte is odd, then the header inside the seal and its body.
pub fn tree_body(bytes: &[u8]) {
    let Some((first, plaintext)) = bytes.split_first() else { return };
    let stream = if first % 2 == 1 { BROADCAST_STREAM } else { GROUP_STREAM };
    let Ok(inner) = Inner::parse(plaintext) else { return };
    let body = &plaintext[INNER_LEN..];
    let now_ns = NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed);
    let Some((opened, datagram)) = TREES.open(stream, inner, body, now_ns) else { return };
    match opened {
        Ok(opened) => check_opened(&TREES.node, &opened, &datagram, body, now_ns),
        Err(reason) => assert!(inner.kind != KIND_FRAME || body.len() < MIN_FRAME_LEN, "{reason:?}: it is authentic"),
    }
    finish_turn(&TREES.node, now_ns);
}

/// A frame is where it is said to be, and one of parts is as long as they say.
fn check_opened(node: &ForwardingTables, opened: &Opened, datagram: &[u8], body: &[u8], now_ns: u64) {
    match opened {
        Opened::Frame(frame) => assert_eq!(&datagram[frame.start..][..frame.length], body),
        Opened::Part(part) => {
            let mut frame = vec![0; MAX_FRAME_LEN];
            let part_bytes = &datagram[part.start..][..part.length];
            if let Ok(Some((length, _))) = node.reassemble(part, part_bytes, 0, now_ns, &mut frame) {
                assert_eq!(length, usize::from(part.fragment.whole));
            }
        }
    }
}

fn finish_turn(node: &ForwardingTables, now_ns: u64) {
    node.expire_fragments(now_ns);
    node.drain(16, || {});
}

/// The body of an offer of a key, alone and as a member sends it, and the header behind each seal.
pub fn sender_key(bytes: &[u8]) {
    let (_, _) = (Inner::parse(bytes), KeyOffer::parse(MEMBER, bytes, 0));
    session_body(&[&[KIND_SENDER_KEY], bytes].concat());
}
