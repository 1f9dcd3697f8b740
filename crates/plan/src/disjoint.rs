//! Two trees of one stream whose relays differ: who sends on in one of them does not in the other. So a relay that dies leaves the other
//! tree whole (each half relays in one tree only, as in Castro and others' SplitStream).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::compact::{keep, plan};
use crate::improvement::improve;
use crate::tree::{Request, Tree};

/// The parents of a tree that there is already, by node.
pub type Parents = Vec<Option<u32>>;

/// Plans both trees, or changes those that there are as little as can be. Members that have no place on one of them are missed there.
pub fn plan_pair(request: &Request<'_>, kept: Option<&[Parents; 2]>) -> [Tree; 2] {
    let halves = halves(request, kept);
    let mut number = 0..;
    halves.map(|capacity| {
        let may_relay = |node: &&u32| capacity[**node as usize] > 0;
        let relays: Vec<u32> = request.relays.iter().filter(may_relay).copied().collect();
        let half = Request { relays: &relays, capacity: &capacity, ..*request };
        let parents = number.next().and_then(|number: usize| Some(&kept?[number]));
        if let Some(parents) = parents {
            return keep(&half, parents);
        }
        let mut tree = plan(&half);
        improve(&half, &mut tree, usize::MAX);
        tree
    })
}

/// The most children of each node on each of the trees. The root's are split. The others are dealt out, those that the root has links with
/// first, then those that take most children, the nearest first: each to the half that can have fewer children so far. Who sends on in a
/// tree that there is stays in its half.
fn halves(request: &Request<'_>, kept: Option<&[Parents; 2]>) -> [Vec<u16>; 2] {
    let of_root = request.capacity[request.root as usize];
    let mut halves = [of_root.div_ceil(2), of_root / 2].map(|most| {
        let mut capacity = vec![0; request.graph.len()];
        capacity[request.root as usize] = most;
        capacity
    });
    let (mut sums, before) = ([0_u64; 2], halves_before(request, kept));
    let (known, new): (Vec<u32>, Vec<u32>) =
        by_quality(request).into_iter().partition(|node| before[*node as usize].is_some());
    for node in known.into_iter().chain(new) {
        let most = request.capacity[node as usize];
        let half = before[node as usize].unwrap_or(usize::from(sums[1] < sums[0]));
        halves[half][node as usize] = most;
        sums[half] += u64::from(most);
    }
    halves
}

/// The half of each node that sends on in a tree that there is.
fn halves_before(request: &Request<'_>, kept: Option<&[Parents; 2]>) -> Vec<Option<usize>> {
    let mut before = vec![None; request.graph.len()];
    for (half, parents) in kept.into_iter().flatten().enumerate() {
        parents.iter().flatten().for_each(|parent| {
            before[*parent as usize].get_or_insert(half);
        });
    }
    before
}

/// The nodes that can send on, but the root, the best first.
fn by_quality(request: &Request<'_>) -> Vec<u32> {
    let distances_us = distances_us(request);
    let can_relay = |node: &u32| request.capacity[*node as usize] > 0;
    let mut nodes: Vec<u32> = request.members.iter().chain(request.relays).copied().filter(can_relay).collect();
    nodes.sort_by_key(|node| {
        let is_far = request.graph.delay_us(request.root, *node).is_none();
        (is_far, Reverse(request.capacity[*node as usize]), distances_us[*node as usize], *node)
    });
    nodes
}

/// The delay of the shortest way from the root to each node, over nodes that can send on; the highest number where there is none.
fn distances_us(request: &Request<'_>) -> Vec<u64> {
    let mut distances_us = vec![u64::MAX; request.graph.len()];
    let mut due = BinaryHeap::from([Reverse((0, request.root))]);
    while let Some(Reverse((delay_us, node))) = due.pop() {
        if distances_us[node as usize] <= delay_us {
            continue;
        }
        distances_us[node as usize] = delay_us;
        if request.capacity[node as usize] > 0 {
            for (link_us, next) in request.graph.of(node) {
                due.push(Reverse((delay_us + u64::from(*link_us), *next)));
            }
        }
    }
    distances_us
}
