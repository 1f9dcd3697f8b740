//! Probes that wait for their reply, and the round-trip time, smoothed as RFC 6298 section 2 does.
//!
//! The value of a probe is random: who sends it back has read it where it was sent.

use std::collections::VecDeque;

use aws_lc_rs::rand;

use crate::path::ProbedVia;

/// The least round trip of so many probes is the path's or route's own: what the others are longer, somebody waited.
const RECENT: usize = 5;
/// Probes whose reply is still believed: two in a turn, on the path and by the route, and twice as many again where those are
/// not answered: those of five seconds.
const OUTSTANDING: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    value: u64,
    via: ProbedVia,
    sent: u64,
    sent_ns: u64,
}

/// One session's probes.
#[derive(Debug)]
pub struct RoundTrip {
    /// The oldest first.
    outstanding: VecDeque<Outstanding>,
    smoothed_ns: Option<f64>,
    variation_ns: f64,
    recent_ns: [u64; RECENT],
    replies: usize,
}

impl Default for RoundTrip {
    fn default() -> Self {
        let recent_ns = [u64::MAX; RECENT];
        Self { outstanding: VecDeque::new(), smoothed_ns: None, variation_ns: 0.0, recent_ns, replies: 0 }
    }
}

impl RoundTrip {
    /// A probe leaves now by this path or route, by which so many datagrams went before; returns its value.
    pub fn probe(&mut self, via: ProbedVia, sent: u64, now_ns: u64) -> u64 {
        let mut bytes = [0; 8];
        let _ = rand::fill(&mut bytes); // where there is no randomness AWS-LC ends the process
        let value = u64::from_be_bytes(bytes);
        if self.outstanding.len() >= OUTSTANDING {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back(Outstanding { value, via, sent, sent_ns: now_ns });
        value
    }

    /// A reply came: what its probe went by, and how much had gone by that. None when it answers no outstanding probe.
    pub fn reply(&mut self, value: u64, now_ns: u64) -> Option<(ProbedVia, u64)> {
        let position = self.outstanding.iter().position(|probe| probe.value == value)?;
        let probe = self.outstanding.remove(position)?;
        let sample_ns = now_ns.saturating_sub(probe.sent_ns);
        if let Some(oldest) = self.recent_ns.get_mut(self.replies % RECENT) {
            *oldest = sample_ns;
        }
        self.replies = self.replies.wrapping_add(1);
        let sample = sample_ns as f64;
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
        Some((probe.via, probe.sent))
    }

    /// SRTT in milliseconds.
    pub fn smoothed_ms(&self) -> Option<f64> {
        self.smoothed_ns.map(|ns| ns / 1e6)
    }

    /// The least of the last few round trips in milliseconds.
    pub fn least_ms(&self) -> Option<f64> {
        self.smoothed_ns.and(self.recent_ns.iter().min()).map(|ns| *ns as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least_after(samples_ms: &[u64]) -> Option<f64> {
        let mut round_trip = RoundTrip::default();
        for sample_ms in samples_ms {
            let value = round_trip.probe(ProbedVia::Route(0), 0, 0);
            assert!(round_trip.reply(value, sample_ms * 1_000_000).is_some());
        }
        round_trip.least_ms()
    }

    #[test]
    fn the_oldest_probes_are_answered_no_more_when_there_are_later_ones() {
        let mut round_trip = RoundTrip::default();
        let values: Vec<_> =
            (0..=OUTSTANDING).map(|sent| round_trip.probe(ProbedVia::Route(0), sent as u64, 0)).collect();
        assert_eq!(round_trip.reply(values[0], 1), None);
        assert_eq!(round_trip.reply(values[OUTSTANDING], 1), Some((ProbedVia::Route(0), OUTSTANDING as u64)));
        assert_eq!(round_trip.reply(values[1], 1), Some((ProbedVia::Route(0), 1)), "in whatever order");
        assert_eq!(round_trip.reply(values[1], 1), None, "once");
    }

    #[test]
    fn the_least_is_that_of_the_last_five_probes() {
        assert_eq!(least_after(&[]), None);
        assert_eq!(least_after(&[90]), Some(90.0));
        assert_eq!(least_after(&[40, 300, 300, 300, 300]), Some(40.0));
        assert_eq!(least_after(&[40, 90, 90, 95, 90, 90]), Some(90.0));
        assert_eq!(least_after(&[90, 90, 90, 90, 90, 40]), Some(40.0));
    }
}
