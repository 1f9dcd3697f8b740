//! Trees that are watched: whether the parent on each is silent, and whether its children here wait for a tick (docs/protocol.md
//! section 6, Repair).
//!
//! Only trees by which something came lately are, and of these none of a root that sends to this node itself, unless it has children here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::downstream_tree::DownstreamTree;
use crate::session::lock;
use crate::withheld::{Withheld, LOOKS, LOOKS_OF_LEAF};

const MS: u64 = 1_000_000;
/// The time between turns, while a tree is watched.
pub const TURN_NS: u64 = 20 * MS;
/// A fast tree's parent is silent after so long; any other's.
const FAST_SILENCE_NS: u64 = 60 * MS;
const SLOW_SILENCE_NS: u64 = 1000 * MS;
/// A relay's tick to the children of a slow tree.
const SLOW_TICK_NS: u64 = 250 * MS;
/// A backup's tick to its backup children, of a fast tree and of any other, while something comes.
const FAST_MARK_NS: u64 = 100 * MS;
const SLOW_MARK_NS: u64 = 1000 * MS;
/// The least number of datagrams between two of these.
const MARK_DATAGRAMS: u64 = 8;
/// A tree is fast with so many datagrams within a second, for its children.
const FAST_DATAGRAMS: u64 = 100;
/// The same for its parent, which so does not think a tree slow that its children think fast.
const FAST_FOR_PARENT: u64 = FAST_DATAGRAMS / 2;
pub(crate) const SECOND_NS: u64 = 1000 * MS;
/// A tree by which nothing has come for so long is not watched; its parent sends ticks for a second longer.
pub(crate) const WATCHED_NS: u64 = 4000 * MS;
/// A turn that comes so late shows that this node did not run.
const LATE_NS: u64 = 3 * TURN_NS;
/// The most of the time before a turn that counts as silence, however late it comes: in the rest this node did not run.
const COUNTED_NS: u64 = TURN_NS * 3 / 2;
/// A graft is repeated after so long, doubling, so many times in all, while nothing comes.
const REPEAT_NS: u64 = 100 * MS;
const GRAFTS: u32 = 4;
/// Datagrams may overtake each other: so many before the newest are wanted again.
pub(crate) const OVERTAKEN: u64 = 64;

/// A tree by which something came lately.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) tree: Arc<DownstreamTree>,
    /// How many datagrams had come at `since_ns`.
    counted: u64,
    since_ns: u64,
    /// The time until which it is fast, for a child and for a parent.
    fast_until_ns: [u64; 2],
    ticked_ns: u64,
    /// Grafts sent of it, when the first one was, and when the next one is due.
    pub(crate) grafts: u32,
    grafted_ns: u64,
    next_graft_ns: u64,
    /// The time until which it waits for the root to report that the stream's other tree is in use, to graft by that, too.
    pub(crate) other_until_ns: u64,
    /// The time at which something came last from the parent, and how much of the time in which this node ran nothing has.
    pub(crate) received_ns: u64,
    silent_ns: u64,
    /// The parent was silent, and has sent on nothing since.
    is_silent: bool,
    /// The highest counter that had come when it was found silent.
    newest_then: u64,
    /// The time at which it was last reported to the root of its children's tree that nothing has come.
    reported_ns: u64,
    /// How far the backup children know this node to be, and since when.
    marked: u64,
    marked_ns: u64,
    pub(crate) withheld: Withheld,
}

/// Trees that are watched.
#[derive(Debug, Default)]
pub(crate) struct WatchedTrees {
    pub(crate) watched: Mutex<Vec<Watched>>,
    pub(crate) is_watching: AtomicBool,
    /// The first of them is watched since no turn was due, and who takes the turns may sleep.
    pub(crate) has_begun: AtomicBool,
    turned_ns: AtomicU64,
    /// The time until which nothing could come from anybody.
    pub(crate) asleep_ns: AtomicU64,
}

impl WatchedTrees {
    /// Begins to watch a tree, as fast as its stream is by the one before.
    pub(crate) fn watch(&self, tree: &Arc<DownstreamTree>, now_ns: u64) {
        let tree = tree.clone();
        let mut all = lock(&self.watched);
        let of_stream = all.iter().filter(|one| Arc::ptr_eq(&one.tree.stream, &tree.stream));
        let fast_until_ns = of_stream.map(|one| one.fast_until_ns).max().unwrap_or_default();
        let watched = Watched {
            tree,
            counted: 0,
            since_ns: now_ns,
            fast_until_ns,
            ticked_ns: 0,
            grafts: 0,
            grafted_ns: 0,
            next_graft_ns: 0,
            other_until_ns: 0,
            received_ns: 0,
            silent_ns: 0,
            is_silent: false,
            newest_then: 0,
            reported_ns: 0,
            marked: 0,
            marked_ns: 0,
            withheld: Withheld::default(),
        };
        all.push(watched);
        drop(all);
        if !self.is_watching.swap(true, Ordering::AcqRel) {
            self.has_begun.store(true, Ordering::Release);
        }
    }

    /// Notes when this turn is; how much of the time since the last one this node ran.
    pub(crate) fn turn(&self, now_ns: u64) -> u64 {
        let last_ns = self.turned_ns.swap(now_ns, Ordering::Relaxed);
        let since_ns = now_ns.saturating_sub(last_ns);
        if since_ns > LATE_NS {
            self.asleep_ns.store(now_ns, Ordering::Relaxed);
        }
        since_ns.min(COUNTED_NS)
    }
}

impl Watched {
    /// Counts how fast it is.
    pub(crate) fn count(&mut self, now_ns: u64) {
        let all = self.tree.upstream.datagrams.load(Ordering::Relaxed);
        let come = all.saturating_sub(self.counted);
        for (until_ns, enough) in self.fast_until_ns.iter_mut().zip([FAST_DATAGRAMS, FAST_FOR_PARENT]) {
            if come >= enough {
                *until_ns = now_ns + SECOND_NS;
            }
        }
        if come >= FAST_DATAGRAMS || now_ns.saturating_sub(self.since_ns) >= SECOND_NS {
            (self.counted, self.since_ns) = (all, now_ns);
        }
    }

    /// Is a tick to its children due? Datagrams show the same.
    pub(crate) fn is_tick_due(&mut self, now_ns: u64) -> bool {
        let interval_ns = if now_ns < self.fast_until_ns[1] { TURN_NS } else { SLOW_TICK_NS };
        let came_ns = self.tree.upstream.came_ns.load(Ordering::Relaxed);
        let due = now_ns.saturating_sub(came_ns.max(self.ticked_ns)) >= interval_ns * 3 / 4;
        if due {
            self.ticked_ns = now_ns;
        }
        due
    }

    /// How far this node is, when its backup children are to know.
    pub(crate) fn mark_due(&mut self, now_ns: u64) -> Option<u64> {
        let interval_ns = if now_ns < self.fast_until_ns[1] { FAST_MARK_NS } else { SLOW_MARK_NS };
        let newest = self.tree.upstream.newest.load(Ordering::Relaxed);
        if newest < self.marked + MARK_DATAGRAMS || now_ns.saturating_sub(self.marked_ns) < interval_ns {
            return None;
        }
        (self.marked, self.marked_ns) = (newest, now_ns);
        Some(newest)
    }

    /// The counter since which the parent has sent on less than the backup has, when that is found.
    pub(crate) fn withheld_since(&mut self, now_ns: u64) -> Option<u64> {
        let tree = &self.tree;
        self.withheld.mark(tree.upstream.of_backup.load(Ordering::Relaxed), now_ns);
        let looks = if tree.next_hops.load().is_empty() { LOOKS_OF_LEAF } else { LOOKS };
        self.withheld.look(now_ns, looks, |low, high| tree.seen(low, high))
    }

    /// May one more graft be sent, as datagrams are missing that the parent had? `is_there`: something has come from it since.
    pub(crate) fn count_graft(&mut self, is_there: bool, now_ns: u64) -> bool {
        let due = self.grafts < GRAFTS;
        if due {
            self.grafts += 1;
            self.grafted_ns = now_ns;
            if !is_there {
                self.note_silent();
            }
        }
        due
    }

    /// Is the root to know, or to know again, that the parent has sent on nothing?
    pub(crate) fn is_report_due(&mut self, now_ns: u64) -> bool {
        let due = self.reported_ns == 0 || now_ns.saturating_sub(self.reported_ns) >= SECOND_NS;
        if due {
            self.reported_ns = now_ns;
        }
        due
    }

    /// Counts for how long nothing has come from the parent. `ran_ns`: what counts of the time since the last turn.
    pub(crate) fn count_silence(&mut self, received_ns: u64, ran_ns: u64, now_ns: u64) {
        if received_ns > self.received_ns {
            (self.received_ns, self.silent_ns) = (received_ns, ran_ns.min(now_ns.saturating_sub(received_ns)));
        } else {
            self.silent_ns += ran_ns;
        }
    }

    /// Does it wait for the stream's other tree to be in use?
    pub(crate) fn seeks_other_tree(&self, now_ns: u64) -> bool {
        now_ns < self.other_until_ns
    }

    /// Is a graft due?
    pub(crate) fn is_graft_due(&mut self, now_ns: u64) -> bool {
        let came_ns = self.tree.upstream.came_ns.load(Ordering::Relaxed);
        let silence_ns = if now_ns < self.fast_until_ns[0] { FAST_SILENCE_NS } else { SLOW_SILENCE_NS };
        if self.grafts > 0 && came_ns > self.grafted_ns {
            self.grafts = GRAFTS; // something comes again
        }
        let due = self.silent_ns > silence_ns
            && self.grafts < GRAFTS
            && now_ns >= self.next_graft_ns
            && now_ns.saturating_sub(came_ns) < WATCHED_NS;
        if due {
            self.grafted_ns = if self.grafts == 0 { now_ns } else { self.grafted_ns };
            self.next_graft_ns = now_ns + (REPEAT_NS << self.grafts);
            self.grafts += 1;
            self.note_silent();
        }
        due
    }

    fn note_silent(&mut self) {
        (self.is_silent, self.newest_then) = (true, self.tree.upstream.newest.load(Ordering::Relaxed));
    }

    /// Is a parent there again that was silent? Once. It sends on, or, while there is nothing to send on, anything else.
    pub(crate) fn has_returned(&mut self) -> bool {
        let upstream = &self.tree.upstream;
        let sends_on = upstream.parent_ns.load(Ordering::Relaxed) > self.grafted_ns;
        let is_idle = upstream.newest.load(Ordering::Relaxed) == self.newest_then;
        let returned = self.is_silent && (sends_on || (is_idle && self.received_ns > self.grafted_ns));
        self.is_silent &= !returned;
        returned
    }
}
