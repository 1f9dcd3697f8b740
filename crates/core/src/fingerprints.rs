//! Fingerprints of databases: 16 bytes that stand for all advertisements that a node holds (docs/protocol.md section 7).
//!
//! Python makes the own one; probes and their replies carry it. What a peer's differ by is Python's to judge.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::datagram::{array_at, u64_at};
use crate::limits::MAX_PEERS;
use crate::reason::Reason;
use crate::session::lock;

/// The body of a probe, and of its reply up to what only that has.
pub const PROBE_LEN: usize = 8 + 16;
/// The body of a reply: how many datagrams of the session have come, behind what it has of the probe.
pub const REPLY_LEN: usize = PROBE_LEN + 8;
/// A peer that differs is reported no more often.
const REPORT_INTERVAL_NS: u64 = 500_000_000;

/// The content of a probe, and of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Meaningful to the one that probes only.
    pub value: u64,
    /// The sender's.
    pub fingerprint: u128,
}

impl Probe {
    /// The body of a session datagram of kind 3 or 4.
    pub fn emit(&self) -> [u8; PROBE_LEN] {
        let mut out = [0; PROBE_LEN];
        out[..8].copy_from_slice(&self.value.to_be_bytes());
        out[8..].copy_from_slice(&self.fingerprint.to_be_bytes());
        out
    }

    /// The body of one of kind 4: the sender has received so many datagrams of the session.
    pub fn emit_reply(&self, came: u64) -> [u8; REPLY_LEN] {
        let mut out = [0; REPLY_LEN];
        out[..PROBE_LEN].copy_from_slice(&self.emit());
        out[PROBE_LEN..].copy_from_slice(&came.to_be_bytes());
        out
    }

    /// How many have come, as a reply reports; None where it has no receipt.
    pub fn came(reply: &[u8]) -> Option<u64> {
        u64_at(reply, PROBE_LEN)
    }

    /// Its inverse; what stands behind is left alone.
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let value = u64_at(body, 0).ok_or(Reason::InnerMalformed)?;
        let fingerprint = array_at(body, 8).map(u128::from_be_bytes).ok_or(Reason::InnerMalformed)?;
        Ok(Self { value, fingerprint })
    }
}

/// This node's, and the peers whose last one was another.
#[derive(Debug, Default)]
pub struct Fingerprints {
    own: Mutex<u128>,
    /// The time at which it was last reported, by peer.
    differing: Mutex<HashMap<u32, u64>>,
}

impl Fingerprints {
    /// Python holds something else than before.
    pub fn set(&self, own: u128) {
        *lock(&self.own) = own;
    }

    /// This node's.
    pub fn own(&self) -> u128 {
        *lock(&self.own)
    }

    /// A peer's has come. What it is greater by, modulo 2^128, where that is worth a report: it is another, or no other any more.
    pub fn compare(&self, peer: u32, theirs: u128, now_ns: u64) -> Option<u128> {
        let difference = theirs.wrapping_sub(self.own());
        let mut differing = lock(&self.differing);
        let reported_ns = differing.get(&peer).copied();
        if difference == 0 && reported_ns.is_none() {
            return None;
        }
        if reported_ns.is_some_and(|reported_ns| now_ns < reported_ns.saturating_add(REPORT_INTERVAL_NS)) {
            return None;
        }
        if difference == 0 {
            differing.remove(&peer);
        } else if reported_ns.is_some() || differing.len() < MAX_PEERS {
            differing.insert(peer, now_ns);
        }
        Some(difference)
    }

    /// Its sessions are gone.
    pub fn forget(&self, peer: u32) {
        lock(&self.differing).remove(&peer);
    }
}
