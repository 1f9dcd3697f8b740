//! Counts of durations in buckets of under 0.8 % width: 128 for each power of two of nanoseconds.

use std::collections::BTreeMap;
use std::fmt::Write;

const MANTISSA_BITS: u32 = 7;

#[derive(Default)]
pub struct Histogram {
    /// Bucket's largest value in nanoseconds -> count.
    counts: BTreeMap<u64, u64>,
    total: u64,
    smallest_ns: u64,
    largest_ns: u64,
}

impl Histogram {
    pub fn add(&mut self, ns: u64) {
        *self.counts.entry(bucket(ns)).or_default() += 1;
        self.smallest_ns = if self.total == 0 { ns } else { self.smallest_ns.min(ns) };
        self.largest_ns = self.largest_ns.max(ns);
        self.total += 1;
    }

    /// The least bucket that at least `share` (0 to 1) of the values are in or below; 0 when there are none.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (upper, count) in &self.counts {
            seen += count;
            if seen >= wanted {
                return (*upper).min(self.largest_ns);
            }
        }
        0
    }

    pub fn to_json(&self) -> String {
        let mut buckets = String::new();
        for (upper, count) in &self.counts {
            let comma = if buckets.is_empty() { "" } else { "," };
            write!(buckets, "{comma}[{upper},{count}]").expect("a String takes all");
        }
        format!(
            r#"{{"count":{},"min_ns":{},"median_ns":{},"p99_ns":{},"max_ns":{},"histogram":[{buckets}]}}"#,
            self.total,
            self.smallest_ns,
            self.quantile(0.5),
            self.quantile(0.99),
            self.largest_ns
        )
    }
}

/// The largest value of the bucket that `ns` is in.
fn bucket(ns: u64) -> u64 {
    let bits = u64::BITS - ns.leading_zeros();
    ns | ((1 << bits.saturating_sub(MANTISSA_BITS + 1)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_ordered() {
        let mut before = 0;
        for ns in (0..1_000_000).step_by(37) {
            let upper = bucket(ns);
            assert!(upper >= ns && upper >= before);
            assert!((upper - ns) as f64 <= 0.008 * ns as f64, "{ns} in {upper}");
            before = upper;
        }
        assert_eq!(bucket(u64::MAX), u64::MAX);
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=100).for_each(|ns| histogram.add(ns));
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.99)), (50, 99));
        assert!(histogram.to_json().starts_with(r#"{"count":100,"min_ns":1,"median_ns":50,"p99_ns":99,"max_ns":100,"#));
    }
}
