//! The compact tree: the node that is reached first goes in first, below whoever has room.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::tree::{Request, Tree};

/// Nodes that want nothing themselves relay where the members' mean delay is so much shorter with them, in percent.
const RELAYS_SAVE: u64 = 20;

/// The looks of a plan for a child to move away, so that a member finds room: each look costs the links around it.
const LOOKS: usize = 64;

/// The best child that a node could have: when it would get a datagram, child, parent, and its place among the parent's links.
type Offer = Reverse<(u64, u32, u32, usize)>;

/// Plans the tree. Members that no way leads to with room left are not on it.
pub fn plan(request: &Request<'_>) -> Tree {
    let members = marked(request, request.members);
    let mut best = completed(request, Tree::new(request), &members);
    let (mut admitted, nearest) = useful_relays(request, &members);
    if admitted != members {
        let with = grown(request, &admitted);
        let saves = with.mean_us(request) * 100 <= best.mean_us(request) * (100 - RELAYS_SAVE);
        let missed = [&with, &best].map(|tree| tree.missed(request).count());
        if missed[0] < missed[1] || (missed[0] == missed[1] && saves) {
            best = with;
        }
    }
    let mut count = enough(request, &nearest, best.missed(request).count());
    loop {
        let missed = best.missed(request).count();
        if missed == 0 || count == 0 {
            return best;
        }
        nearest[..count].iter().for_each(|relay| admitted[*relay as usize] = true);
        let with = grown(request, &admitted);
        if with.missed(request).count() < missed {
            best = with;
        }
        if count == nearest.len() {
            return best;
        }
        count = nearest.len().min(2 * count);
    }
}

fn grown(request: &Request<'_>, admitted: &[bool]) -> Tree {
    let mut tree = completed(request, Tree::new(request), admitted);
    tree.prune(request);
    tree
}

/// The number of the nearest relays that make room for the missed members.
fn enough(request: &Request<'_>, nearest: &[u32], missed: usize) -> usize {
    let mut free = 0;
    let made = nearest.iter().position(|relay| {
        free += usize::from(request.capacity[*relay as usize]).saturating_sub(1);
        free >= missed
    });
    made.map_or(nearest.len(), |at| at + 1)
}

/// A tree that there is already, as `parents` has it by node, with the members that are new below whoever has room. What hangs on nodes
/// that are gone, on links that are none any more or beyond a bound goes in anew, too.
pub fn keep(request: &Request<'_>, parents: &[Option<u32>]) -> Tree {
    let mut kept = marked(request, request.relays);
    request.members.iter().for_each(|member| kept[*member as usize] = true);
    let mut children = vec![Vec::new(); request.graph.len()];
    for (child, parent) in parents.iter().enumerate().filter_map(|(child, parent)| Some((child as u32, (*parent)?))) {
        if kept[child as usize] && child != request.root {
            children[parent as usize].push(child);
        }
    }
    let mut tree = Tree::new(request);
    let mut due = VecDeque::from([request.root]);
    while let Some(parent) = due.pop_front() {
        for child in &children[parent as usize] {
            let link_us = request.graph.delay_us(parent, *child).filter(|_| tree.has_child_slot(request, parent));
            if let Some(link_us) = link_us.filter(|_| !tree.has(*child)) {
                tree.attach(request, parent, *child, link_us);
                due.push_back(*child);
            }
        }
    }
    tree.prune(request);
    completed(request, tree, &marked(request, request.members))
}

fn marked(request: &Request<'_>, nodes: &[u32]) -> Vec<bool> {
    let mut marked = vec![false; request.graph.len()];
    for node in nodes {
        marked[*node as usize] = true;
    }
    marked[request.root as usize] = false;
    marked
}

fn can_relay(request: &Request<'_>, node: u32) -> bool {
    request.capacity[node as usize] > 0
}

/// Adds nodes that can relay first, so that there is room for the others wherever it can be; then these.
fn completed(request: &Request<'_>, mut tree: Tree, admitted: &[bool]) -> Tree {
    for relaying in [true, false] {
        grow(request, &mut tree, |node| admitted[node as usize] && can_relay(request, node) == relaying);
    }
    let mut looks = LOOKS;
    let mut moves_one = |tree: &mut Tree, member: u32| {
        let may_look = !tree.has(member) && looks > 0;
        looks -= usize::from(may_look);
        may_look && free_child_slot(request, tree, member)
    };
    while request.members.iter().any(|member| moves_one(&mut tree, *member)) {
        grow(request, &mut tree, |node| admitted[node as usize]);
    }
    tree
}

fn grow(request: &Request<'_>, tree: &mut Tree, admits: impl Fn(u32) -> bool) {
    let mut offers = BinaryHeap::new();
    for node in (0..request.graph.len() as u32).filter(|node| tree.has(*node)) {
        offer(request, tree, node, 0, &admits, &mut offers);
    }
    while let Some(Reverse((_, child, parent, place))) = offers.pop() {
        let link_us = request.graph.of(parent)[place].0;
        if tree.has(child) {
            offer(request, tree, parent, place, &admits, &mut offers);
        } else if tree.has_child_slot(request, parent) {
            tree.attach(request, parent, child, link_us);
            offer(request, tree, parent, place + 1, &admits, &mut offers);
            offer(request, tree, child, 0, &admits, &mut offers);
        }
    }
}

/// Offers the nearest of a node's neighbours, from a place on, that may be its child.
fn offer(
    request: &Request<'_>,
    tree: &Tree,
    parent: u32,
    from: usize,
    admits: &impl Fn(u32) -> bool,
    to: &mut BinaryHeap<Offer>,
) {
    if !tree.has_child_slot(request, parent) {
        return;
    }
    let links = request.graph.of(parent).iter().enumerate().skip(from);
    if let Some((place, (link_us, child))) =
        links.into_iter().find(|(_, (_, child))| admits(*child) && !tree.has(*child))
    {
        to.push(Reverse((tree.arrival_us(request, parent, *link_us), *child, parent, place)));
    }
}

/// A neighbour of a node that found no room gives a child away to who has some: then there is room for the node.
fn free_child_slot(request: &Request<'_>, tree: &mut Tree, node: u32) -> bool {
    let mut best = None;
    for (_, neighbour) in request.graph.of(node).iter().filter(|(_, neighbour)| tree.has(*neighbour)) {
        for child in tree.children(*neighbour) {
            for (link_us, other) in request.graph.of(*child) {
                if *other == *neighbour || !tree.has_child_slot(request, *other) || tree.is_above(*child, *other) {
                    continue;
                }
                let found = (tree.arrival_us(request, *other, *link_us), *child, *other, *link_us);
                best = Some(best.map_or(found, |best| found.min(best)));
            }
        }
    }
    if let Some((_, child, other, link_us)) = best {
        tree.move_below(request, other, child, link_us);
    }
    best.is_some()
}

/// The members, with the relays that a shortest way to a member takes; and all relays that a way leads to, the nearest first.
fn useful_relays(request: &Request<'_>, members: &[bool]) -> (Vec<bool>, Vec<u32>) {
    let mut known = marked(request, request.relays);
    known.iter_mut().zip(members).for_each(|(known, member)| *known |= member);
    let (mut before, mut done) = (vec![None; known.len()], vec![false; known.len()]);
    let mut nearest = Vec::new();
    let mut due = BinaryHeap::from([Reverse((0, request.root, None))]);
    while let Some(Reverse((delay_us, node, from))) = due.pop() {
        if std::mem::replace(&mut done[node as usize], true) {
            continue;
        }
        before[node as usize] = from;
        if known[node as usize] && !members[node as usize] {
            nearest.push(node);
        }
        if !can_relay(request, node) {
            continue;
        }
        for (link_us, next) in request.graph.of(node) {
            if known[*next as usize] && !done[*next as usize] {
                due.push(Reverse((delay_us + u64::from(*link_us), *next, Some(node))));
            }
        }
    }
    let mut useful = members.to_vec();
    for member in request.members {
        for at in std::iter::successors(before[*member as usize], |at| before[*at as usize]) {
            if at == request.root || (useful[at as usize] && !members[at as usize]) {
                break;
            }
            useful[at as usize] = true;
        }
    }
    (useful, nearest)
}
