//! Next hops: by which session datagrams for a node leave, to itself or to the neighbour of its node route.

use std::sync::Arc;

use crate::forward::NO_PATH;
use crate::forward_budgets::{BudgetRefusals, Class, TransitDatagram};
use crate::forwarding_tables::ForwardingTables;
use crate::reason::Reason;
use crate::session::{lock, Session};
use crate::table::Refused;

/// Node routes.
impl ForwardingTables {
    /// All for a node goes by this neighbour from now on.
    pub fn set_node_route(&self, node: u32, next_hop: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        if [node, next_hop].contains(&self.node_index) || node == next_hop {
            return Err(Refused::Invalid);
        }
        self.node_routes.set(node, next_hop)?;
        if let Some(peer) = self.sessions.peer(node) {
            peer.path.route_set();
        }
        self.route_changed(node);
        Ok(())
    }

    /// All for a node goes to itself from now on.
    pub fn remove_node_route(&self, node: u32) {
        let _writing = lock(&self.writing);
        self.node_routes.remove(node);
        self.route_changed(node);
    }

    fn route_changed(&self, node: u32) {
        if let Some(peer) = self.sessions.peer(node) {
            peer.path.route_changed();
        }
        self.set_members_anew(node);
    }

    /// The session with the next hop to a node that has a route; None: the node is reached directly, or not at all.
    pub fn route_to(&self, node: u32) -> Option<Result<Arc<Session>, Reason>> {
        self.node_routes.get(node).map(|next_hop| self.neighbour(next_hop))
    }

    /// The session with a neighbour: a node that has a path.
    pub fn neighbour(&self, node: u32) -> Result<Arc<Session>, Reason> {
        let session = self.sessions.current(node).ok().filter(|session| session.endpoint() != NO_PATH);
        session.filter(|_| self.node_routes.get(node).is_none()).ok_or(Reason::ForwardNoRoute)
    }

    /// The session with the next hop to a node, which may be that node.
    pub(crate) fn next_hop(&self, node: u32) -> Option<Arc<Session>> {
        self.route_to(node).unwrap_or_else(|| self.neighbour(node)).ok()
    }

    /// Whether so many bytes of this node's own frames for a node may go by a neighbour now.
    pub fn may_take_route(
        &self,
        (neighbour, node): (u32, u32),
        class: Class,
        bytes: usize,
        now_ns: u64,
    ) -> Result<(), Reason> {
        self.forward_budgets.take_own(neighbour, node, class, bytes, now_ns).then_some(()).ok_or(Reason::ForwardBudget)
    }

    /// Whether a neighbour's Forward may go by another now.
    pub fn may_send_on(&self, transit: TransitDatagram, next_hop: u32, now_ns: u64) -> Result<(), Reason> {
        self.forward_budgets.take_brought(transit, next_hop, now_ns).then_some(()).ok_or(Reason::ForwardBudget)
    }

    /// Reports the nodes that a budget of a neighbour was refused to of late.
    pub fn forward_cuts(&self, now_ns: u64) -> Vec<BudgetRefusals> {
        self.forward_budgets.cuts(now_ns)
    }
}
