//! Cookies: under load an INIT counts only with one that its address was sent, and who answers keeps nothing.

use crate::common::*;
use treecast_core::answered_addresses::AnsweredAddresses;
use treecast_core::cookie::COOKIE_DATAGRAM_LEN;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::handshake::Handshake;
use treecast_core::noise::Failure;
use treecast_core::reason::Reason;

const SECOND_NS: u64 = 1_000_000_000;

fn initiate(index: u32) -> Handshake {
    Handshake::initiate(&[1; 32], &network(), index, [2; 32]).unwrap()
}

fn receive(
    node: &ForwardingTables,
    init: &[u8],
    last: u8,
    now_ns: u64,
) -> Result<Option<[u8; COOKIE_DATAGRAM_LEN]>, Reason> {
    node.receive_handshake(init, 0, endpoint(last).address, now_ns)
}

/// A node to which 150 INITs have come at once, each from an address of its own.
fn loaded() -> ForwardingTables {
    let node = tables(1);
    let init = initiate(9).init_datagram().unwrap().to_vec();
    let answers: Vec<_> = (0..150).map(|last| receive(&node, &init, last, NOW_NS).unwrap()).collect();
    assert!(answers[..100].iter().all(Option::is_none));
    assert!(answers[100..].iter().all(Option::is_some));
    assert_eq!(node.drain(1000, || {}).len(), 100);
    node
}

#[test]
fn under_load_an_init_counts_with_the_cookie_of_its_address_and_in_its_time() {
    let node = loaded();
    let one = initiate(11);
    let cookie = receive(&node, one.init_datagram().unwrap(), 200, NOW_NS).unwrap().expect("load");
    let init = one.with_cookie(&cookie).unwrap();
    assert_eq!(init.len(), one.init_datagram().unwrap().len());
    assert!(receive(&node, &init, 201, NOW_NS).unwrap().is_some(), "another address");
    assert_eq!(receive(&node, &init, 200, NOW_NS), Ok(None));
    assert_eq!(node.drain(1000, || {}).len(), 1);
    let later_ns = NOW_NS + 120 * SECOND_NS;
    (0..150).for_each(|last| assert!(receive(&node, &init, last, later_ns).is_ok()));
    assert!(receive(&node, &init, 200, later_ns).unwrap().is_some(), "another time");
    let mut two = Handshake::respond(&[3; 32], &network(), 22, &init, [4; 32]).unwrap();
    assert!(two.write_response(b"").is_ok());
}

#[test]
fn load_ends_a_second_after_the_last_init_above_the_rate() {
    let node = loaded();
    let init = initiate(11).init_datagram().unwrap().to_vec();
    assert!(receive(&node, &init, 200, NOW_NS + SECOND_NS - 1).unwrap().is_some());
    assert_eq!(receive(&node, &init, 200, NOW_NS + SECOND_NS), Ok(None));
}

#[test]
fn a_flood_of_inits_leaves_room_for_responses_and_finals() {
    let node = loaded();
    let init = initiate(9).init_datagram().unwrap().to_vec();
    (0..5000).for_each(|n| assert!(receive(&node, &init, (n % 250) as u8, NOW_NS).unwrap().is_some()));
    node.expected_answers.note(&init, NOW_NS);
    assert_eq!(receive(&node, &response_to(&init), 200, NOW_NS), Ok(None));
}

#[test]
fn a_flood_of_inits_from_the_peer_s_own_address_takes_nothing_from_the_peer() {
    let node = tables(1);
    let flood = initiate(9).init_datagram().unwrap().to_vec();
    let peer = initiate(11);
    let mut cookies = 0;
    for n in 0..900 {
        // 90 a second: no load, and above what one address may send without a cookie.
        let now_ns = NOW_NS + n * SECOND_NS / 90;
        cookies += u32::from(receive(&node, &flood, 200, now_ns).unwrap().is_some());
        node.drain(1000, || {});
    }
    assert!((150..250).contains(&cookies), "{cookies}");
    let now_ns = NOW_NS + 10 * SECOND_NS;
    (0..5000).for_each(|_| assert!(receive(&node, &flood, 200, now_ns).is_ok()));
    let cookie = receive(&node, peer.init_datagram().unwrap(), 200, now_ns).unwrap().expect("load");
    assert_eq!(receive(&node, &peer.with_cookie(&cookie).unwrap(), 200, now_ns), Ok(None));
}

#[test]
fn inits_with_a_cookie_are_limited_for_each_address() {
    let node = loaded();
    let cookie = receive(&node, initiate(11).init_datagram().unwrap(), 200, NOW_NS).unwrap().expect("load");
    let init = initiate(11).with_cookie(&cookie).unwrap();
    let counted = (0..1000).filter(|_| receive(&node, &init, 200, NOW_NS) == Ok(None)).count();
    assert_eq!(counted, 200);
    assert_eq!(receive(&node, &init, 200, NOW_NS), Err(Reason::HandshakeRateSource));
}

#[test]
fn an_answer_counts_where_one_is_expected_and_each_handshake_has_its_own_budget() {
    let node = tables(1);
    let (one, other) = (initiate(11).init_datagram().unwrap().to_vec(), initiate(12).init_datagram().unwrap().to_vec());
    let receive = |datagram: &[u8], now_ns| receive(&node, datagram, 200, now_ns);
    assert_eq!(receive(&response_to(&one), NOW_NS), Err(Reason::HandshakeUnknown));
    node.expected_answers.note(&one, NOW_NS);
    node.expected_answers.note(&other, NOW_NS);
    let counted = (0..1000).filter(|_| receive(&response_to(&one), NOW_NS) == Ok(None)).count();
    assert_eq!(counted, 16);
    assert_eq!(receive(&response_to(&one), NOW_NS), Err(Reason::HandshakeRateAnswers));
    assert_eq!(receive(&response_to(&other), NOW_NS), Ok(None));
    node.expected_answers.note(&one, NOW_NS + SECOND_NS);
    assert_eq!(
        receive(&response_to(&one), NOW_NS),
        Err(Reason::HandshakeRateAnswers),
        "repeated, it has no new budget"
    );
    node.expected_answers.note(&other, NOW_NS + 20 * SECOND_NS);
    assert_eq!(receive(&response_to(&one), NOW_NS + 20 * SECOND_NS), Ok(None));
    assert_eq!(receive(&response_to(&one), NOW_NS + 40 * SECOND_NS), Err(Reason::HandshakeUnknown));
    assert_eq!(receive(&response_to(&other), NOW_NS + 40 * SECOND_NS), Ok(None));
    assert_eq!(receive(&response_to(&other), NOW_NS + 90 * SECOND_NS), Err(Reason::HandshakeUnknown));
}

#[test]
fn who_displaces_others_among_the_answered_addresses_leaves_them_no_less() {
    let answered = AnsweredAddresses::default();
    let address = |n: u32| std::net::IpAddr::from(n.to_be_bytes());
    let of_one = (0..1000).filter(|_| answered.take(address(1), NOW_NS)).count();
    assert_eq!(of_one, 2);
    assert!((0..100_000).all(|n| answered.take(address(100 + n), NOW_NS)));
    assert!(answered.take(address(1), NOW_NS));
    assert!(answered.take(address(2), NOW_NS));
}

fn response_to(init: &[u8]) -> Vec<u8> {
    Handshake::respond(&[3; 32], &network(), 22, init, [4; 32]).unwrap().write_response(b"").unwrap()
}

#[test]
fn a_cookie_for_another_init_or_altered_is_refused() {
    let node = loaded();
    let (one, other) = (initiate(11), Handshake::initiate(&[1; 32], &network(), 11, [5; 32]).unwrap());
    let cookie = receive(&node, one.init_datagram().unwrap(), 200, NOW_NS).unwrap().expect("load");
    assert_eq!(other.with_cookie(&cookie).err(), Some(Failure::Datagram(Reason::HandshakeIndex)));
    for at in [8, 24, 40, 55] {
        let mut altered = cookie;
        altered[at] ^= 1;
        assert_eq!(one.with_cookie(&altered).err(), Some(Failure::Datagram(Reason::HandshakeMac)));
    }
}
