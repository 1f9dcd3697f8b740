//! Valid inputs, by name: datagrams, bodies behind a seal, an exchange. `examples/write_corpus.rs` writes them into the corpus.

use treecast_core::aead::Aead;
use treecast_core::anchor::Anchor;
use treecast_core::datagram::{Inner, PartialChecksum, BROADCAST_STREAM};
use treecast_core::datagram::{
    KIND_ANCHOR, KIND_BROADCAST, KIND_CONTROL, KIND_FORWARD, KIND_FRAGMENT, KIND_FRAME, KIND_HANDSHAKE,
    KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY, KIND_SENDER_KEY, KIND_TREE_STATE,
};
use treecast_core::fingerprints::Probe;
use treecast_core::forward::ForwardHeader;
use treecast_core::fragment::cut;
use treecast_core::handshake::SessionKeys;
use treecast_core::kem::{encapsulate, KeyPair};
use treecast_core::root_tree::{Hops, KeyBefore};
use treecast_core::session::SessionParameters;
use treecast_core::tree_control::TreeSecrets;
use treecast_core::tree_mark::{TreeMark, KIND_ANCHOR_REQUEST, KIND_GRAFT, KIND_TICK};
use treecast_core::tree_state::TreePlace;
use zeroize::Zeroizing;

use crate::input::{frame, Input};
use crate::nodes::{endpoint, place, seal, seal_tree, tables, tree_name, with_trees};
use crate::nodes::{EPOCH, GROUP_STREAM, KEY_ID, MEMBER, NODE, OTHER_ROOT};
use crate::valid_handshakes::{handshakes, init};

const NOW_NS: u64 = 1_000_000_000;

/// One body of each kind of the session, with each optional part.
pub fn session_bodies() -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut add = |name: &str, kind: u8, body: &[u8]| inputs.push((name.to_string(), [&[kind], body].concat()));
    let init = init();
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
    add("control", KIND_CONTROL, b"\x93\x01\x02\x03");
    add(
        "sender_key",
        KIND_SENDER_KEY,
        &root
            .offer(GROUP_STREAM, KEY_ID, KeyBefore { key_id: 1, ends_ms: 2_750 }, b"\xc0", NOW_NS)
            .expect("it was created"),
    );
    add("probe", KIND_PROBE, &probe.emit());
    add("probe_reply", KIND_PROBE_REPLY, &probe.emit_reply(7));
    add("anchor", KIND_ANCHOR, &anchor);
    add("anchor_of_no_request", KIND_ANCHOR, &anchor[..34]);
    add("anchor_without_first_counter", KIND_ANCHOR, &anchor[..26]);
    add("anchor_without_time", KIND_ANCHOR, &anchor[..24]);
    add("handshake", KIND_HANDSHAKE, &init);
    let header = ForwardHeader::first(NODE, MEMBER).emit();
    add("forward", KIND_FORWARD, &[&header, init.as_slice()].concat());
    for (name, place) in [
        ("tree_state", place(MEMBER, &[4, 5], &[6])),
        ("tree_state_leaf", place(MEMBER, &[], &[])),
        ("tree_state_with_backup", TreePlace { backup: 4, ..place(OTHER_ROOT, &[5], &[]) }),
        ("tree_state_of_two_parents", TreePlace { backup: 4, backup_sends: true, ..place(OTHER_ROOT, &[5], &[]) }),
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

/// Bodies of offers of keys; `inner` is a header alone, which lies behind a seal as they do.
pub fn sender_keys() -> Vec<Input> {
    let root = with_trees(tables(MEMBER), &[BROADCAST_STREAM, GROUP_STREAM]);
    let offer = |stream| {
        root.offer(stream, KEY_ID, KeyBefore { key_id: 1, ends_ms: 2_750 }, b"\xc0", NOW_NS)
            .expect("it was created")
            .to_vec()
    };
    let inner = Inner { kind: KIND_SENDER_KEY, checksum: None }.emit().to_vec();
    vec![
        ("inner".into(), inner),
        ("offer".into(), offer(GROUP_STREAM)),
        ("offer_of_broadcast".into(), offer(BROADCAST_STREAM)),
    ]
}

/// Handshakes, and sealed datagrams of somebody who knows all names and no key.
pub fn datagrams() -> Vec<Input> {
    let stranger = tables(MEMBER);
    let (aead, endpoint) = (Aead::Aes256Gcm, endpoint(NODE));
    let (index, remote_index) = (10 * MEMBER, 10 * MEMBER + 1);
    let parameters = SessionParameters { index, remote_index, peer: NODE, endpoint, aead, confirmed: true };
    let keys = SessionKeys { seal: Zeroizing::new([1; 32]), open: Zeroizing::new([2; 32]) };
    stranger.install_session(parameters, &keys, 0).expect("an empty table");
    let secrets = TreeSecrets { tree_key: [1; 16], sender_key: Zeroizing::new([2; 32]) };
    stranger.create_tree(GROUP_STREAM, EPOCH, KEY_ID, secrets).expect("an empty table");
    stranger.set_tree_members(GROUP_STREAM, Hops::new(&[NODE], &[])).expect("a tree that is there");
    let session = stranger.session(index).expect("it was installed");
    let tree = stranger.tree(GROUP_STREAM).expect("it was created");
    let mut inputs = handshakes();
    inputs.push(("session".into(), seal(&session, KIND_FRAME, &frame()).expect("it fits")));
    inputs.push((
        "tree".into(),
        seal_tree(&tree, Inner { kind: KIND_FRAME, checksum: None }, &frame()).expect("it fits"),
    ));
    inputs
}

/// An encapsulation key and a ciphertext, other ones each time.
pub fn link_secrets() -> Vec<Input> {
    let pair = KeyPair::generate().expect("randomness");
    let (ciphertext, _) = encapsulate(pair.encapsulation_key()).expect("it is a key");
    vec![("encapsulation_key".into(), pair.encapsulation_key().to_vec()), ("ciphertext".into(), ciphertext)]
}
