//! Changes of the tables by the control plane. Called by Python's thread; each call is one consistent change.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use arc_swap::Guard;

use crate::forwarding_tables::ForwardingTables;
use crate::frame::Mac;
use crate::frame_source::CertifiedNode;
use crate::handshake::SessionKeys;
use crate::own_source::OwnSource;
use crate::path::Endpoint;
use crate::prefixes::Prefix;
use crate::routes::{Route, SetRoute};
use crate::session::{lock, Peer, Session, SessionParameters, Totals};
use crate::source_filter::SourceFilter;
use crate::table::Refused;

/// Sessions.
impl ForwardingTables {
    /// Installs a session; the peer's oldest goes when it has too many.
    pub fn install_session(
        &self,
        parameters: SessionParameters,
        keys: &SessionKeys,
        now_ns: u64,
    ) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.sessions.install(parameters, keys, now_ns)
    }

    /// Removes a session, if it is there.
    pub fn remove_session(&self, index: u32) {
        let _writing = lock(&self.writing);
        self.sessions.remove(index);
    }

    /// All sessions of the peer send there. Nothing without one.
    pub fn set_path(&self, index: u32, endpoint: Endpoint, now_ns: u64) {
        let _writing = lock(&self.writing);
        self.sessions.set_path(index, endpoint, now_ns);
    }

    /// Sets the MTU of the peer's underlay: no frame goes to it in longer datagrams. Nothing without a session.
    pub fn set_peer_underlay_mtu(&self, index: u32, mtu: usize) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        if !self.sessions.set_underlay_mtu(index, mtu)? {
            return Ok(());
        }
        self.set_members_anew(index);
        Ok(())
    }

    /// All sessions by index.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.all()
    }

    /// All peers by index.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.sessions.peers()
    }

    /// Traffic of each peer since the start, forgotten ones too, by index.
    pub fn traffic(&self) -> Vec<(u32, Totals)> {
        self.sessions.traffic()
    }

    /// Removes all that belongs to a peer; its numbers go on.
    pub fn forget_peer(&self, index: u32) {
        let _writing = lock(&self.writing);
        self.sessions.forget(index);
        self.hosts.retain(|_, peer| *peer != index);
        self.pending_offers.forget(index);
        self.pending_states.forget(index);
        self.events.forget_peer(index);
        self.fingerprints.forget(index);
        for tree in self.trees.values() {
            let hops = tree.members.load().hops.clone();
            if hops.all().any(|node| node == index) {
                self.set_members(&tree, hops.without(index));
            }
        }
        self.downstream_trees.forget(index);
    }
}

/// Hosts and routes.
impl ForwardingTables {
    /// Sets the frames that a node may send, by its certificate; again when that has changed.
    pub fn certify_node(&self, node: u32, certified: CertifiedNode) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.certified.put(node, certified)
    }

    /// The node is gone: its addresses are nobody's.
    pub fn uncertify_node(&self, node: u32) {
        let _writing = lock(&self.writing);
        self.certified.remove(node);
    }

    /// Sets the groups whose frames count only as their sender has sealed them for this node alone.
    pub fn set_authenticated_groups(&self, prefixes: Vec<Prefix>) {
        self.authenticated.set(prefixes);
    }

    /// Sets the MAC of the bridge that has these addresses of this node's machine; None: there is none.
    pub fn set_bridge_mac(&self, mac: Option<Mac>, addresses: Box<[IpAddr]>) {
        self.own_source.store(mac.map(|mac| Arc::new(OwnSource::new(self.node_index, mac, addresses))));
    }

    /// The bridge that has addresses of this node's machine now, if any: one look for a batch.
    pub fn own_source(&self) -> Guard<Option<Arc<OwnSource>>> {
        self.own_source.load()
    }

    /// A host's frames go to this peer.
    pub fn set_host(&self, vlan: u16, mac: Mac, peer: u32) -> Result<(), Refused> {
        self.hosts.insert((vlan, mac), peer)?;
        self.ports.iter().for_each(|port| port.forget(vlan, mac));
        Ok(())
    }

    /// The same for many, at the cost of a few; those for which the table is full come back.
    pub fn set_hosts(&self, hosts: Vec<(u16, Mac, u32)>) -> Vec<(u16, Mac)> {
        for (vlan, mac, _) in &hosts {
            self.ports.iter().for_each(|port| port.forget(*vlan, *mac));
        }
        self.hosts.insert_all(hosts.into_iter().map(|(vlan, mac, peer)| ((vlan, mac), peer)))
    }

    /// Forgets a host.
    pub fn remove_host(&self, vlan: u16, mac: Mac) {
        self.hosts.remove(&(vlan, mac));
    }

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

/// Ports.
impl ForwardingTables {
    /// Sets the filter of a port's hosts for a group; including no source ends it.
    pub fn set_port_group(&self, port: u32, vlan: u16, group: IpAddr, filter: SourceFilter) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.source_filters.set(port, vlan, group, filter)
    }

    /// A port as it was at first, without source filters, limits or remembered hosts; `packet_port`: what it is from now on.
    pub fn renew_port(&self, number: u32, packet_port: bool) {
        let _writing = lock(&self.writing);
        if let Some(port) = self.port(number) {
            port.renew(packet_port);
        }
        self.source_filters.clear(number);
    }
}
