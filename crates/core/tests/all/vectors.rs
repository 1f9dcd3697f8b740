//! The test vectors of `docs/vectors.json`, made again from their inputs. `TREECAST_WRITE_VECTORS=1` writes the file.

use std::sync::Arc;

use crate::common::*;
use serde_json::{json, Value};
use treecast_core::aead::{Aead, AeadKey};
use treecast_core::counters::Counter;
use treecast_core::datagram::{Inner, PartialChecksum, TreeName, KIND_CONTROL, KIND_FORWARD, KIND_FRAGMENT};
use treecast_core::datagram::{KIND_FRAME, KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE};
use treecast_core::forward::{ForwardHeader, HOP_LIMIT};
use treecast_core::fragment::{cut, Fragment};
use treecast_core::handshake::{Handshake, SessionKeys};
use treecast_core::kem::{LinkSecret, CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN};
use treecast_core::key_steps::STEP_NS;
use treecast_core::mac::MacKey;
use treecast_core::network::Network;
use treecast_core::noise::public_key;
use treecast_core::path::Path;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Generation, RootTree, SenderKey};
use treecast_core::session::{Session, SessionParameters, SESSION_BODY_OFFSET};
use treecast_core::tree_tag::TreeKey;
use treecast_core::{tree_mark::TreeMark, tree_state::TreePlace};
use zeroize::Zeroizing;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vectors.json");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `N` bytes that count up from `first`.
fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|index| first.wrapping_add(index as u8))
}

fn handshake() -> Value {
    let (id, key) = (counting(0x10), counting(0xE0));
    let network = Network::new(id, Zeroizing::new(key));
    let (initiator, responder) = (counting(0x20), counting(0x40));
    let (ephemeral1, ephemeral2) = (counting(0x60), counting(0x80));
    let (payload2, payload3) = (b"payload of message 2", b"payload of message 3");
    let mut one = Handshake::initiate(&initiator, &network, 0x0102_0304, ephemeral1).unwrap();
    let init = one.init_datagram().unwrap().to_vec();
    let mut two = Handshake::respond(&responder, &network, 0x0506_0708, &init, ephemeral2).unwrap();
    let response = two.write_response(payload2).unwrap();
    one.read_response(&response).unwrap();
    let nonce = counting(0x70);
    let last = one.write_final(payload3, nonce).unwrap();
    two.read_final(&last).unwrap();
    let keys = one.take_keys().unwrap();
    let refusal = two.write_refusal(b"payload of a refusal").unwrap();
    assert_eq!(one.read_refusal(&refusal).unwrap(), b"payload of a refusal");
    json!({
        "network_id": hex(&id), "network_key": hex(&key),
        "refusal": { "payload": hex(b"payload of a refusal"), "datagram": hex(&refusal) },
        "initiator": {
            "static_private": hex(&initiator), "static_public": hex(&public_key(&initiator).unwrap()),
            "ephemeral_private": hex(&ephemeral1), "index": 0x0102_0304, "payload": hex(payload3),
            "final_nonce": hex(&nonce),
        },
        "responder": {
            "static_private": hex(&responder), "static_public": hex(&public_key(&responder).unwrap()),
            "ephemeral_private": hex(&ephemeral2), "index": 0x0506_0708, "payload": hex(payload2),
        },
        "init": hex(&init), "response": hex(&response), "final": hex(&last),
        "key_initiator_to_responder": hex(&*keys.seal), "key_responder_to_initiator": hex(&*keys.open),
    })
}

/// A secret of bytes that no exchange has made, and the keys of a session without payloads that it is mixed into.
fn link_secret() -> Value {
    let (key, ciphertext): ([u8; ENCAPSULATION_KEY_LEN], [u8; CIPHERTEXT_LEN]) = (counting(1), counting(2));
    let shared: [u8; 32] = counting(3);
    let secret = LinkSecret::new(&shared, &key, &ciphertext).unwrap();
    let network = Network::new(counting(0x10), Zeroizing::new(counting(0xE0)));
    let mut one = Handshake::initiate(&counting(0x20), &network, 0x0102_0304, counting(0x60)).unwrap();
    let init = one.init_datagram().unwrap().to_vec();
    let mut two = Handshake::respond(&counting(0x40), &network, 0x0506_0708, &init, counting(0x80)).unwrap();
    one.read_response(&two.write_response(b"payload of message 2").unwrap()).unwrap();
    two.read_final(&one.write_final(b"payload of message 3", counting(0x70)).unwrap()).unwrap();
    one.mix(&secret).unwrap();
    let keys = one.take_keys().unwrap();
    json!({
        "shared_secret": hex(&shared), "encapsulation_key": hex(&key), "ciphertext": hex(&ciphertext), "id": hex(secret.id()),
        "key_initiator_to_responder": hex(&*keys.seal), "key_responder_to_initiator": hex(&*keys.open),
    })
}

fn handshake_mac() -> Value {
    let key: [u8; 32] = counting(0);
    json!({ "network_key": hex(&key), "bytes": hex(b"any bytes"), "mac": hex(&MacKey::new(&key).mac(b"any bytes")) })
}

fn session_key() -> Value {
    let (hash, k): ([u8; 32], [u8; 32]) = (counting(0xA0), counting(0xC0));
    let key = |direction| hex(&*treecast_core::noise::session_key(&hash, &k, 1, 2, direction).unwrap());
    json!({ "h": hex(&hash), "k": hex(&k), "initiator_index": 1, "responder_index": 2, "key_00": key(0), "key_01": key(1) })
}

pub fn session(aead: Aead, kind: u8, checksum: Option<PartialChecksum>, body: &[u8], skipped: u64) -> Value {
    let key: [u8; 32] = counting(0x30);
    let keys = SessionKeys { seal: Zeroizing::new(key), open: Zeroizing::new([0; 32]) };
    let (index, remote_index, peer, confirmed) = (1, 0x1122_3344, 2, true);
    let parameters = SessionParameters { index, remote_index, peer, endpoint: endpoint(2), aead, confirmed };
    let session = Session::new(parameters, Arc::new(Path::new(parameters.endpoint, NOW_NS)), &keys, NOW_NS).unwrap();
    let mut buffer = vec![0; 1452];
    let mut length = 0;
    for _ in 0..=skipped {
        buffer[SESSION_BODY_OFFSET..][..body.len()].copy_from_slice(body);
        length = session.seal(Inner { kind, checksum }, body.len(), &mut buffer).unwrap();
    }
    json!({
        "aead": aead as u8, "key": hex(&key), "receiver_index": remote_index, "counter": skipped + 1,
        "kind": kind, "csum_start": checksum.map(|c| c.start), "csum_offset": checksum.map(|c| c.offset),
        "body": hex(body), "datagram": hex(&buffer[..length]),
    })
}

/// A frame cut in two; it would fit one datagram, which changes nothing.
fn fragments() -> Value {
    let frame = ipv4([10, 77, 0, 1], [10, 77, 0, 2], 17, b"\x13\x88\x13\x88\x00\x0d\x00\x00datas");
    let checksum = Some(PartialChecksum { start: 34, offset: 6 });
    let sealed = |(fragment, bytes): (Fragment, &[u8]), skipped| {
        let body = [&fragment.emit()[..], bytes].concat();
        session(Aead::Aes256Gcm, KIND_FRAGMENT, checksum, &body, skipped)
    };
    let [one, two]: [_; 2] = cut(&frame, 0x0102_0304, 1168).unwrap().collect::<Vec<_>>().try_into().unwrap();
    json!({ "id": 0x0102_0304, "frame": hex(&frame), "parts": [sealed(one, 0), sealed(two, 1)] })
}

/// The first session datagram of node 7 for node 9, as it leaves for a neighbour, and as that one sends it on.
fn forward() -> Value {
    let frame = ipv4([10, 77, 0, 1], [10, 77, 0, 2], 17, b"\x13\x88\x13\x88\x00\x0c\x00\x00data");
    let inner = session(Aead::Aes256Gcm, KIND_FRAME, None, &frame, 0);
    let bytes = unhex(inner["datagram"].as_str().unwrap());
    let hop = |hop_limit| {
        let header = ForwardHeader { destination: 9, source: 7, hop_limit };
        session(Aead::Aes256Gcm, KIND_FORWARD, None, &[&header.emit()[..], &bytes].concat(), 1)
    };
    json!({ "destination": 9, "source": 7, "inner": inner, "hops": [hop(HOP_LIMIT), hop(HOP_LIMIT - 1)] })
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A tree's datagram; of stream 0 it is signed.
pub fn tree_datagram(stream: u32) -> Value {
    let (tree_key, sender_key): ([u8; 16], [u8; 32]) = (counting(0x50), counting(0x70));
    let name = TreeName { root: 0x0A0B_0C0D, stream, epoch: 6 };
    let key = SenderKey::new(7, Aead::Aes256Gcm, Zeroizing::new(sender_key));
    let tree = RootTree::new(Generation { tree: name, tree_key: TreeKey::new(tree_key), key }, &signing_key(1));
    let body = ipv4([10, 77, 0, 1], [239, 1, 1, 1], 17, b"\x13\x88\x13\x88\x00\x0c\x00\x00data");
    let datagram = seal_tree(&tree, &body);
    let offer = tree.offer(7, before(7), b"\xc0", NOW_NS).unwrap();
    let place =
        TreePlace { parent: 0x0A0B_0C0D, backup: 2, backup_children: [5].into(), ..relaying(&[3, 0x0102_0304]) };
    let state = tree.state(6, &place).unwrap();
    tree.advance(&tree.members.load(), NOW_NS + 2 * STEP_NS);
    let later = seal_tree(&tree, &body);
    json!({
        "root": 0x0A0B_0C0D_u32, "stream": stream, "epoch": 6, "key_id": 7, "counter": 1, "aead": Aead::Aes256Gcm as u8,
        "tree_key": hex(&tree_key), "sender_key": hex(&sender_key), "signing_seed": hex(&[1; 32]), "body": hex(&body), "datagram": hex(&datagram),
        "offer_context": "c0", "offer": hex(&offer),
        "backup": 2, "children": [3, 0x0102_0304], "backup_children": [5], "graft": hex(&TreeMark { tree: tree.name.in_epoch(6), counter: 1 }.emit()), "tree_state": hex(&state),
        "at_step_2": { "counter": 2, "datagram": hex(&later), "offer": hex(&tree.offer(7, before(7), b"\xc0", NOW_NS + 2 * STEP_NS).unwrap()) },
    })
}

fn tree_tag() -> Value {
    let key: [u8; 16] = counting(0);
    let datagram: [u8; 60] = counting(0);
    let tag = TreeKey::new(key).tag(&datagram).unwrap();
    json!({ "tree_key": hex(&key), "without_tree_tag": hex(&datagram), "tree_tag": hex(&tag) })
}

fn all() -> Value {
    let frame = ipv4([10, 77, 0, 1], [10, 77, 0, 2], 17, b"\x13\x88\x13\x88\x00\x0c\x00\x00data");
    let checksum = Some(PartialChecksum { start: 34, offset: 6 });
    json!({
        "about": "Test vectors of docs/protocol.md, bytes in hexadecimal. Checked by crates/core/tests/vectors.rs.",
        "handshake": handshake(),
        "link_secret": link_secret(),
        "handshake_mac": handshake_mac(),
        "session_key": session_key(),
        "session_datagrams": [
            session(Aead::Aes256Gcm, KIND_FRAME, None, &frame, 0),
            session(Aead::Aes256Gcm, KIND_FRAME, checksum, &frame, 258),
            session(Aead::ChaCha20Poly1305, KIND_CONTROL, None, b"\x91\x05", 0),
            session(Aead::Aes256Gcm, KIND_PATH_CHALLENGE, None, &counting::<8>(0x90), 0),
            session(Aead::Aes256Gcm, KIND_PATH_RESPONSE, None, &counting::<8>(0x90), 0),
        ],
        "fragments": fragments(),
        "forward": forward(),
        "tree_datagram": tree_datagram(5),
        "broadcast_datagram": tree_datagram(0),
        "wrapped_broadcast": crate::wrapped::vector(), "repair_steps": crate::repair_steps::steps(),
        "signature_steps": crate::signatures::steps(),
        "tree_tag": tree_tag(), "path_steps": crate::path_steps::steps(),
    })
}

#[test]
fn the_written_vectors_are_what_the_code_makes() {
    if std::env::var_os("TREECAST_WRITE_VECTORS").is_some() {
        std::fs::write(FILE, serde_json::to_string_pretty(&all()).unwrap() + "\n").unwrap();
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    assert_eq!(written, all());
}

#[test]
fn the_tree_tag_is_the_siphash_of_its_reference() {
    // The paper's own example, 00..0e, first: the reference here is right.
    let paper: Vec<u8> = (0..15).collect();
    assert_eq!(u64::from_le_bytes(reference(&paper)), 0xa129_ca61_49be_45e5);
    let message: Vec<u8> = (0..44).collect();
    let datagram = [&message[..28], &[0xEE; 9], &message[28..]].concat();
    let tag = TreeKey::new(counting(0)).tag(&datagram).unwrap();
    assert_eq!(tag, reference(&message));
}

/// SipHash-2-4 as its paper writes it.
fn reference(message: &[u8]) -> [u8; 8] {
    let key: [u8; 16] = counting(0);
    let half = |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().unwrap());
    let mut v = [
        half(0) ^ 0x736f_6d65_7073_6575,
        half(8) ^ 0x646f_7261_6e64_6f6d,
        half(0) ^ 0x6c79_6765_6e65_7261,
        half(8) ^ 0x7465_6462_7974_6573,
    ];
    let round = |v: &mut [u64; 4]| {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    };
    let mut padded = message.to_vec();
    padded.resize(message.len() / 8 * 8 + 7, 0);
    padded.push(message.len() as u8);
    for chunk in padded.chunks(8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap());
        v[3] ^= word;
        round(&mut v);
        round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xFF;
    (0..4).for_each(|_| round(&mut v));
    (v[0] ^ v[1] ^ v[2] ^ v[3]).to_le_bytes()
}

#[test]
fn an_altered_vector_does_not_open() {
    let mut datagram = [0; 60];
    let key = AeadKey::new(Aead::Aes256Gcm, &counting(1)).unwrap();
    key.seal(1, 16, &mut datagram).unwrap();
    datagram[59] ^= 1;
    assert!(key.open(1, 16, &mut datagram).is_err());
}

/// The rows of the tables in a section of a page of docs, cell by cell.
fn rows(page: &str, section: &str) -> Vec<Vec<String>> {
    let path = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let lines = after.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect();
    lines.map(cells).collect()
}

#[test]
fn every_drop_reason_is_explained_in_docs_with_what_to_do() {
    let rows = rows("drops.md", "Data plane");
    let named: Vec<(String, String)> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let plain = |text: &str| text.replace('`', "");
    let expected: Vec<(String, String)> =
        Reason::ALL.iter().map(|reason| (reason.name().to_owned(), plain(reason.meaning()))).collect();
    assert_eq!(named, expected);
    assert!(rows.iter().all(|row| row.len() == 3 && !row[2].is_empty()), "name, meaning, what to do");
}

#[test]
fn every_counter_is_explained_in_docs() {
    let expected: Vec<Vec<String>> = Counter::ALL
        .iter()
        .map(|counter| vec![counter.name().to_owned(), counter.meaning().replace('`', "")])
        .collect();
    assert_eq!(rows("counters.md", "Data plane"), expected);
}
