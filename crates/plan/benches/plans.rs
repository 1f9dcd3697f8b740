//! The cost of a plan on a graph of about 16 links a node (`cargo bench --package treecast-plan`).

use std::time::Instant;

use treecast_plan::compact::{keep, plan};
use treecast_plan::graph::{Graph, Link};
use treecast_plan::improvement::improve;
use treecast_plan::tree::Request;

const LINKS: u64 = 8;
const RUNS: usize = 15;

fn main() {
    for nodes in [100, 1_000, 10_000] {
        measure(nodes);
    }
}

/// xorshift64*: the same graph each time.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
}

fn measure(nodes: u64) {
    let mut state = 1;
    let mut links = Vec::new();
    for one in 0..nodes {
        for _ in 0..LINKS {
            let (other, delay_us) = (next(&mut state) % nodes, 1_000 + next(&mut state) % 99_000);
            links.push(Link { one: one as u32, other: other as u32, delay_us: delay_us as u32 });
        }
    }
    let members: Vec<u32> = (1..nodes as u32).collect();
    let capacity: Vec<u16> = (0..nodes).map(|node| if node % 5 < 2 { 8 } else { 2 }).collect();
    let copy_us = vec![100; nodes as usize];
    let graph = Graph::new(nodes as usize, &links);
    let request =
        Request { graph: &graph, root: 0, members: &members, relays: &[], capacity: &capacity, copy_us: &copy_us };
    let tree = plan(&request);
    println!("{nodes} nodes: {} missed, mean {} us", tree.missed(&request).count(), tree.mean_us(&request));
    report(nodes, "graph", || drop(Graph::new(nodes as usize, &links)));
    report(nodes, "plan", || drop(plan(&request)));
    report(nodes, "one pass of improvement", || {
        improve(&request, &mut tree.clone(), usize::MAX);
    });
    let parents: Vec<Option<u32>> = (0..nodes as u32).map(|node| tree.parent(node)).collect();
    let mut without_one = parents.clone();
    without_one[nodes as usize / 2] = None;
    report(nodes, "one join", || drop(keep(&request, &without_one)));
    let mut better = tree.clone();
    let moved = improve(&request, &mut better, usize::MAX);
    println!("{nodes} nodes: improved by {moved} moves, mean {} us", better.mean_us(&request));
}

fn report(nodes: u64, what: &str, run: impl Fn()) {
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!("{nodes} nodes, {what}: {:.3} ms", times[RUNS / 2].as_secs_f64() * 1e3);
}
