//! Changes of the tables by the control plane. Called by Python's thread; each call is one consistent change.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use crate::aead::Aead;
use crate::datagram::{TreeName, LARGEST_UNDERLAY_MTU};
use crate::downstream_tree::{DownstreamTree, KeyOffer, OutgoingList};
use crate::events::Event;
use crate::forwarding_tables::ForwardingTables;
use crate::frame::Mac;
use crate::frame_source::CertifiedNode;
use crate::handshake::SessionKeys;
use crate::reason::Reason;
use crate::root_tree::{without, RootTree, SenderKey};
use crate::routes::{Route, SetRoute};
use crate::session::{lock, Peer, Session, SessionParameters, Totals};
use crate::source_filter::SourceFilter;
use crate::table::Refused;
use crate::tree_tag::TreeKey;

/// Fresh random bytes for a tree and its first key.
pub struct TreeSecrets {
    /// Tree key.
    pub tree_key: [u8; 16],
    /// Sender key.
    pub sender_key: zeroize::Zeroizing<[u8; 32]>,
}

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
        self.events.forget_peer(index);
        for tree in self.trees.values() {
            let members = tree.members.load();
            if members.is_held_by(index) || members.replicate.contains(&index) {
                self.set_members(&tree, &without(&members.holders(), index), without(&members.replicate, index));
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
    fn trees_changed(&self) {
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

/// Trees rooted here.
impl ForwardingTables {
    /// A tree without members; one of the same id is replaced.
    pub fn create_tree(&self, stream: u32, epoch: u32, key_id: u32, secrets: TreeSecrets) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let key = SenderKey::new(key_id, Aead::preferred(), secrets.sender_key).ok_or(Refused::Invalid)?;
        let name = TreeName { root: self.node_index, stream, epoch };
        self.trees.insert(stream, Arc::new(RootTree::new(name, TreeKey::new(secrets.tree_key), key)))?;
        self.trees_changed();
        Ok(())
    }

    /// The tree of ours with this id.
    pub fn tree(&self, stream: u32) -> Option<Arc<RootTree>> {
        self.trees.get(&stream)
    }

    /// Removes a tree, if it is there.
    pub fn remove_tree(&self, stream: u32) {
        let _writing = lock(&self.writing);
        self.trees.remove(&stream);
        self.trees_changed();
    }

    /// Sets who gets what, at once.
    pub fn set_tree_members(&self, stream: u32, next_hops: &[u32], replicate: &[u32]) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        let mut all: Vec<u32> = next_hops.iter().chain(replicate).copied().collect();
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) || all.contains(&self.node_index) {
            return Err(Refused::Invalid);
        }
        self.set_members(&tree, next_hops, replicate.into());
        self.trees_changed();
        Ok(())
    }

    /// With the smallest MTU of the next hops' underlays; a node without a session gets nothing, and does not count. Who has a
    /// route instead of a path gets copies.
    fn set_members(&self, tree: &RootTree, holders: &[u32], replicate: Box<[u32]>) {
        let (routed, next_hops): (Vec<u32>, Vec<u32>) =
            holders.iter().partition(|peer| self.node_routes.get(**peer).is_some());
        let known = next_hops.iter().filter_map(|peer| self.sessions.peer(*peer)).map(|peer| peer.underlay_mtu());
        let underlay_mtu = known.min().unwrap_or(LARGEST_UNDERLAY_MTU);
        tree.set_members(next_hops.into(), routed.into(), replicate, underlay_mtu);
    }

    /// The path of a node is another one, or it has none any more.
    pub(crate) fn set_members_anew(&self, node: u32) {
        for tree in self.trees.values() {
            let members = tree.members.load();
            if members.is_held_by(node) {
                self.set_members(&tree, &members.holders(), members.replicate.clone());
                self.trees_changed();
            }
        }
    }

    /// Makes a key that waits for [`ForwardingTables::use_key`].
    pub fn make_key(&self, stream: u32, key_id: u32, secret: zeroize::Zeroizing<[u8; 32]>) -> Result<(), Refused> {
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        tree.set_waiting(SenderKey::new(key_id, Aead::preferred(), secret).ok_or(Refused::Invalid)?);
        Ok(())
    }

    /// Seals with the waiting key from now on.
    pub fn use_key(&self, stream: u32, key_id: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        if tree.use_key(key_id) {
            self.trees_changed();
            Ok(())
        } else {
            Err(Refused::Unknown)
        }
    }

    /// The body of an offer (section 6).
    pub fn offer(
        &self,
        stream: u32,
        key_id: u32,
        context: &[u8],
        now_ns: u64,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, Refused> {
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        tree.offer(key_id, context, now_ns).ok_or(Refused::Unknown)
    }
}

/// Trees of other roots.
impl ForwardingTables {
    /// Keeps an offer until Python accepts or refuses it. A repeated offer replaces the one before, and is an event again.
    pub(crate) fn add_offer(&self, offer: KeyOffer, now_ns: u64) -> Result<(), Reason> {
        let (tree, key_id, context) = (offer.tree, offer.key_id, offer.context.clone());
        self.pending_offers.add(offer)?;
        self.events.push(Event::KeyOffered { tree, key_id, context }, now_ns)
    }

    /// Takes a pending offer; false when there is none. `parents`: the nodes whose datagrams are taken; none given: the root.
    pub fn accept_key(
        &self,
        name: TreeName,
        key_id: u32,
        outgoing: OutgoingList,
        parents: &[u32],
    ) -> Result<bool, Refused> {
        let _writing = lock(&self.writing);
        let Some(offer) = self.pending_offers.take(name, key_id) else { return Ok(false) };
        let invalid = |peer: &u32| *peer == self.node_index || *peer == name.root;
        if outgoing.next_hops.iter().any(invalid) {
            return Err(Refused::Invalid);
        }
        let parents = if parents.is_empty() { [name.root].into() } else { parents.into() };
        self.downstream_trees.accept(offer, outgoing, parents).map(|()| true)
    }

    /// Drops a pending offer, if it is there.
    pub fn refuse_key(&self, name: TreeName, key_id: u32) {
        self.pending_offers.take(name, key_id);
    }

    /// Leaves a tree, if this node is on it.
    pub fn remove_downstream_tree(&self, name: TreeName) {
        let _writing = lock(&self.writing);
        self.downstream_trees.remove(name);
    }

    /// All trees of other roots, by name.
    pub fn downstream_trees(&self) -> Vec<Arc<DownstreamTree>> {
        self.downstream_trees.all()
    }
}
