//! Counts of a session's datagrams: sent by its node's route, and received, but for probes and their replies; and what that
//! route had no room for.
//!
//! A node reports in its replies how many it has received; who sent them finds what was lost on the way.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::datagram::{KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY};

/// One session's.
#[derive(Debug, Default)]
pub struct DatagramCounts {
    routed: AtomicU64,
    received: AtomicU64,
    refused_bytes: AtomicU64,
}

impl DatagramCounts {
    /// One more datagram goes by the node's route, with a body of this kind.
    pub fn add_routed(&self, kind: u8) {
        self.routed.fetch_add(u64::from(!is_path_control(kind)), Ordering::Relaxed);
    }

    /// One more is received, by whatever path or route, with a body of this kind.
    pub fn add_received(&self, kind: u8) {
        self.received.fetch_add(u64::from(!is_path_control(kind)), Ordering::Relaxed);
    }

    /// Frames of this node for the other one, so long in datagrams, were not sent: the budget of its route had no room.
    pub fn add_refused(&self, bytes: usize) {
        self.refused_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How long those were together.
    pub fn refused_bytes(&self) -> u64 {
        self.refused_bytes.load(Ordering::Relaxed)
    }

    /// How many went by a route so far.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }

    /// How many were received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Whether a body of this kind measures or validates a path or route: only others are counted.
fn is_path_control(kind: u8) -> bool {
    matches!(kind, KIND_PROBE | KIND_PROBE_REPLY | KIND_PATH_CHALLENGE | KIND_PATH_RESPONSE)
}
