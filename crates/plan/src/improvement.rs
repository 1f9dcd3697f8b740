//! One pass over a planned tree: the nodes that get datagrams last move to where they get them earlier.

use std::cmp::Reverse;

use crate::tree::{Request, Tree};

/// Moves nodes, with what is below them, to better parents with room; how many. At most `most` of them, the latest first.
pub fn improve(request: &Request<'_>, tree: &mut Tree, most: usize) -> usize {
    let mut latest: Vec<u32> = (0..request.graph.len() as u32).filter(|node| tree.parent(*node).is_some()).collect();
    latest.sort_by_key(|node| (Reverse(tree.delay_us(*node)), *node));
    let mut moved = 0;
    for node in latest {
        if moved == most {
            break;
        }
        if let Some((_, parent, link_us)) = better(request, tree, node) {
            tree.move_below(request, parent, node, link_us);
            moved += 1;
        }
    }
    tree.prune(request);
    moved
}

/// The parent below which a node would get a datagram earliest, if that is earlier than now: when, which, and the link's delay.
fn better(request: &Request<'_>, tree: &Tree, node: u32) -> Option<(u64, u32, u32)> {
    let others = request.graph.of(node).iter().filter(|(_, other)| Some(*other) != tree.parent(node));
    others
        .filter(|(_, other)| tree.has_child_slot(request, *other))
        .map(|(link_us, other)| (tree.arrival_us(request, *other, *link_us), *other, *link_us))
        .filter(|(arrival_us, ..)| *arrival_us < tree.delay_us(node))
        .filter(|(_, other, _)| !tree.is_above(node, *other))
        .min()
}
