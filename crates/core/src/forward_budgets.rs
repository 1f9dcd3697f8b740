//! Budgets of Forward (`docs/protocol.md` section 4), by neighbour. They outlast its sessions: who begins anew has no other ones.
//!
//! Each is shared fairly by those that use it, so that nobody takes another's part (`fair_budget.rs`).

use std::collections::HashMap;
use std::sync::Mutex;

pub use crate::fair_budget::SharerRefusals;
use crate::fair_budget::{FairBudget, CLASSES};
use crate::limits::MAX_BUDGETS_PER_SHARD;
use crate::rate::{Rate, TokenBucket};
use crate::session::lock;

/// Bytes that this node sends on for a neighbour: a first handshake takes 3,600 on each side, a voice call 10,000 a second.
const BROUGHT: Rate = Rate { per_second: 64_000, burst: 131_072 };
/// Bytes of this node's own frames by a neighbour: less than it sends on, so that probes, keys and handshakes get through.
const OWN: Rate = Rate { per_second: 48_000, burst: 65_536 };
/// Bytes that go by a neighbour which sends them on, of this node and of all that bring it some: less than it sends on.
const ONWARD: Rate = Rate { per_second: 56_000, burst: 98_304 };
/// INITs that a neighbour brings.
const INITS: Rate = Rate { per_second: 16, burst: 64 };
/// Neighbours of different ones are looked up side by side.
const SHARDS: usize = 64;

/// Frames for a node. Each class has its part, so that a stream takes nothing of another, nor of unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Datagrams for the node alone.
    Unicast,
    /// Copies of a stream; 0: of broadcast.
    Stream(u32),
}

impl Class {
    fn number(self) -> u32 {
        match self {
            Self::Unicast => 0,
            Self::Stream(0) => 1,
            Self::Stream(stream) => 2 + stream % (CLASSES as u32 - 2),
        }
    }
}

/// A Forward that a neighbour brought, as far as a node between sees.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct TransitDatagram {
    pub neighbour: u32,
    pub source: u32,
    pub destination: u32,
    pub is_handshake: bool,
    pub bytes: usize,
}

/// The class of what goes to a node: apart from handshakes, which are 0.
fn class_of_node(node: u32) -> u32 {
    1 + node % (CLASSES as u32 - 1)
}

/// A budget of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// This node's own frames by it, shared by the nodes that they are for.
    Own,
    /// The datagrams that it brings, shared by the nodes that it is of.
    Brought,
    /// The datagrams that it is to send on, shared by the neighbours that brought it; this node is one of them.
    Onward,
}

impl Budget {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Brought => "brought",
            Self::Onward => "onward",
        }
    }
}

/// A node that a budget was refused to of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetRefusals {
    /// The neighbour whose budget it is.
    pub neighbour: u32,
    /// The budget of that neighbour's that was refused.
    pub budget: Budget,
    /// The node that was refused, and how often.
    pub refusals: SharerRefusals,
}

#[derive(Debug, Default)]
struct NeighbourBudgets {
    brought: FairBudget,
    own: FairBudget,
    onward: FairBudget,
    inits: TokenBucket,
}

impl NeighbourBudgets {
    fn cuts(&self, neighbour: u32, now_ns: u64) -> impl Iterator<Item = BudgetRefusals> + '_ {
        let all = [(Budget::Own, &self.own), (Budget::Brought, &self.brought), (Budget::Onward, &self.onward)];
        let of = move |(budget, shares): (Budget, &'_ FairBudget)| -> Vec<BudgetRefusals> {
            shares.refusals(now_ns).map(|refusals| BudgetRefusals { neighbour, budget, refusals }).collect()
        };
        all.into_iter().flat_map(of)
    }
}

/// The budgets of each neighbour; of more than a node may have peers, none.
#[derive(Debug)]
pub(crate) struct ForwardBudgets {
    me: u32,
    shards: [Mutex<HashMap<u32, Box<NeighbourBudgets>>>; SHARDS],
}

impl ForwardBudgets {
    pub(crate) fn new(me: u32) -> Self {
        Self { me, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// A neighbour's Forward is to be sent on by another: whether it may.
    pub(crate) fn take_brought(&self, what: TransitDatagram, next_hop: u32, now_ns: u64) -> bool {
        let bytes = what.bytes as u64;
        let class = if what.is_handshake { 0 } else { class_of_node(what.destination) };
        self.with(what.neighbour, |of| of.brought.take(BROUGHT, what.source, class.min(1), bytes, now_ns))
            && (next_hop == what.destination
                || self.with(next_hop, |of| of.onward.take(ONWARD, what.neighbour, class, bytes, now_ns)))
    }

    /// Takes bytes of this node's own frames for a node that go by a neighbour: whether they may.
    pub(crate) fn take_own(&self, neighbour: u32, node: u32, class: Class, bytes: usize, now_ns: u64) -> bool {
        let (me, class, bytes) = (self.me, class.number(), bytes as u64);
        self.with(neighbour, |of| {
            of.own.take(OWN, node, class, bytes, now_ns)
                && of.onward.take(ONWARD, me, class_of_node(node), bytes, now_ns)
        })
    }

    /// A neighbour brings an INIT: whether it counts.
    pub(crate) fn take_init(&self, neighbour: u32, now_ns: u64) -> bool {
        self.with(neighbour, |of| of.inits.take(INITS, now_ns))
    }

    /// Reports all that were refused of late.
    pub(crate) fn cuts(&self, now_ns: u64) -> Vec<BudgetRefusals> {
        let mut cuts = Vec::new();
        for shard in &self.shards {
            cuts.extend(lock(shard).iter().flat_map(|(neighbour, of)| of.cuts(*neighbour, now_ns)));
        }
        cuts
    }

    fn with(&self, neighbour: u32, take: impl FnOnce(&mut NeighbourBudgets) -> bool) -> bool {
        let Some(shard) = self.shards.get(neighbour as usize % SHARDS) else { return false };
        let mut all = lock(shard);
        let full = all.len() >= MAX_BUDGETS_PER_SHARD;
        match all.get_mut(&neighbour) {
            Some(of) => take(of),
            None if full => false,
            None => take(all.entry(neighbour).or_default()),
        }
    }
}
