//! How much a session carries: by its node's route, and what has come, probes and their replies not counted.
//!
//! A node says in its replies how much has come; who sent it finds what was lost on the way.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::datagram::{KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY};

/// One session's.
#[derive(Debug, Default)]
pub struct Carried {
    routed: AtomicU64,
    came: AtomicU64,
}

impl Carried {
    /// One more datagram goes by the node's route, with a body of this kind.
    pub fn add_routed(&self, kind: u8) {
        self.routed.fetch_add(u64::from(!is_of_ways(kind)), Ordering::Relaxed);
    }

    /// One more has come, on whatever way, with a body of this kind.
    pub fn add_came(&self, kind: u8) {
        self.came.fetch_add(u64::from(!is_of_ways(kind)), Ordering::Relaxed);
    }

    /// How many went by a route so far.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }

    /// How many have come so far.
    pub fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }
}

/// Whether a body of this kind only asks or says what a way is like.
fn is_of_ways(kind: u8) -> bool {
    matches!(kind, KIND_PROBE | KIND_PROBE_REPLY | KIND_PATH_CHALLENGE | KIND_PATH_RESPONSE)
}
