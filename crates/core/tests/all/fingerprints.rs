//! Fingerprints in probes and replies: what of a peer's reaches Python, and how often.

use crate::common::*;
use treecast_core::aead::Aead;
use treecast_core::datagram::{KIND_PROBE, KIND_PROBE_REPLY};
use treecast_core::events::Event;
use treecast_core::fingerprints::{Probe, PROBE_LEN};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;

/// Half a second: of one peer a difference is reported no more often.
const INTERVAL_NS: u64 = 500_000_000;

fn differences(tables: &ForwardingTables) -> Vec<u128> {
    let difference = |event: &Event| match event {
        Event::FingerprintDiffers { peer: 1, difference } => Some(*difference),
        _ => None,
    };
    tables.drain(100, || {}).iter().filter_map(difference).collect()
}

#[test]
fn a_probe_is_its_value_and_the_fingerprint_and_what_stands_behind_is_left_alone() {
    let probe = Probe { value: 0x0102_0304_0506_0708, fingerprint: 7 };
    let mut bytes = probe.emit().to_vec();
    assert_eq!(bytes, [&[1, 2, 3, 4, 5, 6, 7, 8][..], &[0; 15], &[7]].concat());
    bytes.push(99);
    assert_eq!(Probe::parse(&bytes), Ok(probe));
    assert_eq!(Probe::parse(&bytes[..PROBE_LEN - 1]), Err(Reason::InnerMalformed));
}

#[test]
fn probes_and_replies_with_another_fingerprint_reach_python_and_those_with_the_same_do_not() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    two.fingerprints.set(5);
    let probe = |fingerprint| seal(&here, KIND_PROBE, &Probe { value: 1, fingerprint }.emit());
    receive(&two, &probe(5), endpoint(1)).unwrap();
    assert_eq!(differences(&two), [0; 0]);
    receive(&two, &probe(3), endpoint(1)).unwrap();
    assert_eq!(differences(&two), [u128::MAX - 1]);
    let value = there.probe(there.path.probed(), NOW_NS);
    let reply = |value| seal(&here, KIND_PROBE_REPLY, &Probe { value, fingerprint: 9 }.emit());
    receive_at(&two, &reply(value), endpoint(1), NOW_NS + INTERVAL_NS).unwrap();
    assert_eq!(differences(&two), [4]);
    let unexpected = receive_at(&two, &reply(value), endpoint(1), NOW_NS + 2 * INTERVAL_NS);
    assert_eq!(unexpected, Err(Reason::ProbeUnexpected));
    assert_eq!(differences(&two), [0; 0], "a reply to no probe says nothing");
}

#[test]
fn a_peer_that_agrees_again_is_reported_once() {
    let tables = tables(2);
    let compare = |theirs, now_ns| tables.fingerprints.compare(1, theirs, now_ns);
    assert_eq!(compare(6, 0), Some(6));
    tables.fingerprints.set(6);
    assert_eq!(compare(6, INTERVAL_NS), Some(0));
    assert_eq!(compare(6, 2 * INTERVAL_NS), None);
}

#[test]
fn a_peer_that_sends_probes_without_end_is_reported_four_times_a_second_at_most() {
    let tables = tables(2);
    let probes = (0..10_000).filter_map(|ms| tables.fingerprints.compare(1, ms % 2, ms as u64 * 1_000_000));
    assert!(probes.count() <= 40);
}

#[test]
fn a_peer_that_is_forgotten_is_reported_anew() {
    let tables = tables(2);
    assert_eq!(tables.fingerprints.compare(1, 6, 0), Some(6));
    tables.forget_peer(1);
    assert_eq!(tables.fingerprints.compare(1, 6, 1), Some(6));
}
