//! Budgets of Forward (`docs/protocol.md` section 4), by neighbour. They outlast its sessions: who begins anew has no other ones.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::limits::MAX_PEERS;
use crate::rate::{Rate, TokenBucket};
use crate::session::lock;

/// Bytes that this node sends on for a neighbour: a first handshake takes 3,600 on each side, a voice call 10,000 a second.
const FOREIGN: Rate = Rate { per_second: 64_000, burst: 131_072 };
/// Bytes of this node's own frames by a neighbour: less than it sends on, so that probes, keys and handshakes get through.
const OWN: Rate = Rate { per_second: 48_000, burst: 65_536 };
/// INITs that a neighbour brings.
const INITS: Rate = Rate { per_second: 16, burst: 64 };

#[derive(Debug, Default)]
struct Budgets {
    foreign: TokenBucket,
    own: TokenBucket,
    inits: TokenBucket,
}

/// The budgets of each neighbour; of more than a node may have peers, none.
#[derive(Debug, Default)]
pub(crate) struct ForwardBudgets(Mutex<HashMap<u32, Budgets>>);

impl ForwardBudgets {
    /// So many bytes of a neighbour are to be sent on: whether they may.
    pub(crate) fn take_foreign(&self, neighbour: u32, bytes: usize, now_ns: u64) -> bool {
        self.with(neighbour, |of| of.foreign.take_many(FOREIGN, bytes as u32, now_ns))
    }

    /// So many bytes of this node's own frames are to go by a neighbour: whether they may.
    pub(crate) fn take_own(&self, neighbour: u32, bytes: usize, now_ns: u64) -> bool {
        self.with(neighbour, |of| of.own.take_many(OWN, bytes as u32, now_ns))
    }

    /// A neighbour brings an INIT: whether it counts.
    pub(crate) fn take_init(&self, neighbour: u32, now_ns: u64) -> bool {
        self.with(neighbour, |of| of.inits.take(INITS, now_ns))
    }

    fn with(&self, neighbour: u32, take: impl FnOnce(&mut Budgets) -> bool) -> bool {
        let mut all = lock(&self.0);
        let full = all.len() >= MAX_PEERS;
        match all.get_mut(&neighbour) {
            Some(of) => take(of),
            None if full => false,
            None => take(all.entry(neighbour).or_default()),
        }
    }
}
