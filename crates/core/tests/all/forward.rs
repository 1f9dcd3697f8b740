//! Datagrams that a node between two others sends on: what it may do with them, and what nobody may.

use crate::common::*;
use proptest::prelude::*;
use std::sync::Arc;
use treecast_core::aead::Aead;
use treecast_core::arrival::{IngressNode, Opened, Received, Recent};
use treecast_core::datagram::{AEAD_TAG_LEN, KIND_FORWARD, KIND_FRAME, KIND_PROBE, KIND_PROBE_REPLY};
use treecast_core::datagram::{COOKIE, INIT};
use treecast_core::events::Event;
use treecast_core::fingerprints::Probe;
use treecast_core::forward::{ForwardHeader, FORWARD_HEADER_LEN, HOP_LIMIT, NO_PATH};
use treecast_core::forward_budgets::Class;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::handshake::Handshake;
use treecast_core::reason::Reason;
use treecast_core::root_tree::Hops;
use treecast_core::session::{Session, SESSION_BODY_OFFSET};
use treecast_core::table::Refused;

const FRAME: &[u8] = b"\x02\x54\0\0\0\x03\x02\x54\0\0\0\x01\x08\0and then some payload";
const SECOND_NS: u64 = 1_000_000_000;

/// 1 and 3 have a session, and each a link with 2: what 1 has with 2, and with 3.
struct Line {
    nodes: [ForwardingTables; 3],
    to_two: Arc<Session>,
    to_three: Arc<Session>,
}

fn line() -> Line {
    let nodes = [1, 2, 3].map(tables);
    let (to_two, _) = join(&nodes[0], &nodes[1], 10, Aead::Aes256Gcm);
    join(&nodes[1], &nodes[2], 20, Aead::Aes256Gcm);
    let (to_three, _) = join(&nodes[0], &nodes[2], 30, Aead::Aes256Gcm);
    Line { nodes, to_two, to_three }
}

impl Line {
    /// A frame sealed for 3.
    fn inner(&self) -> Vec<u8> {
        seal(&self.to_three, KIND_FRAME, FRAME)
    }

    /// The body that 1 seals for 2.
    fn body(&self) -> Vec<u8> {
        body(ForwardHeader::first(3, 1), &self.inner())
    }

    /// The body as 2 gets it, in a datagram of 1.
    fn at_two(&self, body: &[u8]) -> Result<(Received, Vec<u8>), Reason> {
        arrive(&self.nodes[1], &seal(&self.to_two, KIND_FORWARD, body), 1, NOW_NS)
    }

    /// The body as 3 gets it, in a datagram of 2.
    fn at_three(&self, body: &[u8]) -> Result<(Received, Vec<u8>), Reason> {
        let to_three = self.nodes[1].session_to(3).unwrap();
        arrive(&self.nodes[2], &seal(&to_three, KIND_FORWARD, body), 2, NOW_NS)
    }
}

fn body(header: ForwardHeader, inner: &[u8]) -> Vec<u8> {
    [&header.emit()[..], inner].concat()
}

/// A datagram of a node as another gets it: what it is, and the opened datagram.
fn arrive(at: &ForwardingTables, datagram: &[u8], from: u8, now_ns: u64) -> Result<(Received, Vec<u8>), Reason> {
    let mut buffer = datagram.to_vec();
    let received = at.receive_session(&mut buffer, endpoint(from), now_ns, &mut Recent::default())?;
    Ok((received, buffer))
}

/// The body that is to be sent on, and to whom.
fn onwards((received, opened): (Received, Vec<u8>)) -> (u32, Vec<u8>) {
    let Received::Forward(next) = received else { panic!("to be sent on: {received:?}") };
    (next.peer, opened[SESSION_BODY_OFFSET..opened.len() - AEAD_TAG_LEN].to_vec())
}

fn init(index: u32) -> Vec<u8> {
    Handshake::initiate(&[7; 32], &network(), index, [index as u8; 32]).unwrap().init_datagram().unwrap().to_vec()
}

#[test]
fn a_frame_goes_by_the_node_between_which_sees_nothing_of_it() {
    let line = line();
    let (next, sent_on) = onwards(line.at_two(&line.body()).unwrap());
    assert_eq!(next, 3);
    let header = ForwardHeader::parse(&sent_on).unwrap();
    assert_eq!(header, ForwardHeader { destination: 3, source: 1, hop_limit: HOP_LIMIT - 1 });
    let inner = &sent_on[FORWARD_HEADER_LEN..];
    assert!(!inner.windows(8).any(|window| FRAME.windows(8).any(|part| part == window)), "sealed from end to end");
    assert_eq!(receive(&line.nodes[1], inner, endpoint(1)), Err(Reason::SessionUnknown), "2 has no key of it");
    let (received, opened) = line.at_three(&sent_on).unwrap();
    let Received::Opened(Opened::Frame(frame)) = received else { panic!("a frame: {received:?}") };
    assert_eq!((&opened[frame.start..][..frame.length], frame.ingress), (FRAME, IngressNode::peer(1)));
    assert_eq!(line.at_three(&sent_on).unwrap_err(), Reason::SessionReplay);
}

#[test]
fn the_node_between_can_change_nothing_of_it_and_make_nothing_up() {
    let line = line();
    let (_, sent_on) = onwards(line.at_two(&line.body()).unwrap());
    for at in [FORWARD_HEADER_LEN + 12, FORWARD_HEADER_LEN + 20, sent_on.len() - 1] {
        let mut altered = sent_on.clone();
        altered[at] ^= 1;
        assert_eq!(line.at_three(&altered).unwrap_err(), Reason::SessionAuth);
    }
    let own = seal(&line.nodes[1].session_to(3).unwrap(), KIND_FRAME, FRAME);
    let (received, _) = line.at_three(&body(ForwardHeader { destination: 3, source: 1, hop_limit: 7 }, &own)).unwrap();
    let Received::Opened(Opened::Frame(frame)) = received else { panic!("a frame: {received:?}") };
    assert_eq!(frame.ingress, IngressNode::peer(2), "what 2 seals is of 2, whatever it says before it");
}

#[test]
fn what_a_neighbour_brings_shows_no_address() {
    let line = line();
    let before = line.nodes[2].session_to(1).unwrap().endpoint();
    let (_, sent_on) = onwards(line.at_two(&line.body()).unwrap());
    line.nodes[2].drain(16, || {});
    line.at_three(&sent_on).unwrap();
    assert_eq!(line.nodes[2].session_to(1).unwrap().endpoint(), before);
    let moved = line.nodes[2].drain(16, || {}).iter().any(|event| matches!(event, Event::PathSeen { .. }));
    assert!(!moved, "2 is where it was");
}

#[test]
fn what_answers_a_probe_that_a_neighbour_has_brought_goes_back_by_it() {
    let line = line();
    let probe = seal(&line.to_three, KIND_PROBE, &Probe { value: 7, fingerprint: 0 }.emit());
    let (_, sent_on) = onwards(line.at_two(&body(ForwardHeader::first(3, 1), &probe)).unwrap());
    let (received, _) = line.at_three(&sent_on).unwrap();
    let Received::AnswerBy(session, neighbour, KIND_PROBE_REPLY, 7) = received else { panic!("{received:?}") };
    assert_eq!((session.peer, neighbour.peer), (1, 2), "though 3 has a path to 1");
}

#[test]
fn what_is_in_a_forward_is_no_forward_itself() {
    let line = line();
    let three_to_one = line.body();
    let nested = seal(&line.to_three, KIND_FORWARD, &three_to_one);
    let (_, sent_on) = onwards(line.at_two(&body(ForwardHeader::first(3, 1), &nested)).unwrap());
    assert_eq!(line.at_three(&sent_on).unwrap_err(), Reason::ForwardMalformed);
}

#[test]
fn a_header_that_cannot_be_is_refused() {
    let line = line();
    let good = line.body();
    let with = |at: usize, bytes: &[u8]| {
        let mut altered = good.clone();
        altered[at..at + bytes.len()].copy_from_slice(bytes);
        line.at_two(&altered).map(|_| ())
    };
    assert_eq!(with(0, &[0; 4]), Err(Reason::ForwardMalformed), "for nobody");
    assert_eq!(with(4, &[0; 4]), Err(Reason::ForwardMalformed), "of nobody");
    assert_eq!(with(0, &[0, 0, 0, 1]), Err(Reason::ForwardMalformed), "for its source");
    assert_eq!(with(8, &[0]), Err(Reason::ForwardMalformed), "over before it began");
    for reserved in 9..12 {
        assert_eq!(with(reserved, &[1]), Err(Reason::ForwardMalformed), "reserved");
    }
    for kind in [0xC5, 0x45, 0] {
        assert_eq!(with(FORWARD_HEADER_LEN, &[kind]), Err(Reason::ForwardMalformed), "no datagram of two nodes");
    }
    assert_eq!(line.at_two(&good[..FORWARD_HEADER_LEN + 35]).unwrap_err(), Reason::ForwardMalformed);
    assert!(line.at_two(&good[..FORWARD_HEADER_LEN + 36]).is_ok(), "what is in it is the destination's to judge");
}

#[test]
fn a_neighbour_that_begins_a_way_is_its_source() {
    let line = line();
    let forged = |hop_limit| line.at_two(&body(ForwardHeader { destination: 3, source: 4, hop_limit }, &line.inner()));
    assert_eq!(forged(HOP_LIMIT).unwrap_err(), Reason::ForwardSource);
    assert_eq!(forged(255).unwrap_err(), Reason::ForwardSource, "a higher one counts as the highest");
    assert!(forged(HOP_LIMIT - 1).is_ok(), "which it may have from another");
}

#[test]
fn a_datagram_goes_no_further_than_its_hop_limit_and_not_in_circles() {
    let line = line();
    let hops = |hop_limit| line.at_two(&body(ForwardHeader { destination: 3, source: 4, hop_limit }, &line.inner()));
    assert_eq!(hops(1).unwrap_err(), Reason::ForwardHopLimit);
    let (_, sent_on) = onwards(hops(2).unwrap());
    assert_eq!(sent_on[8], 1);
    let (_, sent_on) = onwards(
        line.at_two(&body(ForwardHeader { destination: 3, source: 1, hop_limit: 255 }, &line.inner())).unwrap(),
    );
    assert_eq!(sent_on[8], HOP_LIMIT - 1);
    let of_two = body(ForwardHeader { destination: 3, source: 2, hop_limit: 5 }, &line.inner());
    assert_eq!(line.at_two(&of_two).unwrap_err(), Reason::ForwardOwn);
    line.nodes[1].set_node_route(3, 1).unwrap();
    assert_eq!(line.at_two(&line.body()).unwrap_err(), Reason::ForwardNoRoute, "not back to where it came from");
}

#[test]
fn what_has_no_next_hop_is_dropped_by_name() {
    let line = line();
    let to = |destination| line.at_two(&body(ForwardHeader::first(destination, 1), &line.inner()));
    assert_eq!(to(9).unwrap_err(), Reason::ForwardNoRoute, "nobody has a session with it");
    line.nodes[1].set_node_route(9, 3).unwrap();
    assert_eq!(onwards(to(9).unwrap()).0, 3, "a route leads there");
    line.nodes[1].set_node_route(3, 4).unwrap();
    assert_eq!(to(9).unwrap_err(), Reason::ForwardNoRoute, "its next hop has no path now");
    assert_eq!(to(3).unwrap_err(), Reason::ForwardNoRoute, "nor has the next hop of that a session");
    line.nodes[1].remove_node_route(3);
    assert_eq!(onwards(to(3).unwrap()).0, 3);
    assert_eq!(line.nodes[1].set_node_route(2, 3), Err(Refused::Invalid), "to itself");
    assert_eq!(line.nodes[1].set_node_route(3, 2), Err(Refused::Invalid), "by itself");
    assert_eq!(line.nodes[1].set_node_route(3, 3), Err(Refused::Invalid), "by its end");
}

#[test]
fn a_session_without_a_path_is_no_next_hop_but_has_one() {
    let line = line();
    assert!(line.nodes[0].route_to(3).is_none());
    line.nodes[0].set_node_route(3, 2).unwrap();
    assert_eq!(line.nodes[0].route_to(3).unwrap().unwrap().peer, 2);
    assert_eq!(line.nodes[0].neighbour(3).unwrap_err(), Reason::ForwardNoRoute);
    line.nodes[0].remove_node_route(3);
    assert_eq!(line.nodes[0].neighbour(3).unwrap().peer, 3);
    line.nodes[0].set_path(3, NO_PATH, NOW_NS);
    assert_eq!(line.nodes[0].neighbour(3).unwrap_err(), Reason::ForwardNoRoute);
}

#[test]
fn a_neighbour_has_its_budget_and_takes_nothing_of_anothers() {
    let line = line();
    let from_three = {
        let (to_one, to_two) = (line.nodes[2].session_to(1).unwrap(), line.nodes[2].session_to(2).unwrap());
        move || seal(&to_two, KIND_FORWARD, &body(ForwardHeader::first(1, 3), &seal(&to_one, KIND_FRAME, FRAME)))
    };
    let large = body(ForwardHeader::first(3, 1), &[&line.inner()[..], &[0; 988]].concat());
    let send = |now_ns| arrive(&line.nodes[1], &seal(&line.to_two, KIND_FORWARD, &large), 1, now_ns).map(|_| ());
    let burst = (0..1000).take_while(|_| send(NOW_NS).is_ok()).count();
    assert!((131_072 / large.len()..=131_072 / large.len() + 1).contains(&burst), "{burst}");
    assert_eq!(send(NOW_NS), Err(Reason::ForwardBudget));
    assert!(arrive(&line.nodes[1], &from_three(), 3, NOW_NS).is_ok(), "of another neighbour");
    let later = NOW_NS + 10 * SECOND_NS;
    (0..1000).take_while(|_| send(later).is_ok()).count();
    let in_a_second = (0..1000).take_while(|_| send(later + SECOND_NS).is_ok()).count() * large.len();
    assert!(in_a_second.abs_diff(64_000) <= 2 * large.len(), "{in_a_second}");
    join(&line.nodes[0], &line.nodes[1], 50, Aead::Aes256Gcm);
    let again = seal(&line.nodes[0].session_to(2).unwrap(), KIND_FORWARD, &large);
    assert_eq!(
        arrive(&line.nodes[1], &again, 1, later + SECOND_NS).unwrap_err(),
        Reason::ForwardBudget,
        "a new session"
    );
}

#[test]
fn own_frames_have_less_than_the_next_hop_sends_on() {
    let line = line();
    let in_all: usize =
        (0..1000).take_while(|_| line.nodes[0].may_take_route((2, 9), Class::Unicast, 1000, NOW_NS).is_ok()).count()
            * 1000;
    assert!(in_all.abs_diff(65_536) <= 1000, "{in_all}");
    assert_eq!(line.nodes[0].may_take_route((2, 9), Class::Unicast, 1000, NOW_NS), Err(Reason::ForwardBudget));
    assert_eq!(line.nodes[0].may_take_route((3, 9), Class::Unicast, 1000, NOW_NS), Ok(()), "another next hop");
    let next = NOW_NS + SECOND_NS;
    let in_a_second =
        (0..1000).take_while(|_| line.nodes[0].may_take_route((2, 9), Class::Unicast, 1000, next).is_ok()).count()
            * 1000;
    assert!(in_a_second.abs_diff(48_000) <= 1000, "{in_a_second}");
}

#[test]
fn a_handshake_comes_to_python_with_the_neighbour_that_brought_it_and_its_source() {
    let line = line();
    let begun = init(77);
    let (_, sent_on) = onwards(line.at_two(&body(ForwardHeader::first(3, 1), &begun)).unwrap());
    assert!(matches!(line.at_three(&sent_on), Ok((Received::Done, _))));
    let expected = Event::ForwardedHandshake { neighbour: 2, source: 1, data: begun.clone() };
    assert_eq!(line.nodes[2].drain(16, || {}).last(), Some(&expected));
    let mut of_strangers = sent_on.clone();
    of_strangers[FORWARD_HEADER_LEN + 100] ^= 1;
    assert_eq!(line.at_three(&of_strangers).unwrap_err(), Reason::HandshakeMac);
    let mut cookie = sent_on;
    cookie[FORWARD_HEADER_LEN] = COOKIE;
    assert_eq!(line.at_three(&cookie).unwrap_err(), Reason::HandshakeMalformed);
}

#[test]
fn a_neighbour_brings_so_many_inits_and_answers_where_they_are_expected() {
    let line = line();
    let header = ForwardHeader { destination: 3, source: 1, hop_limit: 7 };
    let begun = body(header, &init(77));
    assert_eq!((0..200).take_while(|_| line.at_three(&begun).is_ok()).count(), 64);
    assert_eq!(line.at_three(&begun).unwrap_err(), Reason::HandshakeRateSession);
    let mut responder = Handshake::respond(&[8; 32], &network(), 5, &init(77), [9; 32]).unwrap();
    let response = body(header, &responder.write_response(b"payload").unwrap());
    assert_eq!(line.at_three(&response).unwrap_err(), Reason::HandshakeUnknown);
    line.nodes[2].expected_answers.note(&init(77), NOW_NS);
    assert!(line.at_three(&response).is_ok());
    assert_eq!(init(77)[0], INIT);
}

#[test]
fn a_member_with_a_route_gets_copies_and_with_a_path_the_tree_again() {
    let line = line();
    let (root, name) = tree(&line.nodes[0], &line.nodes[2], 5, leaf());
    let members = || {
        let members = root.members.load_full();
        (members.hops.next_hops.to_vec(), members.copied().copied().collect::<Vec<_>>())
    };
    let anchor_due = || root.anchor(&root.members.load_full()).1.next().is_some();
    assert_eq!((members(), anchor_due()), ((vec![3], vec![]), true));
    line.nodes[0].set_node_route(3, 2).unwrap();
    assert_eq!(members(), (vec![], vec![3]));
    assert!(!root.members.load().is_empty());
    line.nodes[0].set_tree_members(name.stream, Hops::new(&[3], &[2])).unwrap();
    assert_eq!(members(), (vec![], vec![2, 3]), "whoever holds the key");
    line.nodes[0].set_peer_underlay_mtu(3, 1400).unwrap();
    assert_eq!(members(), (vec![], vec![2, 3]));
    line.nodes[0].remove_node_route(3);
    assert_eq!((members(), anchor_due()), ((vec![3], vec![2]), true), "it learns how far the key is");
    line.nodes[0].set_node_route(3, 2).unwrap();
    line.nodes[0].forget_peer(3);
    assert_eq!(members(), (vec![], vec![2]));
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written(destination in 1u32.., source in 1u32.., hop_limit in 1u8..=HOP_LIMIT) {
        prop_assume!(destination != source);
        let header = ForwardHeader { destination, source, hop_limit };
        prop_assert_eq!(ForwardHeader::parse(&body(header, &init(1))), Ok(header));
    }

    #[test]
    fn nothing_that_a_member_writes_into_a_forward_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0xC0u8..=0xC6) {
        let line = line();
        let mut altered = line.body();
        let length = bytes.len().min(altered.len());
        altered[..length].copy_from_slice(&bytes[..length]);
        let _ = (line.at_two(&bytes), line.at_two(&altered), line.at_three(&altered));
        if let Some(first) = altered.get_mut(FORWARD_HEADER_LEN) {
            *first = kind;
        }
        let _ = (line.at_two(&altered), line.at_three(&altered));
    }
}
