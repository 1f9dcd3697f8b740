//! The turns in which a node probes its peers: all nodes have the same interval, each its own phase in it.

/// The first turn after `now_ns` of a node that has one in each interval: neighbouring indices are far apart.
pub fn next_turn_ns(now_ns: u64, interval_ns: u64, node_index: u32) -> u64 {
    const GOLDEN: u32 = 0x9E37_79B9; // 2^32 over the golden ratio
    let phase_ns = (u128::from(interval_ns) * u128::from(node_index.wrapping_mul(GOLDEN))) >> u32::BITS;
    let since_ns = (now_ns + interval_ns - phase_ns as u64) % interval_ns;
    now_ns + interval_ns - since_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_once_in_an_interval_and_are_spread_over_it() {
        let interval_ns = 2_000_000_000;
        let mut turns: Vec<u64> = (1..=32)
            .map(|index| {
                let first = next_turn_ns(10 * interval_ns, interval_ns, index);
                assert!((1..=interval_ns).contains(&(first - 10 * interval_ns)));
                assert_eq!(next_turn_ns(first - 1, interval_ns, index), first);
                assert_eq!(next_turn_ns(first, interval_ns, index), first + interval_ns);
                first
            })
            .collect();
        turns.sort_unstable();
        assert!(turns.windows(2).all(|two| two[1] - two[0] > interval_ns / 100));
    }
}
