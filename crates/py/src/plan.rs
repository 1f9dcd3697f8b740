//! `LinkGraph`: links as nodes advertise them, and trees that are planned over them (`treecast-plan`).

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use treecast_plan::backups::backups;
use treecast_plan::compact::{keep, plan};
use treecast_plan::graph::{AdvertisedLinks, Listed};
use treecast_plan::improvement::improve;
use treecast_plan::tree::{Request, Tree};

/// `(node, so many children at most, microseconds of a copy, wants the datagrams)`.
type Asked = (u32, u16, u32, bool);

/// `(node, parent)` of each node on the tree but the root; the members' mean delay in microseconds; how many of them are not on it;
/// `(node, backup)` of each that has one.
type Planned = (Vec<(u32, u32)>, u64, usize, Vec<(u32, u32)>);

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

    fn plan(&self, py: Python<'_>, root: u32, nodes: Vec<Asked>, kept: Option<Vec<(u32, u32)>>) -> PyResult<Planned> {
        let numbers: HashMap<u32, u32> = (0..).zip(&nodes).map(|(number, (node, ..))| (*node, number)).collect();
        let is_ascending = nodes.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let Some(root) = numbers.get(&root).copied().filter(|_| is_ascending) else {
            return Err(PyValueError::new_err("nodes are ascending, each once, and the root is one of them"));
        };
        Ok(py.detach(|| planned(&self.0, root, &nodes, &numbers, kept)))
    }
}

fn planned(
    links: &AdvertisedLinks,
    root: u32,
    nodes: &[Asked],
    numbers: &HashMap<u32, u32>,
    kept: Option<Vec<(u32, u32)>>,
) -> Planned {
    let indices: Vec<u32> = nodes.iter().map(|(node, ..)| *node).collect();
    let graph = links.graph(&indices);
    let others = || (0..).zip(nodes).filter(|(number, _)| *number != root);
    let members: Vec<u32> = others().filter(|(_, (.., wants))| *wants).map(|(number, _)| number).collect();
    let relays: Vec<u32> =
        others().filter(|(_, (_, most, _, wants))| !wants && *most > 0).map(|(number, _)| number).collect();
    let capacity: Vec<u16> = nodes.iter().map(|(_, most, ..)| *most).collect();
    let copy_us: Vec<u32> = nodes.iter().map(|(_, _, copy_us, _)| *copy_us).collect();
    let request =
        Request { graph: &graph, root, members: &members, relays: &relays, capacity: &capacity, copy_us: &copy_us };
    let tree = tree_of(&request, numbers, kept);
    let named = |of: &dyn Fn(u32) -> Option<u32>| {
        (0..).zip(&indices).filter_map(|(number, node)| Some((*node, indices[of(number)? as usize]))).collect()
    };
    let backups = backups(&request, &tree);
    let parents = named(&|number| tree.parent(number));
    let mean_us = tree.mean_us(&request);
    (parents, mean_us, tree.missed(&request).count(), named(&|number| backups[number as usize]))
}

fn tree_of(request: &Request<'_>, numbers: &HashMap<u32, u32>, kept: Option<Vec<(u32, u32)>>) -> Tree {
    let Some(kept) = kept else {
        let mut tree = plan(request);
        improve(request, &mut tree, usize::MAX);
        return tree;
    };
    let mut parents = vec![None; request.graph.len()];
    for (child, parent) in kept {
        if let (Some(child), Some(parent)) = (numbers.get(&child), numbers.get(&parent)) {
            parents[*child as usize] = Some(*parent);
        }
    }
    keep(request, &parents)
}
