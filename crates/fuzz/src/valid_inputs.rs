//! Valid inputs, by name: bodies behind a seal, a refusal, an exchange. `examples/write_corpus.rs` writes them into the corpus.

use treecast_core::anchor::Anchor;
use treecast_core::datagram::{Inner, PartialChecksum, BROADCAST_STREAM};
use treecast_core::datagram::{
    KIND_ANCHOR, KIND_BROADCAST, KIND_FORWARD, KIND_FRAGMENT, KIND_FRAME, KIND_HANDSHAKE, KIND_PATH_CHALLENGE,
    KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY, KIND_SENDER_KEY, KIND_TREE_STATE,
};
use treecast_core::fingerprints::Probe;
use treecast_core::forward::ForwardHeader;
use treecast_core::fragment::cut;
use treecast_core::handshake::Handshake;
use treecast_core::kem::{encapsulate, KeyPair};
use treecast_core::tree_mark::{TreeMark, KIND_ANCHOR_REQUEST, KIND_GRAFT, KIND_TICK};
use treecast_core::tree_state::TreePlace;

use crate::handshakes::{after_final, NETWORK};
use crate::nodes::{place, seal_tree, tables, tree_name, with_trees};
use crate::nodes::{EPOCH, GROUP_STREAM, KEY_ID, MEMBER, NODE, OTHER_ROOT};

/// A name, and the bytes.
pub type Input = (String, Vec<u8>);

const NOW_NS: u64 = 1_000_000_000;

/// An Ethernet frame with an IPv4 packet to a group.
fn frame() -> Vec<u8> {
    let mut frame = vec![1, 0, 0x5e, 1, 1, 1, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 36, 0, 0, 0x40, 0, 4, 17, 0, 0, 10, 77, 0, 1, 239, 1, 1, 1]);
    frame.extend([0x13, 0x8c, 0x13, 0x8c, 0, 16, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
    frame
}

/// One body of each kind of the session, with each optional part.
pub fn session_bodies() -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut add = |name: &str, kind: u8, body: &[u8]| inputs.push((name.to_string(), [&[kind], body].concat()));
    let init = Handshake::initiate(&[1; 32], &NETWORK, 1, [2; 32]).expect("keys of any bytes");
    let init = init.init_datagram().expect("it begins so");
    let root = with_trees(tables(MEMBER), &[BROADCAST_STREAM, GROUP_STREAM]);
    let tree = root.tree(BROADCAST_STREAM).expect("it was created");
    let broadcast = seal_tree(&tree, Inner { kind: KIND_FRAME, checksum: None }, &frame()).expect("it fits");
    let own = tree_name(MEMBER, GROUP_STREAM);
    let anchor =
        Anchor { in_use_ms: 500, first_counter: 4, answers: 3, last_counter: 8, ..Anchor::at(own, KEY_ID, 9) }.emit();
    let mark = TreeMark { tree: tree_name(OTHER_ROOT, GROUP_STREAM), counter: 1 }.emit();
    let probe = Probe { value: 9, fingerprint: 1 };

    add("frame", KIND_FRAME, &frame());
    for (number, (fragment, part)) in cut(&frame(), 9, 40).expect("it is long enough").enumerate() {
        add(&format!("fragment_{number}"), KIND_FRAGMENT, &[&fragment.emit(), part].concat());
    }
    add("sender_key", KIND_SENDER_KEY, &root.offer(GROUP_STREAM, KEY_ID, b"\xc0", NOW_NS).expect("it was created"));
    add("probe", KIND_PROBE, &probe.emit());
    add("probe_reply", KIND_PROBE_REPLY, &probe.emit_reply(7));
    add("anchor", KIND_ANCHOR, &anchor);
    add("anchor_of_no_request", KIND_ANCHOR, &anchor[..34]);
    add("anchor_without_first_counter", KIND_ANCHOR, &anchor[..26]);
    add("anchor_without_time", KIND_ANCHOR, &anchor[..24]);
    add("handshake", KIND_HANDSHAKE, init);
    let header = ForwardHeader::first(NODE, MEMBER).emit();
    add("forward", KIND_FORWARD, &[&header, init].concat());
    for (name, place) in [
        ("tree_state", place(MEMBER, &[4, 5], &[6])),
        ("tree_state_leaf", place(MEMBER, &[], &[])),
        ("tree_state_with_backup", TreePlace { backup: 4, ..place(OTHER_ROOT, &[5], &[]) }),
        ("tree_state_end", place(0, &[], &[])),
    ] {
        add(name, KIND_TREE_STATE, &root.tree_state(GROUP_STREAM, EPOCH, &place).expect("it was created"));
    }
    add("path_challenge", KIND_PATH_CHALLENGE, &7_u64.to_be_bytes());
    add("path_response", KIND_PATH_RESPONSE, &7_u64.to_be_bytes());
    add("broadcast", KIND_BROADCAST, &broadcast);
    add("graft", KIND_GRAFT, &mark);
    add("anchor_request", KIND_ANCHOR_REQUEST, &mark);
    add("tick", KIND_TICK, &[]);
    add("tick_of_backup", KIND_TICK, &mark);
    inputs
}

/// Plaintexts of tree datagrams, by a group's stream and by broadcast.
pub fn tree_bodies() -> Vec<Input> {
    let mut inputs = Vec::new();
    let checksum = Some(PartialChecksum { start: 34, offset: 6 });
    for (stream, name) in ["group", "broadcast"].into_iter().enumerate() {
        let mut add = |what: String, inner: Inner, body: &[u8]| {
            inputs.push((format!("{name}_{what}"), [&[stream as u8], inner.emit().as_slice(), body].concat()));
        };
        add("frame".into(), Inner { kind: KIND_FRAME, checksum: None }, &frame());
        add("frame_with_partial_checksum".into(), Inner { kind: KIND_FRAME, checksum }, &frame());
        for (number, (fragment, part)) in cut(&frame(), 9, 40).expect("it is long enough").enumerate() {
            let body = [fragment.emit().as_slice(), part].concat();
            add(format!("fragment_{number}"), Inner { kind: KIND_FRAGMENT, checksum }, &body);
        }
    }
    inputs
}

/// The responder's refusal in the handshake of [`after_final`].
pub fn refusals() -> Vec<Input> {
    let (_, mut two) = after_final().expect("keys of any bytes");
    vec![("refusal".into(), two.write_refusal(b"\x93\x01\xa0\xc0").expect("it is short"))]
}

/// An encapsulation key and a ciphertext, other ones each time.
pub fn link_secrets() -> Vec<Input> {
    let pair = KeyPair::generate().expect("randomness");
    let (ciphertext, _) = encapsulate(pair.encapsulation_key()).expect("it is a key");
    vec![("encapsulation_key".into(), pair.encapsulation_key().to_vec()), ("ciphertext".into(), ciphertext)]
}
