//! Refusals by node: how much of each was refused for which reason since Python last read it, so that people learn who it is.
//!
//! A node is named by what is authentic: the session that something came in, or the key that only it has. So it is counted for
//! what it has done itself. Only what is dropped comes here, and allocates nothing but for the first of a node in a while.

use std::collections::HashMap;
use std::sync::Mutex;

use foldhash::quality::RandomState;

use crate::limits::MAX_REFUSALS;
use crate::reason::Reason;
use crate::session::lock;

/// The reasons that a node can be named for.
const NAMED: [Reason; 11] = [
    Reason::SourceOfAnotherNode,
    Reason::FrameNeverCrosses,
    Reason::BroadcastSignature,
    Reason::BroadcastSignatureRate,
    Reason::TreeRpf,
    Reason::TreeWrapped,
    Reason::TreeTag,
    Reason::FragmentTableFull,
    Reason::KeyOffersFull,
    Reason::TreeStatesFull,
    Reason::PuntPeerFull,
];

/// How many were refused of a node, for one reason.
pub type RefusalCount = (u32, Reason, u64);

/// Counts by node and reason.
#[derive(Debug, Default)]
pub struct RefusalCounts(Mutex<HashMap<(u32, Reason), u64, RandomState>>);

impl RefusalCounts {
    /// Counts one, where a node is named for this reason, and there is room.
    #[cold]
    pub fn note(&self, node: u32, reason: Reason) {
        if !NAMED.contains(&reason) {
            return;
        }
        let mut counts = lock(&self.0);
        if let Some(count) = counts.get_mut(&(node, reason)) {
            *count += 1;
        } else if counts.len() < MAX_REFUSALS {
            counts.insert((node, reason), 1);
        }
    }

    /// Takes those since the last call.
    pub fn take(&self) -> Vec<RefusalCount> {
        lock(&self.0).drain().map(|((node, reason), count)| (node, reason, count)).collect()
    }
}
