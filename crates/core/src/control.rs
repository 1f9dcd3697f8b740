//! What the control plane does to the tables. Called by Python's thread; each call is one consistent change.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use crate::aead::Aead;
use crate::datagram::{DatagramLimit, TreeName, LARGEST_UNDERLAY_MTU};
use crate::events::Event;
use crate::forwarding_tables::{ForwardingTables, MAX_PEERS};
use crate::frame::Mac;
use crate::handshake::SessionKeys;
use crate::prefixes::full_length;
use crate::reason::Reason;
use crate::routes::{GroupRoutes, Route};
use crate::session::{lock, Peer, Session, SessionParameters, Totals};
use crate::source_filter::SourceFilter;
use crate::table::Refused;
use crate::tree::{DownstreamTree, KeyOffer, OutgoingList, RootTree, SenderKey};
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
        if self.sessions.get(&parameters.index).is_some() {
            return Err(Refused::Taken);
        }
        let session = Arc::new(Session::new(parameters, keys, now_ns).ok_or(Refused::Invalid)?);
        let peer = match self.peers.get(&parameters.peer) {
            Some(peer) => peer,
            None => {
                let past = lock(&self.past_traffic).remove(&parameters.peer).unwrap_or_default();
                let peer = Arc::new(Peer::with_past(parameters.peer, past));
                self.peers.insert(parameters.peer, peer.clone())?;
                peer
            }
        };
        self.sessions.insert(parameters.index, session.clone())?;
        if let Some(gone) = peer.add(session) {
            self.sessions.remove(&gone.index);
        }
        // When the table is full the peer's tree numbers suffer, nothing else.
        let _ = self.addresses.insert(parameters.endpoint.address, parameters.peer);
        Ok(())
    }

    /// Removes a session, if it is there.
    pub fn remove_session(&self, index: u32) {
        let _writing = lock(&self.writing);
        if let Some(session) = self.sessions.remove(&index) {
            if let Some(peer) = self.peers.get(&session.peer) {
                peer.remove(index);
            }
        }
    }

    /// What the peer's underlay carries, as it says: no frame goes to it in longer datagrams. Nothing without a session.
    pub fn set_peer_underlay_mtu(&self, index: u32, mtu: usize) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        DatagramLimit::on_underlay(mtu).ok_or(Refused::Invalid)?;
        let Some(peer) = self.peers.get(&index) else { return Ok(()) };
        if peer.set_underlay_mtu(mtu) == mtu {
            return Ok(());
        }
        for tree in self.trees.values() {
            let members = tree.members.load();
            if members.next_hops.contains(&index) {
                self.set_members(&tree, members.next_hops.clone(), members.replicate.clone());
            }
        }
        Ok(())
    }

    /// All sessions by index.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions.values();
        sessions.sort_by_key(|session| session.index);
        sessions
    }

    /// All peers by index.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        let mut peers = self.peers.values();
        peers.sort_by_key(|peer| peer.index);
        peers
    }

    /// What each peer was sent and has sent since the start, forgotten ones too, by index.
    pub fn traffic(&self) -> Vec<(u32, Totals)> {
        let mut all = lock(&self.past_traffic).clone();
        all.extend(self.peers.values().iter().map(|peer| (peer.index, peer.totals())));
        all.into_iter().collect()
    }

    /// Removes all that belongs to a peer; its numbers go on.
    pub fn forget_peer(&self, index: u32) {
        let _writing = lock(&self.writing);
        if let Some(peer) = self.peers.remove(&index) {
            let mut past = lock(&self.past_traffic);
            if past.len() < MAX_PEERS {
                past.insert(index, peer.totals());
            }
            drop(past);
            for session in peer.clear() {
                self.sessions.remove(&session);
            }
        }
        self.addresses.retain(|_, peer| *peer != index);
        self.hosts.retain(|_, peer| *peer != index);
        self.downstream_trees.retain(|name, _| name.root != index);
        self.pending_offers.forget(index);
        let without = |list: &[u32]| list.iter().copied().filter(|peer| *peer != index).collect::<Box<[u32]>>();
        for tree in self.trees.values() {
            let members = tree.members.load();
            if members.next_hops.contains(&index) || members.replicate.contains(&index) {
                self.set_members(&tree, without(&members.next_hops), without(&members.replicate));
            }
        }
        for tree in self.downstream_trees.values() {
            let outgoing = tree.outgoing.load();
            if outgoing.next_hops.contains(&index) {
                let next_hops = without(&outgoing.next_hops);
                tree.outgoing.store(Arc::new(OutgoingList { deliver: outgoing.deliver, next_hops }));
            }
        }
        let relaying = self.downstream_trees.values().iter().filter(|tree| tree.outgoing.load().relays()).count();
        self.relaying.store(relaying, Ordering::Relaxed);
    }
}

/// Hosts and routes.
impl ForwardingTables {
    /// A host's frames go to this peer.
    pub fn set_host(&self, vlan: u16, mac: Mac, peer: u32) -> Result<(), Refused> {
        self.hosts.insert((vlan, mac), peer)?;
        self.ports.iter().for_each(|port| port.forget(vlan, mac));
        Ok(())
    }

    /// Forgets a host.
    pub fn remove_host(&self, vlan: u16, mac: Mac) {
        self.hosts.remove(&(vlan, mac));
    }

    /// Frames to a group take this tree. A route that was there keeps its numbers.
    pub fn set_route(&self, vlan: u16, group: IpAddr, source: Option<IpAddr>, tree_id: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let before = self.routes.get(&(vlan, group)).unwrap_or_default();
        let mut routes = GroupRoutes::clone(&before);
        let numbers = |route: Option<&Arc<Route>>| route.map(|route| route.tx.clone()).unwrap_or_default();
        let new = |tx| Arc::new(Route { vlan, group, prefix_len: full_length(&group), source, tree_id, tx });
        match source {
            None => routes.any = Some(new(numbers(before.any.as_ref()))),
            Some(source) => match routes.sources.binary_search_by_key(&source, |(source, _)| *source) {
                Ok(position) => routes.sources[position].1 = new(numbers(Some(&before.sources[position].1))),
                Err(position) => routes.sources.insert(position, (source, new(numbers(None)))),
            },
        }
        self.routes.insert((vlan, group), Arc::new(routes))?;
        self.trees_changed();
        Ok(())
    }

    /// Who looked at routes, trees or members before this looks again.
    pub(crate) fn trees_changed(&self) {
        self.tree_changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes a route, if it is there.
    pub fn remove_route(&self, vlan: u16, group: IpAddr, source: Option<IpAddr>) {
        let _writing = lock(&self.writing);
        let Some(before) = self.routes.get(&(vlan, group)) else { return };
        let mut routes = GroupRoutes::clone(&before);
        match source {
            None => routes.any = None,
            Some(gone) => routes.sources.retain(|(source, _)| *source != gone),
        }
        if routes.any.is_none() && routes.sources.is_empty() {
            self.routes.remove(&(vlan, group));
        } else {
            // It replaces one, so the table cannot be full.
            let _ = self.routes.insert((vlan, group), Arc::new(routes));
        }
        self.trees_changed();
    }

    /// Frames to groups of a prefix that have no route of their own take this tree. A route that was there keeps its numbers.
    pub fn set_prefix_route(&self, vlan: u16, prefix: IpAddr, length: u8, tree_id: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        self.prefixes.set(vlan, prefix, length, tree_id)?;
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
        let groups = self.routes.values();
        let of = |group: &Arc<GroupRoutes>| {
            let sources = group.sources.iter().map(|(_, route)| route.clone());
            group.any.iter().cloned().chain(sources).collect::<Vec<_>>()
        };
        let mut routes: Vec<_> = groups.iter().flat_map(of).collect();
        routes.extend(self.prefixes.all().iter().cloned());
        routes.sort_by_key(|route| (route.vlan, route.group, route.prefix_len, route.source));
        routes
    }
}

/// Ports.
impl ForwardingTables {
    /// What a port's hosts want of a group from now on; including no source ends it.
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
    pub fn create_tree(&self, tree_id: u32, epoch: u32, key_id: u32, secrets: TreeSecrets) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let key = SenderKey::new(key_id, Aead::preferred(), secrets.sender_key).ok_or(Refused::Invalid)?;
        let name = TreeName { root: self.node_index, tree_id, epoch };
        self.trees.insert(tree_id, Arc::new(RootTree::new(name, TreeKey::new(secrets.tree_key), key)))?;
        self.trees_changed();
        Ok(())
    }

    /// The tree of ours with this id.
    pub fn tree(&self, tree_id: u32) -> Option<Arc<RootTree>> {
        self.trees.get(&tree_id)
    }

    /// Removes a tree, if it is there.
    pub fn remove_tree(&self, tree_id: u32) {
        let _writing = lock(&self.writing);
        self.trees.remove(&tree_id);
        self.trees_changed();
    }

    /// Sets who gets what, at once.
    pub fn set_tree_members(&self, tree_id: u32, next_hops: &[u32], replicate: &[u32]) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let tree = self.trees.get(&tree_id).ok_or(Refused::Unknown)?;
        let mut all: Vec<u32> = next_hops.iter().chain(replicate).copied().collect();
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) || all.contains(&self.node_index) {
            return Err(Refused::Invalid);
        }
        self.set_members(&tree, next_hops.into(), replicate.into());
        self.trees_changed();
        Ok(())
    }

    /// With the smallest MTU of the next hops' underlays; a node without a session gets nothing, and has no say.
    fn set_members(&self, tree: &RootTree, next_hops: Box<[u32]>, replicate: Box<[u32]>) {
        let known = next_hops.iter().filter_map(|peer| self.peers.get(peer)).map(|peer| peer.underlay_mtu());
        let underlay_mtu = known.min().unwrap_or(LARGEST_UNDERLAY_MTU);
        tree.set_members(next_hops, replicate, underlay_mtu);
    }

    /// Makes a key that waits for [`ForwardingTables::use_key`].
    pub fn make_key(&self, tree_id: u32, key_id: u32, secret: zeroize::Zeroizing<[u8; 32]>) -> Result<(), Refused> {
        let tree = self.trees.get(&tree_id).ok_or(Refused::Unknown)?;
        tree.set_waiting(SenderKey::new(key_id, Aead::preferred(), secret).ok_or(Refused::Invalid)?);
        Ok(())
    }

    /// Seals with the waiting key from now on.
    pub fn use_key(&self, tree_id: u32, key_id: u32) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let tree = self.trees.get(&tree_id).ok_or(Refused::Unknown)?;
        if tree.use_key(key_id) {
            self.trees_changed();
            Ok(())
        } else {
            Err(Refused::Unknown)
        }
    }

    /// The body of an offer (section 6).
    pub fn offer(&self, tree_id: u32, key_id: u32, context: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, Refused> {
        let tree = self.trees.get(&tree_id).ok_or(Refused::Unknown)?;
        tree.offer(key_id, context).ok_or(Refused::Unknown)
    }
}

/// Trees of other roots.
impl ForwardingTables {
    /// Keeps an offer until Python judges it. A repeated offer replaces the one before, and is told again.
    pub(crate) fn park(&self, offer: KeyOffer, now_ns: u64) -> Result<(), Reason> {
        let (tree, key_id, context) = (offer.tree, offer.key_id, offer.context.clone());
        self.pending_offers.add(offer)?;
        self.events.push(Event::KeyOffered { tree, key_id, context }, now_ns)
    }

    /// Takes a pending_offers key; false when none is pending_offers.
    pub fn accept_key(&self, name: TreeName, key_id: u32, outgoing: OutgoingList) -> Result<bool, Refused> {
        let _writing = lock(&self.writing);
        let Some(offer) = self.pending_offers.take(name, key_id) else { return Ok(false) };
        let invalid = |peer: &u32| *peer == self.node_index || *peer == name.root;
        if outgoing.next_hops.iter().any(invalid) {
            return Err(Refused::Invalid);
        }
        let before = self.downstream_trees.get(&name);
        let relayed = before.as_ref().is_some_and(|tree| tree.outgoing.load().relays());
        let relays = outgoing.relays();
        match before.filter(|tree| tree.continues(&offer)) {
            Some(tree) => {
                tree.accept(offer);
                tree.outgoing.store(Arc::new(outgoing));
            }
            None => {
                self.downstream_trees.insert(name, Arc::new(DownstreamTree::new(offer, outgoing)))?;
            }
        }
        self.note_relaying(relayed, relays);
        Ok(true)
    }

    /// Drops a pending_offers key, if it is there.
    pub fn refuse_key(&self, name: TreeName, key_id: u32) {
        self.pending_offers.take(name, key_id);
    }

    /// Leaves a tree, if this node is on it.
    pub fn remove_member_tree(&self, name: TreeName) {
        let _writing = lock(&self.writing);
        if let Some(tree) = self.downstream_trees.remove(&name) {
            self.note_relaying(tree.outgoing.load().relays(), false);
        }
    }

    fn note_relaying(&self, before: bool, after: bool) {
        self.relaying.fetch_add(usize::from(after), Ordering::Relaxed);
        self.relaying.fetch_sub(usize::from(before), Ordering::Relaxed);
    }

    /// All trees of other roots, by name.
    pub fn downstream_trees(&self) -> Vec<Arc<DownstreamTree>> {
        let mut trees = self.downstream_trees.values();
        trees.sort_by_key(|tree| tree.name);
        trees
    }
}
