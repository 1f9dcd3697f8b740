//! Two trees of one stream: whoever dies, all others are on one of them still.

mod networks;

use networks::{check, networks, Network};
use proptest::prelude::*;
use treecast_plan::disjoint::{plan_pair, Parents};
use treecast_plan::graph::Link;
use treecast_plan::tree::{Request, Tree};

/// Both trees are trees; nobody but the root has children on both, nor on both together more than its bound.
fn check_pair(request: &Request<'_>, pair: &[Tree; 2]) {
    for tree in pair {
        check(request, tree);
    }
    for node in 0..request.graph.len() as u32 {
        let [one, other] = [0, 1].map(|at: usize| pair[at].children(node).len());
        assert!(one + other <= usize::from(request.capacity[node as usize]), "too many children at {node}");
        assert!(node == request.root || one == 0 || other == 0, "{node} sends on in both");
    }
}

fn parents(pair: &[Tree; 2], network: &Network) -> [Parents; 2] {
    [0, 1].map(|at: usize| (0..network.nodes()).map(|node| pair[at].parent(node)).collect())
}

/// Does a tree lead to a node past the dead one?
fn reaches(tree: &Tree, node: u32, dead: u32) -> bool {
    tree.has(node) && node != dead && tree.above(node).all(|above| above != dead)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nobody_sends_on_in_both_trees_and_whoever_dies_the_others_that_are_on_both_are_reached(
        network in networks(30)
    ) {
        network.with(|request| {
            let pair = plan_pair(request, None);
            check_pair(request, &pair);
            for dead in 1..network.nodes() {
                for member in network.members.iter().filter(|member| **member != dead) {
                    let is_on_both = pair.iter().all(|tree| tree.has(*member));
                    assert!(!is_on_both || pair.iter().any(|tree| reaches(tree, *member, dead)));
                }
            }
            let before = parents(&pair, &network);
            let kept = plan_pair(request, Some(&before));
            let has_all = pair.iter().all(|tree| tree.missed(request).count() == 0);
            assert!(!has_all || parents(&kept, &network) == before, "nobody has come or gone, and somebody has moved");
        });
    }

    #[test]
    fn trees_that_are_kept_stay_disjoint_and_within_bounds_that_have_changed(
        network in networks(30), other in networks(30)
    ) {
        let before = network.with(|request| parents(&plan_pair(request, None), &network));
        let nodes = network.capacity.len().min(other.capacity.len());
        let here = before.map(|parents| -> Parents {
            parents[..nodes].iter().map(|parent| parent.filter(|parent| (*parent as usize) < nodes)).collect()
        });
        let mut changed = Network { links: network.links.clone(), ..other };
        changed.capacity.truncate(nodes);
        changed.copy_us.truncate(nodes);
        changed.members.retain(|node| (*node as usize) < nodes);
        changed.relays.retain(|node| (*node as usize) < nodes);
        changed.with(|request| check_pair(request, &plan_pair(request, Some(&here))));
    }

    #[test]
    fn where_each_is_linked_with_each_and_all_send_on_as_much_all_are_on_both(nodes in 3..40_u32, most in 2..9_u16) {
        let all = (0..nodes).flat_map(|one| (0..one).map(move |other| (one, other)));
        let links = all.map(|(one, other)| Link { one, other, delay_us: 1 + (one * 7919 + other * 104_729) % 50_000 });
        let network = Network {
            links: links.collect(),
            members: (1..nodes).collect(),
            relays: Vec::new(),
            capacity: vec![most; nodes as usize],
            copy_us: vec![100; nodes as usize],
        };
        network.with(|request| {
            let pair = plan_pair(request, None);
            check_pair(request, &pair);
            assert!(pair.iter().all(|tree| tree.missed(request).count() == 0));
        });
    }
}
