//! Handshakes that this node takes part in, by the index that it gave its side: RESPONSE, FINAL, REFUSAL and COOKIE carry it.
//!
//! An answer counts only where one is expected, and each handshake has its own budget of them. Indices are random: who does not
//! see a handshake can neither answer it nor use its budget up.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::datagram::{u32_at, INIT, RESPONSE};
use crate::limits::MAX_EXPECTED_ANSWERS;
use crate::rate::{Rate, TokenBucket};
use crate::reason::Reason;
use crate::session::lock;

/// An index is kept for this long after its last INIT or RESPONSE was sent, and up to twice as long: RESPONSE is awaited for 2 s
/// after the last INIT, FINAL for 5 s, REFUSAL for 6 s after FINAL.
const KEPT_NS: u64 = 15_000_000_000;
/// Answers to one handshake: what is repeated, and from several of a peer's addresses.
const PER_HANDSHAKE: Rate = Rate { per_second: 8, burst: 16 };

#[derive(Debug, Default)]
struct KeptIndices {
    newer: HashMap<u32, TokenBucket>,
    older: HashMap<u32, TokenBucket>,
    began_ns: u64,
}

/// The indices, in two halves by their age.
#[derive(Debug, Default)]
pub struct ExpectedAnswers(Mutex<KeptIndices>);

impl ExpectedAnswers {
    /// This node sends a handshake datagram: INIT and RESPONSE have answers.
    pub fn note(&self, datagram: &[u8], now_ns: u64) {
        let Some(index) = u32_at(datagram, 4) else { return };
        if matches!(datagram.first(), Some(&(INIT | RESPONSE))) {
            let mut kept = lock(&self.0);
            kept.age(now_ns);
            let bucket = kept.older.remove(&index).unwrap_or_default();
            kept.newer.entry(index).or_insert(bucket);
        }
    }

    /// Whether an answer with a good MAC counts; why not.
    pub fn check(&self, datagram: &[u8], now_ns: u64) -> Result<(), Reason> {
        let at = if datagram.first() == Some(&RESPONSE) { 8 } else { 4 };
        let index = u32_at(datagram, at).ok_or(Reason::DatagramShort)?;
        let mut kept = lock(&self.0);
        kept.age(now_ns);
        let KeptIndices { newer, older, .. } = &mut *kept;
        let bucket = newer.get_mut(&index).or_else(|| older.get_mut(&index)).ok_or(Reason::HandshakeUnknown)?;
        bucket.take(PER_HANDSHAKE, now_ns).then_some(()).ok_or(Reason::HandshakeRateAnswers)
    }
}

impl KeptIndices {
    fn age(&mut self, now_ns: u64) {
        let age_ns = now_ns.saturating_sub(self.began_ns);
        if age_ns >= KEPT_NS || self.newer.len() >= MAX_EXPECTED_ANSWERS {
            self.older = std::mem::take(&mut self.newer);
            self.began_ns = now_ns;
        }
        if age_ns >= 2 * KEPT_NS {
            self.older.clear();
        }
    }
}
