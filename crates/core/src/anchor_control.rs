//! Requests for anchors, at both ends: a node of a tree that doubts what it has marked, or has come far beyond the last anchor,
//! requests one from the tree's root (docs/protocol.md section 5).

use crate::anchor::Anchor;
use crate::downstream_tree::DownstreamTree;
use crate::forwarding_tables::ForwardingTables;
use crate::reason::Reason;
use crate::tree_mark::TreeMark;

impl ForwardingTables {
    /// Keeps the request that a datagram of this tree has made due.
    pub(crate) fn note_anchor_request(&self, tree: &DownstreamTree) {
        if let Some(counter) = tree.stream.take_request() {
            self.anchor_requests.add(TreeMark { tree: tree.name, counter });
        }
    }

    /// The anchor of the key in use, for a node of the tree that requests it.
    pub(crate) fn answer_request(&self, node: u32, asked: &TreeMark, now_ns: u64) -> Result<Anchor, Reason> {
        let tree = self.tree(asked.tree.stream).filter(|_| asked.tree.root == self.node_index);
        tree.and_then(|tree| tree.answer(node, asked, now_ns)).ok_or(Reason::AnchorRequestUnexpected)
    }
}
