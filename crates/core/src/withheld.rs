//! A node finds whether its parent on a tree withholds datagrams that its backup has (docs/protocol.md section 6, Repair).
//!
//! The backup's ticks report the highest counter that it has. A datagram up to that counter which has not come some time
//! after the tick is missing.

use std::collections::VecDeque;

/// Why a parent on a tree is given up, or that it should not have been, as ParentLost has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentFailure {
    /// The parent sends nothing at all.
    Silent = 1,
    /// The parent sends on less than the backup has.
    Withholds = 2,
    /// The parent has sent on nothing yet: the root knows whether it was to.
    SendsNothing = 3,
    /// The parent was silent for a while, and sends on again.
    Returned = 4,
}

/// The most that a datagram which the backup has may come later by the parent.
pub(crate) const LATER_NS: u64 = 300_000_000;
/// The looks in a row that must find too much missing: a moment's losses are nobody's fault.
pub(crate) const LOOKS: u32 = 3;
/// The looks at a node without children, which so has what is missing from its parent, if that finds it first.
pub(crate) const LOOKS_OF_LEAF: u32 = 5;
/// Marks that wait for their time.
const WAITING_MARKS: usize = 8;
/// Missing is too much with so many datagrams, and one in so many.
const MISSING: u64 = 2;
const ONE_IN: u64 = 4;

/// The looks at one tree.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    /// How far the backup was, and when it reported that.
    marks: VecDeque<(u64, u64)>,
    /// Counters up to this one were looked at, or came before the first mark.
    looked: u64,
    /// The looks in a row that found too much missing, and where the first of these began.
    missing: u32,
    since: u64,
}

impl Withheld {
    /// The backup is so far.
    pub(crate) fn mark(&mut self, counter: u64, now_ns: u64) {
        if self.looked == 0 {
            self.looked = counter;
        }
        let last = self.marks.back().map_or(self.looked, |(last, _)| *last);
        if counter > last && self.marks.len() < WAITING_MARKS {
            self.marks.push_back((counter, now_ns));
        }
    }

    /// Looks at what should have come by now; `seen`: how many of the counters beyond one, up to another, came. The counter since
    /// which too much is missing, when so many looks in a row found that.
    pub(crate) fn look(&mut self, now_ns: u64, looks: u32, seen: impl Fn(u64, u64) -> u64) -> Option<u64> {
        let mut found = None;
        while let Some((counter, marked_ns)) = self.marks.front().copied() {
            if now_ns.saturating_sub(marked_ns) < LATER_NS {
                break;
            }
            self.marks.pop_front();
            let wanted = counter - self.looked;
            let missing = wanted.saturating_sub(seen(self.looked, counter));
            if missing >= MISSING && missing * ONE_IN >= wanted {
                if self.missing == 0 {
                    self.since = self.looked;
                }
                self.missing += 1;
            } else {
                self.missing = 0;
            }
            self.looked = counter;
            if self.missing >= looks {
                self.missing = 0;
                found = Some(self.since);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// The times at which it is found that too much is missing, and since which counter, of a second with a mark of 50 more each 100 ms.
    fn looks(seen: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
        let mut withheld = Withheld::default();
        let mut found = Vec::new();
        for turn in 0..50 {
            let now_ns = turn * 20 * MS;
            if turn % 5 == 0 {
                withheld.mark(50 * (turn / 5 + 1), now_ns);
            }
            let count = |low: u64, high: u64| (low + 1..=high).filter(|counter| seen(*counter)).count() as u64;
            found.extend(withheld.look(now_ns, LOOKS, count).map(|since| (now_ns / MS, since)));
        }
        found
    }

    #[test]
    fn a_parent_that_sends_on_nothing_or_half_is_found_within_700_ms() {
        assert_eq!(looks(|_| false)[0], (600, 50));
        assert_eq!(looks(|counter| counter % 2 == 0)[0], (600, 50));
        assert_eq!(looks(|counter| counter <= 120)[0], (700, 100));
    }

    #[test]
    fn losses_of_some_and_of_a_moment_are_nobodys_fault() {
        assert_eq!(looks(|_| true), []);
        assert_eq!(looks(|counter| counter % 5 != 0), [], "one in five");
        assert_eq!(looks(|counter| !(149..=251).contains(&counter)), [], "a tenth of a second, and more");
    }

    #[test]
    fn a_backup_that_says_the_same_or_less_or_too_much_at_once_fills_nothing() {
        let mut withheld = Withheld::default();
        for counter in [10, 10, 9, 11].into_iter().chain(12..1000) {
            withheld.mark(counter, 0);
        }
        assert_eq!(withheld.marks.len(), WAITING_MARKS);
        assert_eq!(withheld.marks[0], (11, 0));
    }
}
