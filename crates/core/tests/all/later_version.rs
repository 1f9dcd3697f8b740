//! A node of a later version beside one of this: records that may grow have more behind them, and count as they are.

use crate::anchors::{Members, NAME};
use crate::common::*;
use crate::repair;
use treecast_core::aead::Aead;
use treecast_core::anchor::Anchor;
use treecast_core::arrival::{Received, Recent};
use treecast_core::datagram::{Inner, PartialChecksum, KIND_ANCHOR, KIND_CONTROL, KIND_TREE_STATE, MAX_DATAGRAM_LEN};
use treecast_core::datagram::{KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY};
use treecast_core::events::Event;
use treecast_core::fingerprints::Probe;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::path::Endpoint;
use treecast_core::reason::Reason;
use treecast_core::session::{Session, SESSION_BODY_OFFSET};
use treecast_core::tree_mark::{TreeMark, KIND_ANCHOR_REQUEST, KIND_GRAFT, KIND_TICK};
use treecast_core::tree_state::TreePlace;

const VALUE: u64 = 0xFEDC_BA98_7654_3210;

/// The record as a later version writes it.
fn grown(record: &[u8]) -> Vec<u8> {
    [record, b"of a later version"].concat()
}

/// The node takes a grown record of the session's other end.
fn take(at: &ForwardingTables, session: &Session, kind: u8, record: &[u8], from: Endpoint) -> Result<Received, Reason> {
    at.receive_session(&mut seal(session, kind, &grown(record)), from, NOW_NS, &mut Recent::default())
}

#[test]
fn a_grown_challenge_is_answered_and_a_grown_response_proves_the_path() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    receive(&two, &seal(&here, KIND_PROBE, &Probe { value: 1, fingerprint: 0 }.emit()), endpoint(99)).unwrap();
    there.path.challenge(endpoint(99), VALUE);
    let answer = take(&one, &there, KIND_PATH_CHALLENGE, &VALUE.to_be_bytes(), endpoint(2));
    assert!(matches!(answer, Ok(Received::Answer(_, _, KIND_PATH_RESPONSE, VALUE))), "{answer:?}");
    let proved = take(&two, &here, KIND_PATH_RESPONSE, &VALUE.to_be_bytes(), endpoint(99));
    assert!(matches!(proved, Ok(Received::Done)), "{proved:?}");
    let events = two.events.drain(100, || {});
    assert!(events.contains(&Event::PathAnswered { peer: 1, session: 11, endpoint: endpoint(99) }));
}

#[test]
fn a_challenge_or_a_response_that_is_cut_off_is_malformed() {
    let (one, two) = (tables(1), tables(2));
    let (here, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    for kind in [KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE] {
        assert_eq!(receive(&two, &seal(&here, kind, &[0; 7]), endpoint(1)), Err(Reason::InnerMalformed));
    }
}

#[test]
fn grown_probes_and_replies_measure_the_way() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    let value = here.probe(here.path.probed(), NOW_NS - 3_000_000);
    let probe = Probe { value, fingerprint: 7 };
    let answer = take(&two, &here, KIND_PROBE, &probe.emit(), endpoint(1));
    assert!(matches!(answer, Ok(Received::Answer(_, _, KIND_PROBE_REPLY, _))), "{answer:?}");
    let reply = take(&one, &there, KIND_PROBE_REPLY, &probe.emit_reply(5), endpoint(2));
    assert!(matches!(reply, Ok(Received::Done)), "{reply:?}");
    assert_eq!(here.rtt_ms(), Some(3.0));
}

#[test]
fn grown_anchors_requests_and_states_count() {
    let members = Members::new(leaf());
    let Members { root, member } = &members;
    let (to_member, to_root) = (root.session_to(2).unwrap(), member.session_to(1).unwrap());
    let asked = TreeMark { tree: NAME, counter: 7 };
    let answer = take(root, &to_root, KIND_ANCHOR_REQUEST, &asked.emit(), endpoint(2));
    assert!(matches!(&answer, Ok(Received::Anchor(anchor, _)) if anchor.answers == 7), "{answer:?}");
    let anchor =
        Anchor { in_use_ms: 500, first_counter: 1, answers: 7, last_counter: 8, ..Anchor::at(NAME, KEY_ID, 9) };
    assert_eq!(Anchor::parse(&grown(&anchor.emit())), Ok(anchor));
    assert!(take(member, &to_member, KIND_ANCHOR, &anchor.emit(), endpoint(1)).is_ok());
    let place = TreePlace { parent: 1, ..relaying(&[7, 8]) };
    let state = root.tree_state(NAME.stream, NAME.epoch, &place).unwrap();
    assert!(take(member, &to_member, KIND_TREE_STATE, &state, endpoint(1)).is_ok());
    accept_places(member);
    assert_eq!(members.take(&members.genuine()), Ok(crate::anchors::FRAME.to_vec()));
}

#[test]
fn a_grown_graft_and_a_grown_tick_of_a_backup_count() {
    let network = repair::Network::new();
    let mark = TreeMark { tree: repair::NAME, counter: 0 };
    let to_backup = network.child.session_to(4).unwrap();
    let graft = take(&network.backup, &to_backup, KIND_GRAFT, &mark.emit(), endpoint(3));
    assert!(matches!(graft, Ok(Received::Retransmission(_, 3))), "{graft:?}");
    let to_child = network.backup.session_to(3).unwrap();
    let tick = take(&network.child, &to_child, KIND_TICK, &mark.emit(), endpoint(4));
    assert!(matches!(tick, Ok(Received::Done)), "{tick:?}");
}

#[test]
fn an_unknown_kind_is_unknown_whatever_its_flags_and_unknown_flags_of_a_known_one_are_malformed() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let send = |kind: u8| {
        let mut buffer = vec![0; MAX_DATAGRAM_LEN];
        let flagged = Inner { kind, checksum: Some(PartialChecksum { start: 255, offset: 255 }) };
        let length = session.seal(flagged, 20, &mut buffer).unwrap();
        assert!(length > SESSION_BODY_OFFSET);
        receive(&two, &buffer[..length], endpoint(1))
    };
    assert_eq!(send(16), Err(Reason::KindUnknown));
    assert_eq!(send(KIND_CONTROL), Err(Reason::InnerMalformed));
    assert_eq!(send(KIND_ANCHOR_REQUEST), Err(Reason::InnerMalformed));
}
