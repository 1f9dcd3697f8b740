//! A node below a relay with a backup, turn by turn: what comes, and what it does. A vector for the model.

use serde_json::Value;

use crate::common::*;
use crate::repair::{Network, FRAME, NAME};
use treecast_core::events::Event;
use treecast_core::tree_mark::TreeMark;

const US: u64 = 1000;
const TURNS: u64 = 60;

/// The datagrams of a turn, and what else, that the node gets: of these phases each run has three.
#[derive(Clone, Copy)]
struct Phase {
    /// Datagrams of the root.
    sealed: u64,
    /// The parent sends on each so-manieth of these; 0: none.
    each: u64,
    /// The parent is there: it sends a tick.
    alive: bool,
    /// The backup reports how far it is.
    marks: bool,
}

const fn phase(sealed: u64, each: u64, alive: bool, marks: bool) -> Phase {
    Phase { sealed, each, alive, marks }
}

const RUNS: [[Phase; 3]; 5] = [
    [phase(6, 1, true, true), phase(6, 0, false, false), phase(6, 1, true, true)],
    [phase(6, 1, true, true), phase(6, 2, true, true), phase(6, 0, true, true)],
    [phase(3, 0, true, true), phase(3, 1, true, true), phase(0, 1, true, false)],
    [phase(1, 1, false, true), phase(0, 0, false, false), phase(1, 1, true, true)],
    [phase(4, 1, true, true), phase(4, 0, true, true), phase(4, 3, false, true)],
];

/// `run microseconds low high each mark alive counter failure ticked` for each turn: counters from `low` up to `high` came from the parent, each
/// so-manieth of them, and the backup is at `mark`, half a millisecond before; then the node grafts for what follows `counter` (-1: it does
/// not), reports that its parent has failed, and sends its child a tick.
pub fn steps() -> Value {
    let mut random = 1u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut steps = Vec::new();
    for (run, phases) in RUNS.iter().enumerate() {
        let mut network = Network::new();
        let (mut at_us, mut sealed) = (0, 0);
        for turn in 0..3 * TURNS {
            let Phase { sealed: count, each, alive, marks } = phases[(turn / TURNS) as usize];
            at_us += 20_000 + next(9_000);
            network.now_ns = NOW_NS + at_us * US - 500 * US;
            let (low, high) = (sealed + 1, sealed + count);
            for counter in low..=high {
                let datagram = seal_tree(&network.tree(), FRAME);
                if each != 0 && counter % each == 0 {
                    network.pass(&network.child, 2, &datagram).unwrap();
                }
            }
            sealed = high;
            let mark = if marks && turn % 4 == 3 { sealed } else { 0 };
            if mark != 0 {
                network.mark(&network.backup, &TreeMark { tree: NAME, counter: mark }, endpoint(4)).unwrap();
            }
            if alive {
                network.tick();
            }
            network.now_ns += 500 * US;
            let turned = network.child.turn_trees(network.now_ns);
            let counter = turned.grafts.first().map_or(-1, |(_, graft)| graft.counter as i64);
            let events = network.child.drain(100, || {});
            let failure = events.iter().find_map(|event| match event {
                Event::ParentFailed { failure, .. } => Some(*failure as u32),
                _ => None,
            });
            let (failure, ticked) = (failure.unwrap_or(0), u32::from(!turned.ticks.is_empty()));
            let alive = u32::from(alive);
            steps.push(format!("{run} {at_us} {low} {high} {each} {mark} {alive} {counter} {failure} {ticked}"));
        }
    }
    steps.into()
}
