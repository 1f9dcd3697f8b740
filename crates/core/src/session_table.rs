//! The sessions of this node and the peers that they are with, found by index and by address.
//!
//! A writer excludes other writers; a reader waits for nobody.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::datagram::DatagramLimit;
use crate::handshake::SessionKeys;
use crate::limits::{MAX_PEERS, MAX_SESSIONS};
use crate::path::{Endpoint, Path};
use crate::reason::Reason;
use crate::session::{lock, Peer, Session, SessionParameters, Totals};
use crate::table::{Refused, Table};

/// The sessions of this node, by index and by address.
#[derive(Debug)]
pub(crate) struct SessionTable {
    sessions: Table<u32, Arc<Session>>,
    peers: Table<u32, Arc<Peer>>,
    addresses: Table<SocketAddr, u32>,
    /// Bytes and packets of forgotten peers; one entry per certificate of the CA at most.
    past_traffic: Mutex<BTreeMap<u32, Totals>>,
}

impl Default for SessionTable {
    fn default() -> Self {
        Self {
            sessions: Table::new(MAX_SESSIONS),
            peers: Table::new(MAX_PEERS),
            addresses: Table::new(MAX_SESSIONS),
            past_traffic: Mutex::default(),
        }
    }
}

impl SessionTable {
    /// Installs a session; the peer's oldest goes when it has too many.
    pub(crate) fn install(
        &self,
        parameters: SessionParameters,
        keys: &SessionKeys,
        now_ns: u64,
    ) -> Result<(), Refused> {
        if self.sessions.get(&parameters.index).is_some() {
            return Err(Refused::Taken);
        }
        let known = self.peers.get(&parameters.peer);
        let path =
            known.as_ref().map_or_else(|| Arc::new(Path::new(parameters.endpoint, now_ns)), |peer| peer.path.clone());
        let session = Arc::new(Session::new(parameters, path, keys, now_ns).ok_or(Refused::Invalid)?);
        let peer = match known {
            Some(peer) => peer,
            None => {
                let past = lock(&self.past_traffic).remove(&parameters.peer).unwrap_or_default();
                let peer = Arc::new(Peer::new(parameters.peer, session.path.clone(), past));
                self.peers.insert(parameters.peer, peer.clone())?;
                peer
            }
        };
        self.sessions.insert(parameters.index, session.clone())?;
        if let Some(gone) = peer.add(session.clone()) {
            self.sessions.remove(&gone.index);
        }
        // When the table is full the peer's tree numbers suffer, nothing else.
        let _ = self.addresses.insert(session.endpoint().address, parameters.peer);
        Ok(())
    }

    /// Removes a session, if it is there.
    pub(crate) fn remove(&self, index: u32) {
        if let Some(session) = self.sessions.remove(&index) {
            if let Some(peer) = self.peers.get(&session.peer) {
                peer.remove(index);
            }
        }
    }

    /// Removes a peer and its sessions; its numbers go on.
    pub(crate) fn forget(&self, index: u32) {
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
    }

    /// Sets the MTU of a peer's underlay; true when that is another than before.
    pub(crate) fn set_underlay_mtu(&self, index: u32, mtu: usize) -> Result<bool, Refused> {
        DatagramLimit::on_underlay(mtu).ok_or(Refused::Invalid)?;
        Ok(self.peers.get(&index).is_some_and(|peer| peer.set_underlay_mtu(mtu) != mtu))
    }

    /// Sets the path of a peer, if it is there.
    pub(crate) fn set_path(&self, index: u32, endpoint: Endpoint, now_ns: u64) {
        let Some(peer) = self.peers.get(&index) else { return };
        let before = peer.path.set(endpoint, now_ns);
        if self.addresses.get(&before.address) == Some(index) {
            self.addresses.remove(&before.address);
        }
        // When the table is full the peer's tree numbers suffer, nothing else.
        let _ = self.addresses.insert(endpoint.address, index);
    }

    /// The session with this index.
    pub(crate) fn get(&self, index: u32) -> Option<Arc<Session>> {
        self.sessions.get(&index)
    }

    /// The peer with this node index.
    pub(crate) fn peer(&self, index: u32) -> Option<Arc<Peer>> {
        self.peers.get(&index)
    }

    /// The session to send to a peer on.
    pub(crate) fn current(&self, peer: u32) -> Result<Arc<Session>, Reason> {
        self.peers.get(&peer).and_then(|peer| peer.current()).ok_or(Reason::NoSession)
    }

    /// The peer that a session has at this address, for its numbers only: addresses prove nothing.
    pub(crate) fn peer_at(&self, address: &SocketAddr) -> Option<Arc<Peer>> {
        self.addresses.get(address).and_then(|index| self.peers.get(&index))
    }

    /// All sessions by index.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions.values();
        sessions.sort_by_key(|session| session.index);
        sessions
    }

    /// All peers by index.
    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        let mut peers = self.peers.values();
        peers.sort_by_key(|peer| peer.index);
        peers
    }

    /// Traffic of each peer since the start, forgotten ones too, by index.
    pub(crate) fn traffic(&self) -> Vec<(u32, Totals)> {
        let mut all = lock(&self.past_traffic).clone();
        all.extend(self.peers.values().iter().map(|peer| (peer.index, peer.totals())));
        all.into_iter().collect()
    }
}
