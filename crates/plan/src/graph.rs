//! Links between nodes, and their delays: as nodes advertise them, and as a plan takes them.

use std::collections::HashMap;

/// A link, by the numbers of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// One end.
    pub one: u32,
    /// The other.
    pub other: u32,
    /// One way, in microseconds; 0 counts as 1.
    pub delay_us: u32,
}

/// The links of each node: `(delay in microseconds, other end)`, ascending.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    ends: Vec<Vec<(u32, u32)>>,
}

impl Graph {
    /// A graph of nodes 0 to `nodes` - 1. Links of other nodes and of a node with itself are left out; of two between the same ends the
    /// shorter one counts.
    pub fn new(nodes: usize, links: &[Link]) -> Self {
        let mut ends = vec![Vec::new(); nodes];
        for link in links.iter().filter(|link| link.one != link.other && (link.one.max(link.other) as usize) < nodes) {
            ends[link.one as usize].push((link.other, link.delay_us.max(1)));
            ends[link.other as usize].push((link.one, link.delay_us.max(1)));
        }
        let sorted = |mut of_node: Vec<(u32, u32)>| {
            of_node.sort_unstable();
            of_node.dedup_by_key(|(other, _)| *other);
            let mut by_delay: Vec<(u32, u32)> =
                of_node.into_iter().map(|(other, delay_us)| (delay_us, other)).collect();
            by_delay.sort_unstable();
            by_delay
        };
        Self { ends: ends.into_iter().map(sorted).collect() }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The links of a node.
    pub fn of(&self, node: u32) -> &[(u32, u32)] {
        &self.ends[node as usize]
    }

    /// The delay of the link between two nodes, if there is one.
    pub fn delay_us(&self, one: u32, other: u32) -> Option<u32> {
        self.of(one).iter().find(|(_, end)| *end == other).map(|(delay_us, _)| *delay_us)
    }
}

/// An entry of LINKS: to whom, and the classes of round trip and loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The other end, by its node index.
    pub peer: u32,
    /// Class of the round trip.
    pub rtt: u8,
    /// Class of the loss.
    pub loss: u8,
}

/// The links that nodes advertise, by chunk. A change costs its node's links, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct AdvertisedLinks {
    /// Links by node, ascending by peer and then by chunk: of several entries the last counts.
    listed: HashMap<u32, Vec<(u8, Listed)>>,
    delays_us: Vec<Vec<u32>>,
}

impl AdvertisedLinks {
    /// `delays_us`: of each class of round trip, of each class of loss. The last ones stand for all that are higher.
    pub fn new(delays_us: Vec<Vec<u32>>) -> Self {
        Self { listed: HashMap::new(), delays_us }
    }

    /// A chunk of a node lists these from now on.
    pub fn set(&mut self, node: u32, chunk: u8, links: &[Listed]) {
        let listed = self.listed.entry(node).or_default();
        listed.retain(|(of, _)| *of != chunk);
        listed.extend(links.iter().map(|link| (chunk, *link)));
        listed.sort_by_key(|(of, link)| (link.peer, *of));
        listed.shrink_to_fit();
        if listed.is_empty() {
            self.listed.remove(&node);
        }
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.listed.values().map(Vec::len).sum()
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The links between these nodes, which are given ascending and each once, and have the numbers of their places. Both ends must
    /// list a link; of each class the greater one counts.
    pub fn graph(&self, nodes: &[u32]) -> Graph {
        let mut links = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            for (_, mine) in self.listed.get(node).into_iter().flatten().filter(|(_, mine)| mine.peer > *node) {
                let Ok(other) = nodes.binary_search(&mine.peer) else { continue };
                let (Some(mine), Some(theirs)) = (self.entry(*node, mine.peer), self.entry(mine.peer, *node)) else {
                    continue;
                };
                let delay_us = self.delay_us(mine.rtt.max(theirs.rtt), mine.loss.max(theirs.loss));
                links.push(Link { one: number as u32, other: other as u32, delay_us });
            }
        }
        Graph::new(nodes.len(), &links)
    }

    fn entry(&self, node: u32, peer: u32) -> Option<Listed> {
        let listed = self.listed.get(&node)?;
        let beyond = listed.partition_point(|(_, link)| link.peer <= peer);
        listed[..beyond].last().map(|(_, link)| *link).filter(|link| link.peer == peer)
    }

    fn delay_us(&self, rtt: u8, loss: u8) -> u32 {
        let of_rtt = self.delays_us.get(usize::from(rtt)).or(self.delays_us.last());
        let delay_us = of_rtt.and_then(|losses| losses.get(usize::from(loss)).or(losses.last()));
        delay_us.copied().unwrap_or(1)
    }
}
