//! Round-trip time of probes, smoothed as RFC 6298 section 2 does.

/// Probes whose reply is still believed.
const OUTSTANDING: usize = 4;

/// One session's probes.
#[derive(Debug, Default)]
pub struct RoundTrip {
    outstanding: [Option<u64>; OUTSTANDING],
    next: usize,
    smoothed_ns: Option<f64>,
    variation_ns: f64,
}

impl RoundTrip {
    /// A probe leaves now; returns its value, which is the time.
    pub fn probe(&mut self, now_ns: u64) -> u64 {
        if let Some(slot) = self.outstanding.get_mut(self.next) {
            *slot = Some(now_ns);
        }
        self.next = (self.next + 1) % OUTSTANDING;
        now_ns
    }

    /// A reply came; false when it answers no outstanding probe.
    pub fn reply(&mut self, value: u64, now_ns: u64) -> bool {
        let Some(slot) = self.outstanding.iter_mut().find(|slot| **slot == Some(value)) else { return false };
        *slot = None;
        let sample = now_ns.saturating_sub(value) as f64;
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
        true
    }

    /// SRTT in milliseconds.
    pub fn smoothed_ms(&self) -> Option<f64> {
        self.smoothed_ns.map(|ns| ns / 1e6)
    }
}
