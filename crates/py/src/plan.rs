//! `LinkGraph`: links as nodes advertise them, and trees that are planned over them (`treecast-plan`).

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use treecast_plan::backups::backups;
use treecast_plan::compact::{keep, plan};
use treecast_plan::disjoint::{plan_pair, Parents};
use treecast_plan::graph::{AdvertisedLinks, Graph, Listed};
use treecast_plan::improvement::improve;
use treecast_plan::tree::{Request, Tree};

/// `(node, so many children at most, microseconds of a copy, wants the datagrams)`.
type Asked = (u32, u16, u32, bool);

/// `(node, parent)` of each node on the tree but the root; the members' mean delay in microseconds; how many of them are not on it;
/// `(node, backup)` of each that has one.
type PlanFields = (Vec<(u32, u32)>, u64, usize, Vec<(u32, u32)>);

/// `(node, parent)` of a tree that there is already.
type Kept = Vec<(u32, u32)>;

#[pyclass(module = "treecast._native")]
pub struct LinkGraph(AdvertisedLinks);

#[pymethods]
impl LinkGraph {
    #[new]
    fn new(delays_us: Vec<Vec<u32>>) -> Self {
        Self(AdvertisedLinks::new(delays_us))
    }

    fn set_links(&mut self, node: u32, chunk: u8, links: Vec<(u32, u8, u8)>) {
        let links: Vec<Listed> = links.into_iter().map(|(peer, rtt, loss)| Listed { peer, rtt, loss }).collect();
        self.0.set(node, chunk, &links);
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn plan(&self, py: Python<'_>, root: u32, nodes: Vec<Asked>, kept: Option<Kept>) -> PyResult<PlanFields> {
        let (root, numbers) = numbered(root, &nodes)?;
        Ok(py.detach(|| {
            Asking::new(&self.0, root, &nodes).with(|request| {
                let tree = tree_of(request, &numbers, kept);
                let backups = backups(request, &tree);
                planned(request, &nodes, &tree, &backups)
            })
        }))
    }

    /// Two trees with disjoint interiors, without backups.
    fn plan_pair(
        &self,
        py: Python<'_>,
        root: u32,
        nodes: Vec<Asked>,
        kept: Option<(Kept, Kept)>,
    ) -> PyResult<(PlanFields, PlanFields)> {
        let (root, numbers) = numbered(root, &nodes)?;
        Ok(py.detach(|| {
            let kept = kept.map(|(one, other)| [one, other].map(|kept| by_number(nodes.len(), &numbers, kept)));
            Asking::new(&self.0, root, &nodes).with(|request| {
                let none = vec![None; nodes.len()];
                let [one, other] = plan_pair(request, kept.as_ref()).map(|tree| planned(request, &nodes, &tree, &none));
                (one, other)
            })
        }))
    }
}

/// The number of the root, and those of all nodes by index.
fn numbered(root: u32, nodes: &[Asked]) -> PyResult<(u32, HashMap<u32, u32>)> {
    let numbers: HashMap<u32, u32> = (0..).zip(nodes).map(|(number, (node, ..))| (*node, number)).collect();
    let is_ascending = nodes.windows(2).all(|pair| pair[0].0 < pair[1].0);
    match numbers.get(&root).copied().filter(|_| is_ascending) {
        Some(root) => Ok((root, numbers)),
        None => Err(PyValueError::new_err("nodes are ascending, each once, and the root is one of them")),
    }
}

/// The lists that a request borrows.
struct Asking {
    graph: Graph,
    root: u32,
    members: Vec<u32>,
    relays: Vec<u32>,
    capacity: Vec<u16>,
    copy_us: Vec<u32>,
}

impl Asking {
    fn new(links: &AdvertisedLinks, root: u32, nodes: &[Asked]) -> Self {
        let indices: Vec<u32> = nodes.iter().map(|(node, ..)| *node).collect();
        let others = || (0..).zip(nodes).filter(|(number, _)| *number != root);
        Self {
            graph: links.graph(&indices),
            root,
            members: others().filter(|(_, (.., wants))| *wants).map(|(number, _)| number).collect(),
            relays: others().filter(|(_, (_, most, _, wants))| !wants && *most > 0).map(|(number, _)| number).collect(),
            capacity: nodes.iter().map(|(_, most, ..)| *most).collect(),
            copy_us: nodes.iter().map(|(_, _, copy_us, _)| *copy_us).collect(),
        }
    }

    fn with<T>(&self, take: impl FnOnce(&Request<'_>) -> T) -> T {
        let Self { graph, root, members, relays, capacity, copy_us } = self;
        take(&Request { graph, root: *root, members, relays, capacity, copy_us })
    }
}

fn planned(request: &Request<'_>, nodes: &[Asked], tree: &Tree, backups: &[Option<u32>]) -> PlanFields {
    let named = |of: &dyn Fn(u32) -> Option<u32>| {
        (0..).zip(nodes).filter_map(|(number, (node, ..))| Some((*node, nodes[of(number)? as usize].0))).collect()
    };
    let parents = named(&|number| tree.parent(number));
    let mean_us = tree.mean_us(request);
    (parents, mean_us, tree.missed(request).count(), named(&|number| backups[number as usize]))
}

fn tree_of(request: &Request<'_>, numbers: &HashMap<u32, u32>, kept: Option<Kept>) -> Tree {
    let Some(kept) = kept else {
        let mut tree = plan(request);
        improve(request, &mut tree, usize::MAX);
        return tree;
    };
    keep(request, &by_number(request.graph.len(), numbers, kept))
}

/// The parents of those nodes that are there.
fn by_number(nodes: usize, numbers: &HashMap<u32, u32>, kept: Kept) -> Parents {
    let mut parents = vec![None; nodes];
    for (child, parent) in kept {
        if let (Some(child), Some(parent)) = (numbers.get(&child), numbers.get(&parent)) {
            parents[*child as usize] = Some(*parent);
        }
    }
    parents
}
