//! Repair where the next tree of the stream has the same parent: a node grafts by that only when it is in use, for until its branch
//! is ready it gets copies.

use crate::anchors::from;
use crate::common::*;
use crate::repair::{Network, FRAME, MS, NAME};
use treecast_core::anchor::Anchor;
use treecast_core::arrival::{Received, Recent};
use treecast_core::datagram::{TreeName, KIND_ANCHOR};
use treecast_core::root_tree::Hops;
use treecast_core::tree_mark::{TreeMark, KIND_ANCHOR_REQUEST};
use treecast_core::tree_state::TreePlace;

const NEXT: TreeName = TreeName { epoch: EPOCH + 1, ..NAME };

/// The child has its places on the tree in use, by which 150 datagrams came, and on the next one; the parent of both is silent.
fn orphaned() -> Network {
    let mut network = Network::new();
    network.stream(150, 150);
    network.root.make_key(5, KEY_ID + 1, NEXT.epoch, secrets(9, 7)).unwrap();
    let place = TreePlace { parent: 2, backup: 4, ..relaying(&[5]) };
    take_place(&network.root, &network.child, NEXT, &place);
    network
}

/// The root answers the child's requests, each as it says; how many there were.
fn answer_requests(network: &Network) -> usize {
    let requests = network.child.anchor_requests.take();
    for mark in &requests {
        assert_eq!(*mark, TreeMark { tree: NEXT, counter: 0 });
        let session = network.child.session_to(1).unwrap();
        let mut asked = seal(&session, KIND_ANCHOR_REQUEST, &mark.emit());
        let received = network.root.receive_session(&mut asked, endpoint(3), network.now_ns, &mut Recent::default());
        let Ok(Received::Anchor(anchor, _)) = received else { panic!("{received:?}") };
        say(network, &anchor);
    }
    requests.len()
}

fn say(network: &Network, anchor: &Anchor) {
    let mut word = seal(&network.root.session_to(3).unwrap(), KIND_ANCHOR, &anchor.emit());
    network.child.receive_session(&mut word, endpoint(1), network.now_ns, &mut Recent::default()).unwrap();
}

fn grafts(network: &mut Network, for_ns: u64) -> Vec<TreeMark> {
    network.turns(for_ns).grafts.into_iter().map(|(_, graft)| graft).collect()
}

fn with_child(beyond: &[u32], replicate: &[u32]) -> Hops {
    Hops { beyond: beyond.into(), ..Hops::new(&[2, 4], replicate) }
}

#[test]
fn a_node_whose_branch_is_not_ready_grafts_by_the_tree_before_alone() {
    let mut network = orphaned();
    network.root.use_key(5, KEY_ID + 1).unwrap();
    network.root.set_tree_members(5, with_child(&[], &[3])).unwrap();
    let grafted = grafts(&mut network, 80 * MS);
    assert_eq!(answer_requests(&network), 1);
    assert!(grafted.iter().all(|graft| graft.tree == NAME) && grafted.len() == 1, "{grafted:?}");
    let grafted = grafts(&mut network, 1500 * MS);
    assert!(grafted.iter().all(|graft| graft.tree == NAME), "it gets copies: {grafted:?}");
}

#[test]
fn a_node_that_the_next_tree_serves_grafts_by_that_when_the_root_has_said_so() {
    let mut network = orphaned();
    network.root.use_key(5, KEY_ID + 1).unwrap();
    network.root.set_tree_members(5, with_child(&[3], &[])).unwrap();
    assert!(grafts(&mut network, 80 * MS).iter().all(|graft| graft.tree == NAME));
    assert_eq!(answer_requests(&network), 1);
    let grafted = grafts(&mut network, 20 * MS);
    assert_eq!(grafted, [TreeMark { tree: NEXT, counter: 0 }]);
    assert!(grafts(&mut network, 20 * MS).is_empty(), "once");
}

#[test]
fn what_came_as_copies_before_the_next_tree_served_a_node_is_a_replay_to_it() {
    let mut network = orphaned();
    network.root.use_key(5, KEY_ID + 1).unwrap();
    network.root.set_tree_members(5, with_child(&[], &[3])).unwrap();
    let copied: Vec<_> = (0..5).map(|_| seal_tree(&network.tree(), FRAME)).collect();
    network.root.set_tree_members(5, with_child(&[3], &[])).unwrap();
    grafts(&mut network, 80 * MS);
    assert_eq!(answer_requests(&network), 1);
    assert!(grafts(&mut network, 20 * MS).iter().any(|graft| graft.tree == NEXT));
    assert!(copied.iter().all(|datagram| network.pass(&network.child, 4, datagram).is_err()));
    assert_eq!(network.pass(&network.child, 4, &seal_tree(&network.tree(), FRAME)), Ok(vec![5]));
}

#[test]
fn a_node_to_which_its_parent_has_sent_nothing_grafts_once_the_root_has_said_that_the_tree_serves_it() {
    for is_served in [false, true] {
        let mut network = Network::new();
        let mut grafted = Vec::new();
        for ms in 0..2000 {
            let datagram = seal_tree(&network.tree(), FRAME);
            network.pass(&network.backup, 1, &datagram).unwrap();
            network.now_ns += MS;
            if ms % 100 == 99 {
                network.mark(&network.backup, &TreeMark { tree: NAME, counter: ms + 1 }, endpoint(4)).unwrap();
            }
            network.tick();
            if ms % 20 == 19 {
                grafted.extend(network.child.turn_trees(network.now_ns).grafts);
            }
            for mark in network.child.anchor_requests.take() {
                assert_eq!(mark, TreeMark { tree: NAME, counter: 0 });
                say(&network, &Anchor::at(NAME, KEY_ID, ms).with(from(is_served.into())));
            }
        }
        assert_eq!(grafted.iter().all(|(_, graft)| graft.tree == NAME) && !grafted.is_empty(), is_served);
    }
}
