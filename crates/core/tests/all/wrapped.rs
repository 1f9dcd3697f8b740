//! Broadcast goes from neighbour to neighbour in their sessions: who has no session there, or no place on the tree, costs nothing.

use crate::common::*;
use crate::vectors::{session, tree_datagram, unhex};
use serde_json::Value;
use treecast_core::aead::Aead;
use treecast_core::arrival::{Opened, OpenedFrame, Received, Recent};
use treecast_core::broadcast_signature::SIGNATURE_LEN;
use treecast_core::datagram::{AEAD_TAG_LEN, BROADCAST_STREAM, KIND_BROADCAST, KIND_FORWARD, TREE_OVERHEAD};
use treecast_core::forward::ForwardHeader;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::frame_source::CertifiedNode;
use treecast_core::reason::Reason;
use treecast_core::session::SESSION_BODY_OFFSET;
use treecast_core::tree_state::TreePlace;

const FRAME: &[u8] = &[7; 60];

/// The broadcast datagram of the vectors as it comes to a next hop.
pub fn vector() -> Value {
    let datagram = unhex(tree_datagram(BROADCAST_STREAM)["datagram"].as_str().unwrap());
    session(Aead::Aes256Gcm, KIND_BROADCAST, None, &datagram, 0)
}

/// Node 2 is on the broadcast tree of node 1; node 3 has sessions with both.
struct Wrapped {
    nodes: [ForwardingTables; 3],
}

impl Wrapped {
    fn new(place: TreePlace) -> Self {
        let nodes = [1, 2, 3].map(tables);
        join(&nodes[0], &nodes[1], 10, Aead::Aes256Gcm);
        join(&nodes[2], &nodes[1], 20, Aead::Aes256Gcm);
        tree(&nodes[0], &nodes[1], BROADCAST_STREAM, place);
        let signing_key = signing_key(1).public();
        let addresses = [].into();
        let certified = CertifiedNode { bridge: true, carried: false, addresses, signing_key, send_to: None };
        nodes[1].certify_node(1, certified).unwrap();
        Self { nodes }
    }

    fn genuine(&self) -> Vec<u8> {
        seal_tree(&self.nodes[0].tree(BROADCAST_STREAM).unwrap(), FRAME)
    }

    /// A tree datagram as node 2 gets it in a session with another node.
    fn take(&self, from: u32, datagram: &[u8]) -> Result<Vec<u8>, Reason> {
        let session = self.nodes[from as usize - 1].session_to(2).unwrap();
        let mut sealed = seal(&session, KIND_BROADCAST, datagram);
        let node = &self.nodes[1];
        let received = node.receive_session(&mut sealed, endpoint(from as u8), NOW_NS, &mut Recent::default())?;
        let Received::Broadcast(header, tree, neighbour) = received else { panic!("broadcast: {received:?}") };
        assert_eq!(neighbour, from);
        let end = sealed.len() - AEAD_TAG_LEN;
        let opened = node.open_tree(&tree, &header, &mut sealed[SESSION_BODY_OFFSET..end], false, NOW_NS)?;
        let Opened::Frame(OpenedFrame { start, length, .. }) = opened.in_session() else { panic!("a whole frame") };
        Ok(sealed[start..start + length].to_vec())
    }
}

#[test]
fn broadcast_comes_in_the_session_of_its_parent() {
    let wrapped = Wrapped::new(leaf());
    let datagram = wrapped.genuine();
    assert_eq!(datagram.len(), TREE_OVERHEAD + FRAME.len() + SIGNATURE_LEN);
    assert_eq!(wrapped.take(1, &datagram), Ok(FRAME.to_vec()));
    assert_eq!(wrapped.take(1, &datagram), Err(Reason::TreeReplay));
}

#[test]
fn broadcast_by_itself_is_nothing_wherever_it_comes_from() {
    for place in [leaf(), relaying(&[3])] {
        let wrapped = Wrapped::new(place);
        let datagram = wrapped.genuine();
        for from in [1, 3] {
            let mut recent = Recent::default();
            let raw = wrapped.nodes[1].receive_tree(&datagram, endpoint(from).address, NOW_NS, &mut recent);
            assert_eq!(raw.err(), Some(Reason::TreeUnwrapped));
        }
        assert!(relay(&wrapped.nodes[1], &datagram).is_none(), "nor is it sent on");
        let unknown = tables(7);
        assert_eq!(
            unknown.receive_tree(&datagram, endpoint(1).address, NOW_NS, &mut Recent::default()).err(),
            Some(Reason::TreeUnwrapped),
            "before anything is looked up"
        );
        assert_eq!(wrapped.take(1, &datagram), Ok(FRAME.to_vec()), "its counter is free");
    }
}

#[test]
fn in_the_session_of_no_parent_it_is_nothing() {
    let wrapped = Wrapped::new(leaf());
    let datagram = wrapped.genuine();
    assert_eq!(wrapped.take(3, &datagram), Err(Reason::TreeRpf));
    assert_eq!(wrapped.take(1, &datagram), Ok(FRAME.to_vec()));
    assert_eq!(wrapped.nodes[1].refusals.take(), [(3, Reason::TreeRpf, 1)], "the neighbour that has sent it is named");
    let by_backup = Wrapped::new(TreePlace { backup: 3, ..leaf() });
    assert_eq!(by_backup.take(3, &by_backup.genuine()), Ok(FRAME.to_vec()));
}

#[test]
fn no_other_stream_comes_in_a_session() {
    let wrapped = Wrapped::new(leaf());
    let (of_group, _) = tree(&wrapped.nodes[0], &wrapped.nodes[1], 5, leaf());
    let datagram = seal_tree(&of_group, FRAME);
    assert_eq!(wrapped.take(1, &datagram), Err(Reason::TreeWrapped));
    assert_eq!(wrapped.nodes[1].refusals.take(), [(1, Reason::TreeWrapped, 1)]);
    assert_eq!(receive_tree(&wrapped.nodes[1], &datagram), Ok(FRAME.to_vec()));
}

#[test]
fn what_is_no_tree_datagram_or_has_no_tree_is_refused_by_its_reason() {
    let wrapped = Wrapped::new(leaf());
    let mut flipped = wrapped.genuine();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(wrapped.take(1, &flipped), Err(Reason::TreeTag));
    assert_eq!(wrapped.take(1, &wrapped.genuine()[..40]), Err(Reason::DatagramShort));
    assert_eq!(wrapped.take(3, &seal_tree(&wrapped.nodes[0].tree(0).unwrap(), &[])), Err(Reason::TreeRpf));
    wrapped.nodes[1].leave_stream(treecast_core::datagram::StreamName { root: 1, stream: 0 });
    assert_eq!(wrapped.take(1, &wrapped.genuine()), Err(Reason::TreeUnknown));
}

#[test]
fn no_neighbour_brings_the_broadcast_of_another_in_a_forward() {
    let wrapped = Wrapped::new(leaf());
    let session = wrapped.nodes[0].session_to(2).unwrap();
    let inner = seal(&session, KIND_BROADCAST, &wrapped.genuine());
    let body = [&ForwardHeader::first(2, 3).emit()[..], &inner].concat();
    let mut sealed = seal(&wrapped.nodes[2].session_to(2).unwrap(), KIND_FORWARD, &body);
    let received = wrapped.nodes[1].receive_session(&mut sealed, endpoint(3), NOW_NS, &mut Recent::default());
    assert_eq!(received.err(), Some(Reason::TreeRpf));
    assert_eq!(wrapped.nodes[1].refusals.take(), [(1, Reason::TreeRpf, 1)], "not who has brought it");
}

#[test]
fn a_relay_marks_what_goes_on_once_and_opens_it_for_its_own_hosts() {
    let wrapped = Wrapped::new(relaying(&[3]));
    let node = &wrapped.nodes[1];
    let mut datagram = wrapped.genuine();
    let mut known = None;
    let (header, tree) = node.receive_broadcast(&datagram, 1, &mut known).unwrap();
    let passed = |datagram: &[u8]| node.pass_broadcast(tree, &header, datagram, NOW_NS).map(|hops| hops.unwrap());
    assert_eq!(passed(&datagram).unwrap()[..], [3]);
    assert_eq!(passed(&datagram), Err(Reason::TreeReplay));
    assert!(node.open_tree(tree, &header, &mut datagram, true, NOW_NS).is_ok());
    let leaf_node = Wrapped::new(leaf());
    let datagram = leaf_node.genuine();
    let mut of_leaf = None;
    let (header, tree) = leaf_node.nodes[1].receive_broadcast(&datagram, 1, &mut of_leaf).unwrap();
    assert_eq!(leaf_node.nodes[1].pass_broadcast(tree, &header, &datagram, NOW_NS), Ok(None));
}

#[test]
fn a_flood_under_the_roots_address_costs_it_no_check_of_a_signature() {
    let wrapped = Wrapped::new(leaf());
    let forged = wrapped.genuine();
    for _ in 0..10_000 {
        let mut recent = Recent::default();
        let raw = wrapped.nodes[1].receive_tree(&forged, endpoint(1).address, NOW_NS, &mut recent).map(|_| ());
        assert_eq!(raw, Err(Reason::TreeUnwrapped));
        assert_eq!(wrapped.take(3, &forged), Err(Reason::TreeRpf), "nor does one in the forger's own session");
    }
    for _ in 0..2000 {
        assert_eq!(wrapped.take(1, &wrapped.genuine()), Ok(FRAME.to_vec()));
    }
}
