//! Where a node's datagrams go: an authentic datagram from elsewhere moves nothing, a challenge that was answered may.

use crate::common::*;
use proptest::prelude::*;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Received, Recent};
use treecast_core::datagram::{KIND_FRAME, KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY};
use treecast_core::events::Event;
use treecast_core::fingerprints::Probe;
use treecast_core::forward::NO_PATH;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::path::{Endpoint, Path};
use treecast_core::reason::Reason;

const FRAME: &[u8] = &[7; 60];
const SECOND_NS: u64 = 1_000_000_000;
const VALUE: u64 = 0xFEDC_BA98_7654_3210;

fn seen(session: u32, endpoint: Endpoint) -> Event {
    Event::PathSeen { peer: 1, session, endpoint }
}

fn events(tables: &ForwardingTables) -> Vec<Event> {
    let events = tables.events.drain(100, || {}).into_iter();
    events.filter(|event| !matches!(event, Event::SessionConfirmed { .. })).collect()
}

#[test]
fn an_authentic_datagram_from_elsewhere_is_news_and_moves_nothing() {
    let (one, two) = (tables(1), tables(2));
    let (session, back) = join(&one, &two, 10, Aead::Aes256Gcm);
    let (older, newer) = (seal(&session, KIND_FRAME, FRAME), seal(&session, KIND_FRAME, FRAME));
    let mut forged = newer.clone();
    forged[20] ^= 1;
    assert!(receive(&two, &forged, endpoint(66)).is_err());
    assert_eq!(events(&two), []);
    assert_eq!(receive(&two, &newer, endpoint(99)), Ok(Some(FRAME.to_vec())));
    assert_eq!(events(&two), [seen(11, endpoint(99))]);
    receive(&two, &older, endpoint(66)).unwrap();
    assert!(receive(&two, &newer, endpoint(66)).is_err());
    assert_eq!(events(&two), [], "neither a late datagram nor a replay is news");
    assert_eq!(back.endpoint(), endpoint(1));
}

#[test]
fn the_same_address_by_another_socket_is_elsewhere() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let other = Endpoint { socket: 1, ..endpoint(1) };
    receive(&two, &seal(&session, KIND_FRAME, FRAME), other).unwrap();
    assert_eq!(events(&two), [seen(11, other)]);
}

#[test]
fn an_address_is_news_once_a_second_and_a_node_four_times_and_then_once_a_second() {
    let (one, two) = (tables(1), tables(2));
    let (session, _) = join(&one, &two, 10, Aead::Aes256Gcm);
    let received = |from: u8, at_ns: u64| {
        receive_at(&two, &seal(&session, KIND_FRAME, FRAME), endpoint(from), at_ns).unwrap();
        events(&two).len()
    };
    assert_eq!((0..50).map(|n| received(99, NOW_NS + n)).sum::<usize>(), 1);
    assert_eq!(received(99, NOW_NS + SECOND_NS), 1);
    let many = (0..200).map(|n| received(50 + n % 40, NOW_NS + SECOND_NS + u64::from(n))).sum::<usize>();
    assert_eq!(many, 3, "the burst is four, of which one is spent");
    let later =
        (0..100).map(|n| received(100 + n, NOW_NS + 2 * SECOND_NS + u64::from(n) * SECOND_NS / 10)).sum::<usize>();
    assert!((10..=11).contains(&later), "{later} in ten seconds");
}

#[test]
fn all_sessions_of_a_node_send_where_its_path_was_set_and_those_to_come() {
    let (one, two) = (tables(1), tables(2));
    let (_, first) = join(&one, &two, 10, Aead::Aes256Gcm);
    let (_, second) = join(&one, &two, 20, Aead::Aes256Gcm);
    two.set_path(1, endpoint(99), NOW_NS);
    let (_, third) = join(&one, &two, 30, Aead::Aes256Gcm);
    assert_eq!([first, second, third].map(|session| session.endpoint()), [endpoint(99); 3]);
    assert_eq!(two.peer_at(&endpoint(99).address).map(|peer| peer.index), Some(1));
    assert!(two.peer_at(&endpoint(1).address).is_none());
    two.set_path(7, endpoint(98), NOW_NS);
    assert!(two.peer_at(&endpoint(98).address).is_none(), "a node without a session has no path");
}

#[test]
fn a_challenge_is_answered_to_where_it_came_from_and_its_answer_counts_once() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    receive(&two, &seal(&here, KIND_FRAME, FRAME), endpoint(99)).unwrap();
    assert_eq!(events(&two), [seen(11, endpoint(99))]);
    there.path.challenge(endpoint(99), VALUE);
    let mut challenge = seal(&there, KIND_PATH_CHALLENGE, &VALUE.to_be_bytes());
    let answer = one.receive_session(&mut challenge, endpoint(2), NOW_NS, &mut Recent::default());
    let Ok(Received::Answer(session, _, KIND_PATH_RESPONSE, VALUE)) = answer else { panic!("{answer:?}") };
    let from =
        |value: u64, from: Endpoint| receive(&two, &seal(&session, KIND_PATH_RESPONSE, &value.to_be_bytes()), from);
    assert_eq!(from(VALUE ^ 1, endpoint(99)), Err(Reason::PathResponseUnexpected));
    assert_eq!(events(&two), []);
    assert_eq!(from(VALUE, endpoint(99)), Ok(None));
    assert_eq!(events(&two), [Event::PathAnswered { peer: 1, session: 11, endpoint: endpoint(99) }]);
    assert_eq!(from(VALUE, endpoint(99)), Err(Reason::PathResponseUnexpected));
    assert_eq!(there.endpoint(), endpoint(1), "Python decides");
}

#[test]
fn a_newer_challenge_replaces_the_one_before_and_one_to_where_nobody_was_heard_is_none() {
    let path = Path::new(endpoint(1), NOW_NS);
    path.challenge(endpoint(99), 1);
    assert_eq!(path.answered(1), None);
    assert!(path.receive(endpoint(99), 36, NOW_NS));
    path.challenge(endpoint(99), 1);
    path.challenge(endpoint(99), 2);
    assert_eq!((path.answered(1), path.answered(2)), (None, Some(endpoint(99))));
    path.challenge(endpoint(99), 3);
    path.set(endpoint(99), NOW_NS);
    assert_eq!(path.answered(3), None, "it is the path already");
}

#[test]
fn a_probe_is_answered_to_where_it_came_from_whatever_the_path() {
    let (one, two) = (tables(1), tables(2));
    let (session, back) = join(&one, &two, 10, Aead::Aes256Gcm);
    let mut probe = seal(&session, KIND_PROBE, &Probe { value: VALUE, fingerprint: 0 }.emit());
    let length = probe.len();
    let answer = two.receive_session(&mut probe, endpoint(99), NOW_NS, &mut Recent::default());
    let Ok(Received::Answer(_, to, KIND_PROBE_REPLY, VALUE)) = answer else { panic!("{answer:?}") };
    assert_eq!(to, endpoint(99));
    let permitted = (0..10).filter(|_| back.path.may_send(endpoint(99), length)).count();
    assert_eq!(permitted, 3, "three bytes for each");
    assert_eq!(back.endpoint(), endpoint(1));
}

#[test]
fn a_path_that_answers_no_probe_is_counted_though_the_node_is_heard() {
    let (one, two) = (tables(1), tables(2));
    let (here, there) = join(&one, &two, 10, Aead::Aes256Gcm);
    let probe = |at_ns| {
        here.path.turn(false);
        here.probe(here.path.probed(), at_ns)
    };
    let answer = |value, from| {
        let reply = Probe { value, fingerprint: 0 }.emit();
        receive(&one, &seal(&there, KIND_PROBE_REPLY, &reply), endpoint(from))
    };
    let first = probe(NOW_NS);
    assert_eq!(answer(first, 99), Ok(None));
    assert_eq!(here.path.unanswered(), (0, 0), "from wherever: it was read on the path");
    (0..3).for_each(|turn| assert_ne!(probe(NOW_NS + turn), first));
    receive(&one, &seal(&there, KIND_FRAME, FRAME), endpoint(2)).unwrap();
    assert_eq!(answer(NOW_NS, 2), Err(Reason::ProbeUnexpected), "no value can be guessed from another, or the time");
    assert_eq!(here.path.unanswered(), (3, 0));
}

#[test]
fn an_answer_counts_for_the_path_that_its_probe_went_to() {
    let path = Path::new(endpoint(1), NOW_NS);
    let old = path.probed();
    path.turn(true);
    path.set(endpoint(99), NOW_NS);
    assert_eq!(path.unanswered(), (0, 1), "it has just answered");
    (0..2).for_each(|_| path.turn(true));
    path.probe_answered(old, NOW_NS);
    assert_eq!(path.unanswered(), (2, 3), "the path before has answered");
    path.probe_answered(path.probed_by_route(), NOW_NS);
    assert_eq!(path.unanswered(), (2, 0), "a neighbour leads there, and the path does not");
    path.turn(true);
    path.probe_answered(path.probed(), NOW_NS);
    assert_eq!(path.unanswered(), (0, 1));
    let by_the_one_before = path.probed_by_route();
    path.route_changed();
    assert_eq!(path.unanswered(), (0, 0));
    path.turn(true);
    path.probe_answered(by_the_one_before, NOW_NS);
    assert_eq!(path.unanswered(), (1, 1), "the route before has answered");
}

#[test]
fn a_path_is_silent_since_something_last_came_from_it() {
    let (one, two) = (tables(1), tables(2));
    let (session, back) = join(&one, &two, 10, Aead::Aes256Gcm);
    let received = |from: Endpoint, at_ns: u64| {
        receive_at(&two, &seal(&session, KIND_FRAME, FRAME), from, at_ns).unwrap();
        back.path.received_ns()
    };
    assert_eq!(received(endpoint(1), NOW_NS + SECOND_NS), NOW_NS + SECOND_NS);
    assert_eq!(received(endpoint(99), NOW_NS + 2 * SECOND_NS), NOW_NS + SECOND_NS, "from elsewhere");
    assert_eq!(received(NO_PATH, NOW_NS + 3 * SECOND_NS), NOW_NS + SECOND_NS, "by a neighbour");
    two.set_path(1, endpoint(99), NOW_NS + 4 * SECOND_NS);
    assert_eq!(back.path.received_ns(), NOW_NS + 4 * SECOND_NS);
}

proptest! {
    /// A member sends anything from any addresses: none gets more than three bytes for each, unless it is the path.
    #[test]
    fn no_address_gets_more_than_three_bytes_for_each_that_came_from_it(
        steps in prop::collection::vec((any::<bool>(), 2u8..12, 0usize..2000, 0u64..2_000_000_000), 1..400),
    ) {
        let path = Path::new(endpoint(1), NOW_NS);
        let (mut received, mut sent) = ([0u64; 12], [0u64; 12]);
        let mut now_ns = NOW_NS;
        for (is_heard, from, length, later_ns) in steps {
            now_ns += later_ns;
            if is_heard {
                path.receive(endpoint(from), length, now_ns);
                received[from as usize] += length as u64;
            } else if path.may_send(endpoint(from), length) {
                sent[from as usize] += length as u64;
            }
            prop_assert!(sent.iter().zip(&received).all(|(sent, received)| *sent <= 3 * received));
        }
        prop_assert!(path.may_send(endpoint(1), usize::MAX));
    }
}

#[test]
fn an_address_of_a_forgotten_node_is_nobody_s_even_when_that_node_is_there_again_elsewhere() {
    let (one, two) = (tables(1), tables(2));
    join(&one, &two, 10, Aead::Aes256Gcm);
    two.forget_peer(1);
    join_found(&one, &two, 20, Aead::Aes256Gcm, Some(endpoint(99)));
    assert_eq!(two.peer_at(&endpoint(99).address).map(|peer| peer.index), Some(1));
    assert!(two.peer_at(&endpoint(1).address).is_none());
}

#[test]
fn an_address_that_another_node_has_by_now_stays_that_node_s_when_the_one_before_moves() {
    let (one, two, three) = (tables(1), tables(2), tables(3));
    join(&one, &two, 10, Aead::Aes256Gcm);
    join_found(&three, &two, 20, Aead::Aes256Gcm, Some(endpoint(1)));
    two.set_path(1, endpoint(99), NOW_NS);
    assert_eq!([1, 99].map(|last| two.peer_at(&endpoint(last).address).map(|peer| peer.index)), [Some(3), Some(1)]);
}
