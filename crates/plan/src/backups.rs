//! Backups: who sends to a node when its parent is gone, while there is no new tree.

use crate::tree::{Request, Tree};

/// The most that datagrams come later by a node's backup, in microseconds.
pub const LATER_US: u64 = 20_000;

/// The backup of each node, by node. The nearest neighbour on the tree that adds at most [`LATER_US`], is neither the root nor the node's
/// parent nor below that, has another backup than the node, and has a free place, or one beyond its bound, for one node; where all of
/// these add more, the one that adds least. Children of the root have none: without the root there is nothing to send.
///
/// Nodes with most below them choose first.
pub fn backups(request: &Request<'_>, tree: &Tree) -> Vec<Option<u32>> {
    let sizes = sizes(request, tree);
    let mut order: Vec<u32> = (0..request.graph.len() as u32).filter(|node| is_below_another(tree, *node)).collect();
    order.sort_by_key(|node| (std::cmp::Reverse(sizes[*node as usize]), *node));
    let mut slots: Vec<usize> =
        (0..request.graph.len() as u32).map(|node| free_child_slots(request, tree, node)).collect();
    let mut chosen = vec![None; request.graph.len()];
    for node in order {
        let may_be = |other: u32| slots[other as usize] > 0 && chosen[other as usize] != Some(node);
        let found = candidates(request, tree, node).filter(|(_, _, other)| may_be(*other)).min();
        if let Some((_, _, other)) = found {
            slots[other as usize] -= 1;
            chosen[node as usize] = Some(other);
        }
    }
    chosen
}

fn is_below_another(tree: &Tree, node: u32) -> bool {
    tree.parent(node).is_some_and(|parent| parent != tree.root)
}

fn free_child_slots(request: &Request<'_>, tree: &Tree, node: u32) -> usize {
    match usize::from(request.capacity[node as usize]) {
        0 => 0,
        most => (most + 1).saturating_sub(tree.children(node).len()),
    }
}

/// Neighbours that a node may take: by how much they are too late, the delay of the link, and which.
fn candidates<'t>(request: &'t Request<'_>, tree: &'t Tree, node: u32) -> impl Iterator<Item = (u64, u32, u32)> + 't {
    let parent = tree.parent(node).unwrap_or(tree.root);
    let latest_us = tree.delay_us(node) + LATER_US;
    let others = request
        .graph
        .of(node)
        .iter()
        .filter(move |(_, other)| *other != tree.root && tree.has(*other) && !tree.is_above(parent, *other));
    others.map(move |(link_us, other)| {
        (tree.arrival_us(request, *other, *link_us).saturating_sub(latest_us), *link_us, *other)
    })
}

/// How many nodes are below each, itself included.
fn sizes(request: &Request<'_>, tree: &Tree) -> Vec<u32> {
    let mut sizes = vec![0; request.graph.len()];
    for node in (0..request.graph.len() as u32).filter(|node| tree.has(*node)) {
        sizes[node as usize] += 1;
        tree.above(node).for_each(|above| sizes[above as usize] += 1);
    }
    sizes
}
