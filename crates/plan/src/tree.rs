//! A tree while it is planned: parents, children in the order of their copies, and when each node gets a datagram.

use crate::graph::Graph;

/// The time that a relay takes from the arrival of a datagram to its first copy.
pub const RELAYING_US: u64 = 200;

/// A tree that is to be planned. Lists by node have an entry for each node of the graph.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The links.
    pub graph: &'r Graph,
    /// Where the datagrams come from.
    pub root: u32,
    /// The nodes that are to get them.
    pub members: &'r [u32],
    /// Nodes that may send on what they do not want themselves.
    pub relays: &'r [u32],
    /// The most children of each node on this tree.
    pub capacity: &'r [u16],
    /// The time that a copy takes to leave each node, in microseconds.
    pub copy_us: &'r [u32],
}

/// A tree of a request. Nodes that are not on it have no parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Where it starts.
    pub root: u32,
    parents: Vec<Option<u32>>,
    children: Vec<Vec<u32>>,
    links_us: Vec<u32>,
    delays_us: Vec<u64>,
}

impl Tree {
    /// A tree of the root alone.
    pub fn new(request: &Request<'_>) -> Self {
        let nodes = request.graph.len();
        let (parents, children) = (vec![None; nodes], vec![Vec::new(); nodes]);
        Self { root: request.root, parents, children, links_us: vec![0; nodes], delays_us: vec![0; nodes] }
    }

    /// The parent of a node; None for the root, and for nodes that are not on the tree.
    pub fn parent(&self, node: u32) -> Option<u32> {
        self.parents[node as usize]
    }

    /// Its children, in the order of their copies.
    pub fn children(&self, node: u32) -> &[u32] {
        &self.children[node as usize]
    }

    /// The time at which it gets a datagram, in microseconds after the root has it.
    pub fn delay_us(&self, node: u32) -> u64 {
        self.delays_us[node as usize]
    }

    /// Is the node on the tree?
    pub fn has(&self, node: u32) -> bool {
        node == self.root || self.parent(node).is_some()
    }

    /// Is a node the other, or above it?
    pub fn is_above(&self, node: u32, other: u32) -> bool {
        std::iter::successors(Some(other), |at| self.parent(*at)).any(|at| at == node)
    }

    /// The nodes above one, its parent first.
    pub fn above(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.parent(node), |at| self.parent(*at))
    }

    /// May it have one more child?
    pub fn has_child_slot(&self, request: &Request<'_>, node: u32) -> bool {
        self.has(node) && self.children(node).len() < usize::from(request.capacity[node as usize])
    }

    /// The time at which a further child by a link of this delay would get a datagram.
    pub fn arrival_us(&self, request: &Request<'_>, node: u32, link_us: u32) -> u64 {
        self.copy_left_us(request, node, self.children(node).len()) + u64::from(link_us)
    }

    /// The time at which a node's copy of this number, from 0, has left it.
    fn copy_left_us(&self, request: &Request<'_>, node: u32, number: usize) -> u64 {
        let relaying = if node == self.root { 0 } else { RELAYING_US };
        self.delay_us(node) + relaying + u64::from(request.copy_us[node as usize]) * (number as u64 + 1)
    }

    /// Puts a node without parent below another, as its last child.
    pub(crate) fn attach(&mut self, request: &Request<'_>, parent: u32, child: u32, link_us: u32) {
        self.parents[child as usize] = Some(parent);
        self.links_us[child as usize] = link_us;
        self.delays_us[child as usize] = self.arrival_us(request, parent, link_us);
        self.children[parent as usize].push(child);
    }

    /// Takes a node, and what is below it, from its parent.
    pub(crate) fn detach(&mut self, request: &Request<'_>, child: u32) {
        if let Some(parent) = self.parents[child as usize].take() {
            self.children[parent as usize].retain(|other| *other != child);
            self.update(request, parent);
        }
    }

    /// A node, with what is below it, becomes the last child of another.
    pub(crate) fn move_below(&mut self, request: &Request<'_>, parent: u32, child: u32, link_us: u32) {
        self.detach(request, child);
        self.attach(request, parent, child, link_us);
        self.update(request, child);
    }

    /// Takes out relays with nobody below.
    pub(crate) fn prune(&mut self, request: &Request<'_>) {
        let mut wanting = vec![false; self.parents.len()];
        request.members.iter().for_each(|member| wanting[*member as usize] = true);
        let mut barren: Vec<u32> = request.relays.to_vec();
        while let Some(node) = barren.pop() {
            let is_barren = self.children(node).is_empty() && !wanting[node as usize];
            if let Some(parent) = self.parent(node).filter(|_| is_barren) {
                self.detach(request, node);
                barren.push(parent);
            }
        }
    }

    /// The delays of all that is below a node follow from its own.
    fn update(&mut self, request: &Request<'_>, from: u32) {
        let mut due = vec![from];
        while let Some(node) = due.pop() {
            for number in 0..self.children(node).len() {
                let child = self.children[node as usize][number];
                let delay_us = self.copy_left_us(request, node, number) + u64::from(self.links_us[child as usize]);
                if self.delays_us[child as usize] != delay_us {
                    self.delays_us[child as usize] = delay_us;
                    due.push(child);
                }
            }
        }
    }

    /// The mean delay of the members that are on it, in microseconds.
    pub fn mean_us(&self, request: &Request<'_>) -> u64 {
        let (sum, count) = request
            .members
            .iter()
            .filter(|member| self.has(**member))
            .fold((0, 0), |(sum, count), member| (sum + self.delay_us(*member), count + 1));
        sum / u64::max(count, 1)
    }

    /// The members that are not on it.
    pub fn missed<'t>(&'t self, request: &'t Request<'_>) -> impl Iterator<Item = u32> + 't {
        request.members.iter().copied().filter(|member| !self.has(*member))
    }
}
