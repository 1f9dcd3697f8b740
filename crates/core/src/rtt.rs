//! Probes that wait for their reply, and the round-trip time, smoothed as RFC 6298 section 2 does.
//!
//! The value of a probe is random: who sends it back has read it where it was sent.

use aws_lc_rs::rand;

use crate::path::ProbedWay;

/// Probes whose reply is still believed: two in a turn, on the path and by the route, and as many again where those are not answered.
const OUTSTANDING: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    value: u64,
    way: ProbedWay,
    sent_ns: u64,
}

/// One session's probes.
#[derive(Debug, Default)]
pub struct RoundTrip {
    outstanding: [Option<Outstanding>; OUTSTANDING],
    next: usize,
    smoothed_ns: Option<f64>,
    variation_ns: f64,
}

impl RoundTrip {
    /// A probe leaves now on this way; returns its value.
    pub fn probe(&mut self, way: ProbedWay, now_ns: u64) -> u64 {
        let mut bytes = [0; 8];
        let _ = rand::fill(&mut bytes); // where there is no randomness AWS-LC ends the process
        let value = u64::from_be_bytes(bytes);
        if let Some(slot) = self.outstanding.get_mut(self.next) {
            *slot = Some(Outstanding { value, way, sent_ns: now_ns });
        }
        self.next = (self.next + 1) % OUTSTANDING;
        value
    }

    /// A reply came: the way that its probe took. None when it answers no outstanding probe.
    pub fn reply(&mut self, value: u64, now_ns: u64) -> Option<ProbedWay> {
        let slot = self.outstanding.iter_mut().find(|slot| slot.is_some_and(|probe| probe.value == value))?;
        let probe = slot.take()?;
        let sample = now_ns.saturating_sub(probe.sent_ns) as f64;
        match self.smoothed_ns {
            None => {
                self.smoothed_ns = Some(sample);
                self.variation_ns = sample / 2.0;
            }
            Some(smoothed) => {
                self.variation_ns = 0.75 * self.variation_ns + 0.25 * (smoothed - sample).abs();
                self.smoothed_ns = Some(0.875 * smoothed + 0.125 * sample);
            }
        }
        Some(probe.way)
    }

    /// SRTT in milliseconds.
    pub fn smoothed_ms(&self) -> Option<f64> {
        self.smoothed_ns.map(|ns| ns / 1e6)
    }
}
