//! Changes of hosts by the control plane: where they are, which frames they may send, what those of a port want. Called by
//! Python's thread; each call is one consistent change.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::Guard;

use crate::forwarding_tables::ForwardingTables;
use crate::frame::Mac;
use crate::frame_source::CertifiedNode;
use crate::own_source::OwnSource;
use crate::prefixes::Prefix;
use crate::session::lock;
use crate::source_filter::SourceFilter;
use crate::table::Refused;

/// Hosts.
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
}

/// Ports of hosts.
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
