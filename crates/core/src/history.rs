//! Datagrams that went down a tree in the last second, sealed as they came, for nodes whose parent is gone (docs/protocol.md section 6, Repair).
//!
//! Only the backup of some node keeps a history. It needs no key: a datagram is the same for whoever gets it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::limits::MAX_HISTORY_DATAGRAMS;
use crate::session::lock;

/// Bytes of a tree's history.
pub const MAX_HISTORY_LEN: usize = 1 << 22;
/// Bytes of the histories of all trees.
pub const MAX_HISTORIES_LEN: usize = 1 << 26;
/// The time that a datagram is kept.
pub const HISTORY_NS: u64 = 1_000_000_000;
/// The first ring of a history; it doubles while it loses what is younger than [`HISTORY_NS`].
const FIRST_LEN: usize = 1 << 16;

/// Bytes that all histories of a node take.
pub(crate) type HistoriesLen = Arc<AtomicUsize>;

/// The datagrams of one tree.
#[derive(Debug)]
pub struct History {
    ring: Mutex<DatagramRing>,
    all: HistoriesLen,
}

/// A kept datagram.
#[derive(Clone, Copy, Debug)]
struct KeptDatagram {
    counter: u64,
    came_ns: u64,
    start: usize,
    length: usize,
    traffic_class: u8,
}

#[derive(Debug, Default)]
struct DatagramRing {
    bytes: Vec<u8>,
    /// Datagrams in the order in which they came.
    kept: VecDeque<KeptDatagram>,
}

/// Datagrams that are to be sent once more, one behind the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Retransmission {
    /// All of them.
    pub bytes: Vec<u8>,
    /// The length of each, and the traffic class that it came with.
    pub datagrams: Vec<(usize, u8)>,
}

impl History {
    pub(crate) fn new(all: HistoriesLen) -> Self {
        Self { ring: Mutex::default(), all }
    }

    /// Keeps a datagram, in the place of the oldest ones. It allocates only while the ring grows.
    pub(crate) fn keep(&self, counter: u64, traffic_class: u8, datagram: &[u8], now_ns: u64) {
        let mut ring = lock(&self.ring);
        while ring.kept.front().is_some_and(|oldest| oldest.came_ns.saturating_add(HISTORY_NS) < now_ns) {
            ring.kept.pop_front();
        }
        let start = loop {
            let crowded = ring.kept.len() >= MAX_HISTORY_DATAGRAMS;
            match ring.free(datagram.len()).filter(|_| !crowded) {
                Some(start) => break start,
                None if !crowded && self.grow(&mut ring) => {}
                None if ring.kept.pop_front().is_none() => return, // no ring can be had
                None => {}
            }
        };
        let length = datagram.len();
        if let Some(place) = ring.bytes.get_mut(start..start + length) {
            place.copy_from_slice(datagram);
            ring.kept.push_back(KeptDatagram { counter, came_ns: now_ns, start, length, traffic_class });
        }
    }

    /// The datagrams with higher counters that came within [`HISTORY_NS`].
    pub(crate) fn after(&self, counter: u64, now_ns: u64) -> Retransmission {
        let (ring, mut retransmission) = (lock(&self.ring), Retransmission::default());
        let is_due = |kept: &&KeptDatagram| kept.counter > counter && kept.came_ns.saturating_add(HISTORY_NS) >= now_ns;
        for kept in ring.kept.iter().filter(is_due) {
            retransmission
                .bytes
                .extend_from_slice(ring.bytes.get(kept.start..kept.start + kept.length).unwrap_or_default());
            retransmission.datagrams.push((kept.length, kept.traffic_class));
        }
        retransmission
    }

    /// Forgets all, and takes no memory any more.
    pub(crate) fn clear(&self) {
        let ring = std::mem::take(&mut *lock(&self.ring));
        self.all.fetch_sub(ring.bytes.len(), Ordering::Relaxed);
    }

    /// Doubles the ring while the node has room; whether it did.
    fn grow(&self, ring: &mut DatagramRing) -> bool {
        let length = (2 * ring.bytes.len()).max(FIRST_LEN);
        let more = length - ring.bytes.len();
        let fits = |all: usize| Some(all + more).filter(|all| length <= MAX_HISTORY_LEN && *all <= MAX_HISTORIES_LEN);
        if self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let (mut bytes, mut end) = (vec![0; length], 0);
        for kept in &mut ring.kept {
            bytes[end..end + kept.length].copy_from_slice(&ring.bytes[kept.start..kept.start + kept.length]);
            kept.start = end;
            end += kept.length;
        }
        ring.bytes = bytes;
        true
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.clear();
    }
}

impl DatagramRing {
    /// Where so many bytes have room behind the newest datagram, or at the start.
    fn free(&self, length: usize) -> Option<usize> {
        let (Some(oldest), Some(newest)) = (self.kept.front(), self.kept.back()) else {
            return (length <= self.bytes.len()).then_some(0);
        };
        let end = newest.start + newest.length;
        if end <= oldest.start {
            return (end + length <= oldest.start).then_some(end);
        }
        if end + length <= self.bytes.len() {
            return Some(end);
        }
        (length <= oldest.start).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn datagram(counter: u64, length: usize) -> Vec<u8> {
        (0..length).map(|at| (counter as usize * 7 + at) as u8).collect()
    }

    fn counters(history: &History, after: u64, now_ns: u64) -> Vec<u64> {
        let due = |kept: &&KeptDatagram| kept.counter > after && kept.came_ns + HISTORY_NS >= now_ns;
        lock(&history.ring).kept.iter().filter(due).map(|kept| kept.counter).collect()
    }

    #[test]
    fn what_follows_a_counter_comes_back_as_it_came() {
        let history = History::new(HistoriesLen::default());
        for counter in 1..=5 {
            history.keep(counter, counter as u8, &datagram(counter, 100), counter * MS);
        }
        let retransmission = history.after(3, 5 * MS);
        assert_eq!(retransmission.bytes, [datagram(4, 100), datagram(5, 100)].concat());
        assert_eq!(retransmission.datagrams, [(100, 4), (100, 5)]);
        assert_eq!(history.after(5, 5 * MS), Retransmission::default());
    }

    #[test]
    fn nothing_is_kept_for_longer_than_a_second() {
        let history = History::new(HistoriesLen::default());
        history.keep(1, 0, &[1; 100], 0);
        history.keep(2, 0, &[2; 100], 600 * MS);
        assert_eq!(counters(&history, 0, 1000 * MS), [1, 2]);
        assert_eq!(history.after(0, 1001 * MS).datagrams.len(), 1);
        history.keep(3, 0, &[3; 100], 1001 * MS);
        assert_eq!(counters(&history, 0, 1001 * MS), [2, 3]);
    }

    #[test]
    fn a_ring_grows_up_to_its_bound_and_then_loses_the_oldest() {
        let all = HistoriesLen::default();
        let history = History::new(all.clone());
        let datagrams = 2 * MAX_HISTORY_LEN as u64 / 1000;
        for counter in 1..=datagrams {
            let length = 900 + counter as usize % 200;
            history.keep(counter, 0, &datagram(counter, length), 0);
            assert!(all.load(Ordering::Relaxed) <= MAX_HISTORY_LEN);
            let newest = counters(&history, 0, 0);
            assert!(newest.windows(2).all(|pair| pair[0] + 1 == pair[1]) && newest.last() == Some(&counter));
        }
        let retransmission = history.after(0, 0);
        assert!(retransmission.bytes.len() > MAX_HISTORY_LEN * 9 / 10, "{} bytes", retransmission.bytes.len());
        let first = datagrams + 1 - retransmission.datagrams.len() as u64;
        let expected: Vec<u8> =
            (first..=datagrams).flat_map(|counter| datagram(counter, 900 + counter as usize % 200)).collect();
        assert!(retransmission.bytes == expected);
        history.clear();
        assert_eq!((all.load(Ordering::Relaxed), history.after(0, 0)), (0, Retransmission::default()));
    }

    #[test]
    fn tiny_datagrams_are_bounded_by_their_number() {
        let history = History::new(HistoriesLen::default());
        for counter in 1..=MAX_HISTORY_DATAGRAMS as u64 + 10 {
            history.keep(counter, 0, &[1; 60], 0);
        }
        assert_eq!(history.after(0, 0).datagrams.len(), MAX_HISTORY_DATAGRAMS);
        assert_eq!(counters(&history, 0, 0).first(), Some(&11));
    }

    #[test]
    fn all_histories_share_the_bound_of_the_node_and_one_without_room_keeps_nothing() {
        let all = HistoriesLen::default();
        all.store(MAX_HISTORIES_LEN - FIRST_LEN, Ordering::Relaxed);
        let (one, other) = (History::new(all.clone()), History::new(all.clone()));
        one.keep(1, 0, &[1; 100], 0);
        other.keep(1, 0, &[1; 100], 0);
        assert_eq!((counters(&one, 0, 0), counters(&other, 0, 0)), (vec![1], vec![]));
        drop(one);
        other.keep(2, 0, &[1; 100], 0);
        assert_eq!(counters(&other, 0, 0), [2]);
    }
}
