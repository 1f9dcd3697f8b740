//! Turns of the trees that are watched: ticks to children, and grafts at backups (docs/protocol.md section 6, Repair).

use std::sync::atomic::Ordering;
use std::sync::Arc;

use crate::counters::Counter;
use crate::datagram::TreeHeader;
use crate::downstream_tree::DownstreamTree;
use crate::events::Event;
use crate::forwarding_tables::ForwardingTables;
use crate::reason::Reason;
use crate::session::lock;
use crate::silence::{Watched, OVERTAKEN, SECOND_NS, WATCHED_NS};
use crate::tree_mark::TreeMark;
use crate::withheld::{ParentFailure, Withheld, LATER_NS};

/// Datagrams that a turn is to send.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Children that are to know that this node is there, ascending.
    pub ticks: Vec<u32>,
    /// Backup children, and how far this node is.
    pub marks: Vec<(u32, TreeMark)>,
    /// The backups, and the grafts for them.
    pub grafts: Vec<(u32, TreeMark)>,
}

impl ForwardingTables {
    /// Is there a tree whose turns are due?
    pub fn watches_trees(&self) -> bool {
        self.silence.is_watching.load(Ordering::Acquire)
    }

    /// Are turns due from now on, where none were? Once.
    pub fn begins_to_watch_trees(&self) -> bool {
        let has_begun = &self.silence.has_begun;
        has_begun.load(Ordering::Relaxed) && has_begun.swap(false, Ordering::AcqRel)
    }

    /// A turn, every [`TURN_NS`]: whom this node sends a tick, and where it grafts.
    pub fn turn_trees(&self, now_ns: u64) -> Turn {
        let ran_ns = self.silence.turn(now_ns);
        let mut turn = Turn::default();
        let mut watched = lock(&self.silence.watched);
        watched.retain_mut(|watched| self.turn_tree(watched, &mut turn, ran_ns, now_ns));
        if watched.is_empty() {
            self.silence.is_watching.store(false, Ordering::Release);
        }
        turn.ticks.sort_unstable();
        turn.ticks.dedup();
        turn
    }

    /// Whether it is watched any longer.
    fn turn_tree(&self, watched: &mut Watched, turn: &mut Turn, ran_ns: u64, now_ns: u64) -> bool {
        let tree = watched.tree.clone();
        let is_current = self.downstream_trees.get(&tree.name).is_some_and(|now| Arc::ptr_eq(&now, &tree));
        if !is_current || now_ns.saturating_sub(tree.upstream.used_ns()) > WATCHED_NS + SECOND_NS {
            tree.upstream.watched.store(false, Ordering::Relaxed);
            if let (true, Some(history)) = (is_current, &tree.history) {
                history.clear();
            }
            return false;
        }
        watched.count(now_ns);
        let next_hops = tree.next_hops.load();
        if !next_hops.is_empty() && watched.is_tick_due(now_ns) {
            turn.ticks.extend(next_hops.iter());
        }
        let waiting = tree.backup_children.iter().filter(|child| !next_hops.contains(child));
        if let Some(counter) = watched.mark_due(now_ns) {
            turn.marks.extend(waiting.map(|child| (*child, TreeMark { tree: tree.name, counter })));
        }
        watched.count_silence(self.last_received_ns(&tree), ran_ns, now_ns);
        if watched.has_returned() {
            self.report_parent(&tree, ParentFailure::Returned, now_ns);
        }
        if tree.is_below_a_relay() && !tree.stream.is_superseded(tree.name.epoch) {
            self.turn_parent(watched, &tree, turn, now_ns);
        }
        true
    }

    /// Grafts, where the parent is silent or sends on less than the backup has.
    fn turn_parent(&self, watched: &mut Watched, tree: &DownstreamTree, turn: &mut Turn, now_ns: u64) {
        if self.silence.asleep_ns.load(Ordering::Relaxed) == now_ns {
            watched.withheld = Withheld::default(); // what came meanwhile may be lost here
        }
        if watched.seeks_other_tree(now_ns) {
            self.graft_others(watched, turn, now_ns);
        }
        let withheld_since = watched.withheld_since(now_ns);
        if watched.is_graft_due(now_ns) {
            let newest = tree.upstream.newest.load(Ordering::Relaxed);
            self.graft(watched, newest, ParentFailure::Silent, turn, now_ns);
        } else if let Some(since) = withheld_since {
            let is_there = now_ns.saturating_sub(watched.received_ns) <= LATER_NS;
            let has_sent = tree.upstream.parent_ns.load(Ordering::Relaxed) != 0;
            let is_in_use = has_sent || tree.is_in_use();
            if !is_in_use && watched.is_report_due(now_ns) {
                self.anchor_requests.add(TreeMark { tree: tree.name, counter: 0 });
                self.report_parent(tree, ParentFailure::SendsNothing, now_ns);
            } else if is_in_use && watched.count_graft(is_there, now_ns) {
                let failure = if is_there { ParentFailure::Withholds } else { ParentFailure::Silent };
                self.graft(watched, since, failure, turn, now_ns);
            }
        }
    }

    /// The time at which something came last from the parent, of this tree or in its session.
    fn last_received_ns(&self, tree: &DownstreamTree) -> u64 {
        let session = self.sessions.peer(tree.parent).and_then(|peer| peer.current());
        let session_ns = session.map_or(0, |session| session.received_ns());
        tree.upstream.parent_ns.load(Ordering::Relaxed).max(session_ns)
    }

    /// Grafts, by the trees of its stream that have this parent, the one in use and the one that is to be, for what follows a counter. Where
    /// the backup sends all, too, that is no graft, and known to the root alone.
    fn graft(&self, watched: &mut Watched, newest: u64, failure: ParentFailure, turn: &mut Turn, now_ns: u64) {
        let lost = watched.tree.clone();
        if lost.backup != 0 && !lost.backup_sends {
            graft_at_backup(&lost, newest, turn, now_ns);
        }
        self.graft_others(watched, turn, now_ns);
        if watched.grafts == 1 {
            self.counters.add(Counter::Grafts, u64::from(!lost.backup_sends));
            self.report_parent(&lost, failure, now_ns);
        }
    }

    /// Grafts by the other tree of the stream that has this parent, where it is in use. Else the root is asked whether it is: it may send
    /// copies instead.
    fn graft_others(&self, watched: &mut Watched, turn: &mut Turn, now_ns: u64) {
        let lost = watched.tree.clone();
        let epochs = lock(&lost.stream.epochs).clone();
        let names = epochs.into_iter().map(|epoch| lost.stream.name.in_epoch(epoch)).filter(|name| *name != lost.name);
        let trees = names.filter_map(|name| self.downstream_trees.get(&name));
        for tree in trees.filter(|tree| tree.parent == lost.parent && tree.backup != 0 && !tree.backup_sends) {
            if tree.is_in_use() {
                watched.other_until_ns = 0;
                graft_at_backup(&tree, tree.upstream.newest.load(Ordering::Relaxed), turn, now_ns);
            } else if now_ns >= watched.other_until_ns {
                watched.other_until_ns = now_ns + SECOND_NS;
                self.anchor_requests.add(TreeMark { tree: tree.name, counter: 0 });
            }
        }
    }

    fn report_parent(&self, tree: &DownstreamTree, failure: ParentFailure, now_ns: u64) {
        self.report(Event::ParentFailed { tree: tree.name, parent: tree.parent, failure }, now_ns);
    }

    /// An authentic datagram of a tree has come. Where both parents send all of it, the second copy goes no further.
    pub(crate) fn note_arrival(
        &self,
        tree: &Arc<DownstreamTree>,
        header: &TreeHeader,
        of_parent: bool,
        now_ns: u64,
    ) -> Result<(), Reason> {
        tree.stream.note_epoch(tree.name.epoch);
        let checked = tree.check_copy(header, of_parent);
        let counts = of_parent || !tree.backup_sends;
        if tree.is_watched && tree.upstream.note(of_parent, counts, checked.is_err(), now_ns) {
            self.silence.watch(tree, now_ns);
        }
        checked
    }

    /// A tick of a node that reports how far it is in a tree: of the backup there, and on its own path.
    pub(crate) fn receive_mark(&self, node: u32, mark: &TreeMark, now_ns: u64) -> Result<(), Reason> {
        let tree = self.downstream_trees.get(&mark.tree).filter(|tree| tree.backup == node);
        let tree = tree.ok_or(Reason::TickUnexpected)?;
        if tree.upstream.note_backup(mark.counter, now_ns) {
            self.silence.watch(&tree, now_ns);
        }
        Ok(())
    }
}

fn graft_at_backup(tree: &DownstreamTree, newest: u64, turn: &mut Turn, now_ns: u64) {
    let counter = newest.saturating_sub(OVERTAKEN);
    tree.upstream.grafted_ns.store(now_ns, Ordering::Relaxed);
    turn.grafts.push((tree.backup, TreeMark { tree: tree.name, counter }));
}
