//! Changes of routes of groups by the control plane. Called by Python's thread; each call is one consistent change.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use crate::forwarding_tables::ForwardingTables;
use crate::routes::{Route, SetRoute};
use crate::session::lock;
use crate::table::Refused;

impl ForwardingTables {
    /// Frames to a group take this tree. A route that was there keeps its numbers.
    pub fn set_route(&self, vlan: u16, group: IpAddr, source: Option<IpAddr>, stream: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.routes.set(&SetRoute { vlan, group, source, stream })?;
        self.trees_changed();
        Ok(())
    }

    /// The same for many, at the cost of a few; the VLANs and groups for which the table is full come back.
    pub fn set_routes(&self, routes: &[SetRoute]) -> Vec<(u16, IpAddr)> {
        let _writing = lock(&self.writing);
        let refused = self.routes.set_all(routes);
        self.trees_changed();
        refused
    }

    /// Makes readers of routes, trees and members look again.
    pub(crate) fn trees_changed(&self) {
        self.tree_changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes a route, if it is there.
    pub fn remove_route(&self, vlan: u16, group: IpAddr, source: Option<IpAddr>) {
        let _writing = lock(&self.writing);
        if self.routes.remove(vlan, group, source) {
            self.trees_changed();
        }
    }

    /// Frames to groups of a prefix that have no route of their own take this tree. A route that was there keeps its numbers.
    pub fn set_prefix_route(&self, vlan: u16, prefix: IpAddr, length: u8, stream: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.prefixes.set(vlan, prefix, length, stream)?;
        self.trees_changed();
        Ok(())
    }

    /// Removes the route of a prefix, if it is there.
    pub fn remove_prefix_route(&self, vlan: u16, prefix: IpAddr, length: u8) {
        let _writing = lock(&self.writing);
        self.prefixes.remove(vlan, prefix, length);
        self.trees_changed();
    }

    /// Frames and bytes that took the routes of these streams, in no order.
    pub fn sent_by_streams(&self, streams: &[u32]) -> Vec<(u32, (u64, u64))> {
        let (routes, prefixes) = (self.routes.all(), self.prefixes.all());
        let of_these = routes.iter().chain(prefixes.iter()).filter(|route| streams.contains(&route.stream));
        of_these.map(|route| (route.stream, route.tx.get())).collect()
    }

    /// All routes by VLAN, group, prefix length, source.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        let mut routes = self.routes.all();
        routes.extend(self.prefixes.all().iter().cloned());
        routes.sort_by_key(|route| (route.vlan, route.group, route.prefix_len, route.source));
        routes
    }
}
