//! Networks for which trees are planned, and the rules that every plan keeps.

use proptest::collection::vec;
use proptest::prelude::*;
use treecast_plan::graph::{Graph, Link};
use treecast_plan::tree::{Request, Tree};

/// A request that owns its lists.
#[derive(Clone, Debug)]
pub struct Network {
    pub links: Vec<Link>,
    pub members: Vec<u32>,
    pub relays: Vec<u32>,
    pub capacity: Vec<u16>,
    pub copy_us: Vec<u32>,
}

impl Network {
    pub fn nodes(&self) -> u32 {
        self.capacity.len() as u32
    }

    pub fn with<T>(&self, what: impl FnOnce(&Request<'_>) -> T) -> T {
        let graph = Graph::new(self.capacity.len(), &self.links);
        let Self { members, relays, capacity, copy_us, .. } = self;
        what(&Request { graph: &graph, root: 0, members, relays, capacity, copy_us })
    }
}

/// Node 0 is the root; of the others each is a member, may relay, or neither.
pub fn networks(most_nodes: usize) -> impl Strategy<Value = Network> {
    (2..=most_nodes).prop_flat_map(|nodes| {
        let ends = 0..nodes as u32;
        let link = (ends.clone(), ends, 1..50_000_u32).prop_map(|(one, other, delay_us)| Link { one, other, delay_us });
        (vec(link, 0..4 * nodes), vec(0..3_u8, nodes), vec(0..4_u16, nodes), vec(0..3000_u32, nodes)).prop_map(
            |(links, kinds, capacity, copy_us)| {
                let of = |kind| (1..kinds.len() as u32).filter(move |node| kinds[*node as usize] == kind);
                let (members, relays) = (of.clone()(0).collect(), of(1).collect());
                Network { links, members, relays, capacity, copy_us }
            },
        )
    })
}

/// Each node once, below a neighbour, in no circle, within all bounds, at the time that follows from its place.
pub fn check(request: &Request<'_>, tree: &Tree) {
    for node in 0..request.graph.len() as u32 {
        assert!(
            tree.children(node).len() <= usize::from(request.capacity[node as usize]),
            "too many children at {node}"
        );
        if let Some(parent) = tree.parent(node) {
            assert!(tree.children(parent).contains(&node));
            assert_eq!(tree.above(node).last(), Some(0), "{node} is not below the root");
            assert!(request.members.contains(&node) || request.relays.contains(&node));
            assert!(tree.delay_us(node) > tree.delay_us(parent));
            assert!(request.graph.of(parent).iter().any(|(_, other)| *other == node));
        }
    }
    let below: usize = (0..request.graph.len() as u32).map(|node| tree.children(node).len()).sum();
    assert_eq!(below, (0..request.graph.len() as u32).filter(|node| tree.parent(*node).is_some()).count());
    let is_barren = |node: &u32| tree.parent(*node).is_some() && tree.children(*node).is_empty();
    for node in (0..request.graph.len() as u32).filter(is_barren) {
        assert!(request.members.contains(&node), "{node} relays to nobody");
    }
}
