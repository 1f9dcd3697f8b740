//! Changes of sessions and peers by the control plane. Called by Python's thread; each call is one consistent change.

use std::sync::Arc;

use crate::forwarding_tables::ForwardingTables;
use crate::handshake::SessionKeys;
use crate::path::Endpoint;
use crate::session::{lock, Peer, Session, SessionParameters, Totals};
use crate::table::Refused;

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
