//! Costs of a tree datagram in the data plane, without the kernel: sealed at its root, received at a member, the parts of that, the
//! signatures of broadcast, and the MAC of frames from a bridge (`cargo bench --package treecast-core`, `make bench`).
//!
//! At a member: tree found, address of a parent (RPF), tree tag, key and its step, AEAD, window, and last the frame's source held
//! against certificates. Batches are as the kernel joins datagrams of one sender.

use std::hint::black_box;
use std::time::{Duration, Instant};

use treecast_core::aead::{Aead, AeadKey};
use treecast_core::arrival::{Opened, Recent};
use treecast_core::broadcast_signature::verify as signature_is_of;
use treecast_core::datagram::{Inner, INNER_LEN, KIND_FRAME, MAX_DATAGRAM_LEN};
use treecast_core::datagram::{TREE_ASSOCIATED_LEN, TREE_HEADER_LEN, TREE_TAG_LEN};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::{Frame, Headers, Mac};
use treecast_core::key_steps::STEP_NS;
use treecast_core::offload::VnetHeader;
use treecast_core::root_tree::{RootTree, TREE_BODY_OFFSET};
use treecast_core::tree_tag::TreeKey;

#[allow(dead_code)]
#[path = "../tests/all/common.rs"]
mod common;

use common::{endpoint, join, leaf, signing_key, tables, tree, NOW_NS};

/// The counters are nearly all that a member takes before its root has to send an anchor.
const DATAGRAMS: usize = 16_000;
const BATCH: usize = 44;
const STEPS: u64 = 400;
const SIGNATURES: usize = 1000;
const RUNS: usize = 15;
const SIZES: [usize; 2] = [64, 1200];

fn main() {
    for size in SIZES {
        let what = format!("tree datagram of a frame of {size} bytes");
        report(&format!("{what}, sealed"), DATAGRAMS, || passed(size, |_, _| {}).0);
        report(&format!("{what}, opened, batches of {BATCH}"), DATAGRAMS, || passed(size, open_together).1);
        report(&format!("{what}, opened, each looked up anew"), DATAGRAMS, || passed(size, open_alone).1);
        report(&format!("{what}, its tree tag alone"), DATAGRAMS, || passed(size, verify).1);
        report(&format!("{what}, its AES-GCM alone"), DATAGRAMS, || passed(size, encrypt).1);
    }
    report("the next step of a sender key, sealed and opened", STEPS as usize, stepped);
    let (key, associated, text) = (signing_key(1), [7; TREE_ASSOCIATED_LEN], [7; INNER_LEN + 64]);
    report("the signature of a broadcast frame of 64 bytes, made", SIGNATURES, || {
        timed(|| assert!(black_box(&key).sign(black_box(&associated), &text).is_ok()))
    });
    let (public, signature) = (key.public(), key.sign(&associated, &text).unwrap());
    report("the signature of a broadcast frame of 64 bytes, checked", SIGNATURES, || {
        timed(|| assert!(signature_is_of(black_box(&public), black_box(&associated), &text, &signature)))
    });
    for (mac, address, what) in OWN_SOURCES {
        report(&format!("a look at the MAC of a frame from the TAP, {what}"), DATAGRAMS, || looked_at(mac, address));
    }
}

/// The bridge's MAC, an address on it, and whose frames come: those have the MAC and the address of [`frame`].
const OWN_SOURCES: [(Option<Mac>, [u8; 4], &str); 4] = [
    (None, [192, 0, 2, 1], "no bridge"),
    (Some([9; 6]), [192, 0, 2, 1], "of a host of the LAN"),
    (Some([2, 0x54, 0, 0, 0, 1]), [192, 0, 2, 9], "of the machine's address on the LAN"),
    (Some([2, 0x54, 0, 0, 0, 1]), [192, 0, 2, 1], "of the machine's address of the overlay"),
];

fn looked_at(bridge: Option<Mac>, address: [u8; 4]) -> Duration {
    let tables = tables(1);
    tables.set_bridge_mac(bridge, [address.into()].into());
    let mut frames: Vec<Vec<u8>> = (0..BATCH).map(|_| frame(64)).collect();
    let (vnet, headers) = (VnetHeader::default(), Headers::parse(&frames[0]));
    let begin = Instant::now();
    for _ in 0..DATAGRAMS / BATCH {
        let own_source = black_box(&tables).own_source();
        for frame in &mut frames {
            if let Some(own_source) = own_source.as_deref() {
                own_source.put_on(&vnet, black_box(frame), black_box(headers));
            }
        }
    }
    begin.elapsed()
}

fn timed(one: impl Fn()) -> Duration {
    let begin = Instant::now();
    (0..SIGNATURES).for_each(|_| one());
    begin.elapsed()
}

fn frame(size: usize) -> Vec<u8> {
    let ipv4 = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 239, 1, 1, 1];
    let mut frame = [&[1, 0, 0x5E, 1, 1, 1, 2, 0x54, 0, 0, 0, 1, 0x08, 0x00], &ipv4[..]].concat();
    frame.resize(size, 0);
    frame
}

fn seal(root: &RootTree, frame: &[u8], buffer: &mut [u8]) -> usize {
    buffer[TREE_BODY_OFFSET..][..frame.len()].copy_from_slice(frame);
    root.seal(&root.members.load(), Inner { kind: KIND_FRAME, checksum: None }, frame.len(), buffer).unwrap()
}

/// How long it took to seal all, and to do with them what a member does, a batch after the other.
fn passed(size: usize, take: impl Fn(&ForwardingTables, &mut [&mut [u8]])) -> (Duration, Duration) {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    let (frame, mut buffers) = (frame(size), vec![vec![0; MAX_DATAGRAM_LEN]; BATCH]);
    let (mut sealing, mut taking) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..DATAGRAMS / BATCH {
        let begin = Instant::now();
        let mut datagrams: Vec<&mut [u8]> = Vec::with_capacity(BATCH);
        for buffer in &mut buffers {
            let length = seal(&root, &frame, buffer);
            datagrams.push(&mut buffer[..length]);
        }
        let between = Instant::now();
        take(black_box(&two), &mut datagrams);
        (sealing, taking) = (sealing + (between - begin), taking + between.elapsed());
    }
    (sealing, taking)
}

fn open_together(member: &ForwardingTables, datagrams: &mut [&mut [u8]]) {
    let mut recent = Recent::default();
    datagrams.iter_mut().for_each(|datagram| receive(member, datagram, &mut recent, NOW_NS));
}

fn open_alone(member: &ForwardingTables, datagrams: &mut [&mut [u8]]) {
    datagrams.iter_mut().for_each(|datagram| receive(member, datagram, &mut Recent::default(), NOW_NS));
}

fn receive(member: &ForwardingTables, datagram: &mut [u8], recent: &mut Recent, now_ns: u64) {
    let (header, tree) = member.receive_tree(datagram, endpoint(1).address, NOW_NS, recent).unwrap();
    let tree = tree.clone();
    let Ok(Opened::Frame(opened)) = member.open_tree(&tree, &header, datagram, false, now_ns) else {
        unreachable!("a whole frame")
    };
    let frame = Frame::read(&datagram[opened.start..opened.start + opened.length]);
    member.check_source(&frame, opened.ingress, recent).unwrap();
}

fn verify(_: &ForwardingTables, datagrams: &mut [&mut [u8]]) {
    let key = TreeKey::new([9; 16]);
    assert!(datagrams.iter().all(|datagram| key.verify(datagram)));
}

fn encrypt(_: &ForwardingTables, datagrams: &mut [&mut [u8]]) {
    thread_local!(static KEY: AeadKey = AeadKey::new(Aead::Aes256Gcm, &[8; 32]).unwrap());
    KEY.with(|key| {
        for datagram in datagrams {
            let sealed = datagram.len() - TREE_TAG_LEN;
            key.seal(1, TREE_HEADER_LEN, &mut datagram[..sealed]).unwrap();
        }
    });
}

/// Each 10 s a key is derived, at the root and at each member.
fn stepped() -> Duration {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    let (root, _) = tree(&one, &two, 5, leaf());
    let (mut buffer, frame) = (vec![0; MAX_DATAGRAM_LEN], frame(64));
    root.advance(&root.members.load(), NOW_NS);
    let begin = Instant::now();
    for step in 1..=STEPS {
        let now_ns = NOW_NS + step * STEP_NS;
        root.advance(&root.members.load(), now_ns);
        let length = seal(&root, &frame, &mut buffer);
        receive(&two, &mut buffer[..length], &mut Recent::default(), now_ns);
    }
    begin.elapsed()
}

/// Prints the median of the runs, for one.
fn report(name: &str, count: usize, run: impl Fn() -> Duration) {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    times.sort();
    println!("{name}: {:.0} ns", times[RUNS / 2].as_secs_f64() * 1e9 / count as f64);
}
