//! Grafts: a node whose parent is silent wants its datagrams from its backup (docs/protocol.md section 6, Repair).

use std::sync::Arc;

use crate::counters::Counter;
use crate::forwarding_tables::ForwardingTables;
use crate::history::Retransmission;
use crate::reason::Reason;
use crate::tree_mark::TreeMark;

impl ForwardingTables {
    /// A graft of this node: from now on it is a child, if the root has named it, and it gets what it may have missed. Once: who
    /// grafts again gets nothing again.
    pub(crate) fn receive_graft(
        &self,
        node: u32,
        graft: &TreeMark,
        now_ns: u64,
    ) -> Result<Arc<Retransmission>, Reason> {
        let tree = self.downstream_trees.get(&graft.tree).ok_or(Reason::GraftUnexpected)?;
        let history = tree.history.as_ref().filter(|_| tree.backup_children.contains(&node));
        let history = history.ok_or(Reason::GraftUnexpected)?;
        if !tree.adopt(node) {
            return Err(Reason::GraftRepeated);
        }
        // The node is a child already: what comes meanwhile goes there, and what came before is in the history.
        let retransmission = history.after(graft.counter, now_ns);
        self.counters.add(Counter::GraftsTaken, 1);
        self.counters.add(Counter::Retransmissions, retransmission.datagrams.len() as u64);
        Ok(Arc::new(retransmission))
    }
}
