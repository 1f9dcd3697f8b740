//! Reverse path forwarding: whose datagrams of a tree are taken, by the addresses that it has proved (docs/protocol.md section 5).

use std::net::SocketAddr;
use std::sync::Arc;

use crate::datagram::TreeName;
use crate::downstream_tree::DownstreamTree;
use crate::forwarding_tables::ForwardingTables;
use crate::reason::Reason;
use crate::session::Peer;

/// An address that datagrams of this tree may come from, and whether it is the parent's.
pub(crate) type KnownPath = Option<(TreeName, SocketAddr, bool)>;

impl ForwardingTables {
    /// A tree's datagrams come from parent or backup, by an address that it has proved. Whether from the parent.
    pub(crate) fn check_path(
        &self,
        tree: &DownstreamTree,
        source: SocketAddr,
        now_ns: u64,
        known: &mut KnownPath,
    ) -> Result<bool, Reason> {
        if let Some((_, _, of_parent)) = known.filter(|(name, from, _)| (*name, *from) == (tree.name, source)) {
            return Ok(of_parent);
        }
        let is_at = |node: &&u32| {
            let peer = self.sessions.peer(**node).filter(|peer| peer.path.is_from(&source, now_ns));
            peer.is_some_and(|peer| self.is_in_use(tree, &peer, now_ns))
        };
        let from = tree.parents.iter().find(is_at).ok_or(Reason::TreeRpf)?;
        let of_parent = *from == tree.parent;
        *known = Some((tree.name, source, of_parent));
        Ok(of_parent)
    }

    /// Is the path to a parent in use at both ends? Where it is not, copies come by a neighbour, and anybody can write its address.
    /// The root reports when it is again, which it may know before this node, or after it.
    fn is_in_use(&self, tree: &DownstreamTree, parent: &Arc<Peer>, now_ns: u64) -> bool {
        let has_route = self.node_routes.get(parent.index).is_some();
        if parent.index != tree.name.root {
            return !has_route;
        }
        let is_copied = has_route || parent.path.is_settling(now_ns);
        !is_copied || tree.stream.is_served_since(parent.path.routes_set())
    }
}
