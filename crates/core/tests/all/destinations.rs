//! Where frames go: routes of groups and sources, prefixes, hosts, the broadcast tree; and what the tables report of a tree.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::*;
use crate::ports::tagged;
use treecast_core::aead::Aead;
use treecast_core::datagram::{Inner, TreeHeader, KIND_FRAME};
use treecast_core::events::Event;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::headers::Frame;
use treecast_core::limits::MAX_PREFIXES;
use treecast_core::prefixes::Prefix;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Hops, Members};
use treecast_core::table::Refused;
use treecast_core::verdict::{Destination, RecentFlow};

const GROUP: [u8; 4] = [239, 1, 1, 1];
const SOURCE: [u8; 4] = [10, 0, 0, 1];
const REMOTE: [u8; 6] = [2, 0x54, 0, 0, 0, 2];

fn destination(tables: &ForwardingTables, frame: &[u8]) -> Result<u32, Reason> {
    match classify(tables, 0, frame, 1, NOW_NS).destination.expect("no punt")? {
        Destination::Tree(tree, ..) => Ok(tree.name.stream),
        Destination::Node(session) => Ok(session.peer),
    }
}

fn add_tree(tables: &ForwardingTables, stream: u32, members: &[u32]) {
    tables.create_tree(stream, 1, 1, secrets(0, 0)).unwrap();
    tables.set_tree_members(stream, Hops::new(members, &[])).unwrap();
}

#[test]
fn a_source_with_a_route_of_its_own_takes_it_and_an_empty_tree_excludes() {
    let node = tables(1);
    let from = |source| ipv4(source, GROUP, 17, &[0; 8]);
    assert_eq!(destination(&node, &from(SOURCE)), Err(Reason::NoSubscriber));
    add_tree(&node, 5, &[2]);
    add_tree(&node, 6, &[3]);
    add_tree(&node, 7, &[]);
    node.set_route(0, GROUP.into(), None, 5).unwrap();
    node.set_route(0, GROUP.into(), Some([10, 0, 0, 6].into()), 6).unwrap();
    node.set_route(0, GROUP.into(), Some([10, 0, 0, 7].into()), 7).unwrap();
    assert_eq!(destination(&node, &from(SOURCE)), Ok(5));
    assert_eq!(destination(&node, &from([10, 0, 0, 6])), Ok(6));
    assert_eq!(destination(&node, &from([10, 0, 0, 7])), Err(Reason::NoSubscriber));
    node.remove_route(0, GROUP.into(), None);
    assert_eq!(destination(&node, &from(SOURCE)), Err(Reason::NoSubscriber));
    assert_eq!(destination(&node, &from([10, 0, 0, 6])), Ok(6));
}

#[test]
fn of_a_batch_a_flow_goes_where_it_went_before_and_another_by_its_own_route() {
    let node = tables(1);
    (5..8).for_each(|stream| add_tree(&node, stream, &[2]));
    node.set_route(0, GROUP.into(), None, 5).unwrap();
    node.set_route(0, GROUP.into(), Some([10, 0, 0, 6].into()), 6).unwrap();
    let mut batch = RecentFlow::default();
    let mut next = |frame: &[u8]| {
        let verdict = node.classify(0, &Frame::read(frame), 1, NOW_NS, &mut batch);
        let stream = match verdict.destination.as_ref().expect("no punt") {
            Ok(Destination::Tree(tree, ..)) => Ok(tree.name.stream),
            Ok(Destination::Node(_)) => panic!("a node"),
            Err(reason) => Err(*reason),
        };
        batch.keep(verdict);
        stream
    };
    let frame = ipv4(SOURCE, GROUP, 17, &[0; 8]);
    assert_eq!(next(&frame), Ok(5));
    node.set_route(0, GROUP.into(), None, 7).unwrap();
    assert_eq!(next(&frame), Ok(5), "a batch is short");
    assert_eq!(next(&ipv4([10, 0, 0, 6], GROUP, 17, &[0; 8])), Ok(6));
    assert_eq!(next(&ipv4(SOURCE, [239, 1, 1, 2], 17, &[0; 8])), Err(Reason::NoSubscriber));
    assert_eq!(next(&tagged(&frame)), Err(Reason::NoSubscriber));
    assert_eq!(destination(&node, &frame), Ok(7), "of the next batch");
}

/// A member goes from the tree of any source to a source's own and back, command by command, while frames are looked up.
#[test]
fn who_is_served_before_and_after_a_change_is_served_during_it() {
    let node = tables(1);
    let (source, ended) = (IpAddr::from(SOURCE), AtomicBool::new(false));
    add_tree(&node, 1, &[2, 3]);
    node.set_route(0, GROUP.into(), None, 1).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for stream in 2..20_000 {
                add_tree(&node, stream, &[2]);
                node.set_route(0, GROUP.into(), Some(source), stream).unwrap();
                node.set_tree_members(1, Hops::new(&[3], &[])).unwrap();
                node.set_tree_members(1, Hops::new(&[2, 3], &[])).unwrap();
                node.remove_route(0, GROUP.into(), Some(source));
                node.remove_tree(stream);
            }
            ended.store(true, Ordering::Release);
        });
        let frame = ipv4(SOURCE, GROUP, 17, &[0; 8]);
        while !ended.load(Ordering::Acquire) {
            match classify(&node, 0, &frame, 1, NOW_NS).destination {
                Some(Ok(Destination::Tree(_, members, _))) => {
                    assert!(members.hops.next_hops.contains(&2), "{members:?}")
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

/// A worker has looked up who gets a frame; the table and the key change before it seals.
#[test]
fn who_gets_a_tree_datagram_holds_its_key() {
    let node = tables(1);
    add_tree(&node, 1, &[2, 3]);
    node.set_route(0, GROUP.into(), None, 1).unwrap();
    let frame = ipv4(SOURCE, GROUP, 17, &[0; 8]);
    let look_up = || match classify(&node, 0, &frame, 1, NOW_NS).destination {
        Some(Ok(Destination::Tree(tree, members, _))) => (tree, members),
        other => panic!("{other:?}"),
    };
    let (tree, both) = look_up();
    node.make_key(1, 2, 2, secrets(0, 7)).unwrap();
    node.set_tree_members(1, Hops::new(&[2], &[3])).unwrap();
    let (_, one) = look_up();
    node.use_key(1, 2).unwrap();
    let (_, after) = look_up();
    let key_of = |members: &Members| TreeHeader::parse(&seal_for(&tree, members, KIND_FRAME, &frame)).unwrap().key_id;
    assert_eq!((&*both.hops.next_hops, key_of(&both)), (&[2, 3][..], 1));
    assert_eq!((&*one.hops.next_hops, key_of(&one)), (&[2][..], 1), "the next key is not in use yet");
    assert_eq!((&*after.hops.next_hops, &*after.hops.replicate, key_of(&after)), (&[2][..], &[3][..], 2));
    node.set_tree_members(1, Hops::new(&[2, 3], &[])).unwrap();
    node.forget_peer(2);
    assert_eq!(key_of(&look_up().1), 2, "other changes leave the key");
}

#[test]
fn a_group_without_a_route_takes_that_of_the_longest_prefix() {
    let node = tables(1);
    let to = |group| destination(&node, &ipv4(SOURCE, group, 17, &[0; 8]));
    add_tree(&node, 5, &[2]);
    add_tree(&node, 6, &[3]);
    add_tree(&node, 7, &[4]);
    node.set_prefix_route(0, [239, 0, 0, 0].into(), 8, 5).unwrap();
    node.set_prefix_route(0, [239, 1, 0, 0].into(), 16, 6).unwrap();
    node.set_prefix_route(7, [224, 0, 0, 0].into(), 4, 7).unwrap();
    assert_eq!(to([239, 2, 1, 1]), Ok(5));
    assert_eq!(to([239, 1, 1, 1]), Ok(6));
    assert_eq!(to([238, 1, 1, 1]), Err(Reason::NoSubscriber), "of another VLAN");
    node.set_route(0, [239, 1, 1, 1].into(), None, 7).unwrap();
    assert_eq!(to([239, 1, 1, 1]), Ok(7));
    node.remove_route(0, [239, 1, 1, 1].into(), None);
    assert_eq!(to([239, 1, 1, 1]), Ok(6));
    node.remove_prefix_route(0, [239, 1, 0, 0].into(), 16);
    assert_eq!(to([239, 1, 1, 1]), Ok(5));
    node.set_prefix_route(0, [0xFF; 16].into(), 0, 7).unwrap();
    assert_eq!(to([238, 1, 1, 1]), Err(Reason::NoSubscriber), "of another IP version");
    assert_eq!(node.set_prefix_route(0, [239, 0, 0, 0].into(), 33, 5), Err(Refused::Invalid));
    let full = (0..2000u32).map(|number| node.set_prefix_route(0, (0xE100_0000 + number).to_be_bytes().into(), 32, 5));
    assert_eq!(full.filter(Result::is_ok).count(), MAX_PREFIXES - 3);
}

#[test]
fn the_first_frame_on_a_tree_is_told_once() {
    let node = tables(1);
    add_tree(&node, 5, &[2]);
    node.set_route(0, GROUP.into(), None, 5).unwrap();
    for _ in 0..3 {
        classify(&node, 0, &ipv4(SOURCE, GROUP, 17, &[0; 8]), 1, NOW_NS);
    }
    let events = node.events.drain(10, || {});
    let used = events.iter().filter(|event| matches!(event, Event::TreeUsed { stream: 5 }));
    assert_eq!(used.count(), 1);
}

#[test]
fn a_key_that_has_sealed_enough_is_reported_and_the_next_one_counts_from_its_first_use() {
    let node = tables(1);
    add_tree(&node, 5, &[2]);
    node.set_route(0, GROUP.into(), None, 5).unwrap();
    let tree = node.tree(5).unwrap();
    let send = || {
        classify(&node, 0, &ipv4(SOURCE, GROUP, 17, &[0; 8]), 1, NOW_NS);
        let inner = Inner { kind: KIND_FRAME, checksum: None };
        tree.seal(&tree.members.load(), inner, 60, &mut [0; 200]).unwrap();
    };
    let worn = || {
        let events = node.events.drain(10, || {});
        events.iter().filter(|event| matches!(event, Event::KeyWorn { stream: 5, .. })).cloned().collect::<Vec<_>>()
    };
    send();
    tree.set_worn_at(3);
    send();
    send();
    assert_eq!(worn(), []);
    send();
    send();
    assert_eq!(worn(), [Event::KeyWorn { stream: 5, key_id: 1 }]);
    tree.set_worn_at(1);
    node.make_key(5, 2, 2, secrets(0, 9)).unwrap();
    node.use_key(5, 2).unwrap();
    send();
    assert_eq!(worn(), []);
}

#[test]
fn unicast_goes_by_the_host_table() {
    let (node, other) = (tables(1), tables(2));
    let frame = ipv4(SOURCE, [10, 0, 0, 2], 17, &[0; 8]);
    assert_eq!(destination(&node, &frame), Err(Reason::UnknownUnicast));
    node.set_host(0, REMOTE, 2).unwrap();
    assert_eq!(destination(&node, &frame), Err(Reason::NoSession));
    join(&node, &other, 10, Aead::Aes256Gcm);
    assert_eq!(destination(&node, &frame), Ok(2));
    node.forget_peer(2);
    assert_eq!(destination(&node, &frame), Err(Reason::UnknownUnicast));
    assert!(node.sessions().is_empty() && node.peers().is_empty());
}

#[test]
fn broadcast_needs_the_broadcast_tree() {
    let node = tables(1);
    let frame = ipv4(SOURCE, [255; 4], 17, &[0; 8]);
    assert_eq!(destination(&node, &frame), Err(Reason::NoBroadcastTree));
    add_tree(&node, 0, &[]);
    assert_eq!(destination(&node, &frame), Err(Reason::NoBroadcastTree));
    node.set_tree_members(0, Hops::new(&[], &[2])).unwrap();
    assert_eq!(destination(&node, &frame), Ok(0));
}

#[test]
fn a_frame_to_a_group_that_the_nodes_own_certificate_does_not_permit_says_so() {
    let node = tables(1);
    let to = |group| destination(&node, &ipv4(SOURCE, group, 17, &[0; 8]));
    assert_eq!(to(GROUP), Err(Reason::NoSubscriber));
    let send_to = Some([Prefix { first: [239, 2, 0, 0].into(), length: 16 }].into());
    let signing_key = signing_key(1).public();
    let own = CertifiedNode { bridge: true, carried: false, addresses: [].into(), signing_key, send_to };
    node.certify_node(1, own).unwrap();
    assert_eq!(to(GROUP), Err(Reason::SendNotPermitted));
    assert_eq!(to([239, 2, 1, 1]), Err(Reason::NoSubscriber), "it may, but nobody is there");
}
