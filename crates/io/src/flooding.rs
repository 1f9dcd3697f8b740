//! Frames that Python sends on the broadcast tree, from any thread.

use std::sync::Arc;

use treecast_core::counters::Counter;
use treecast_core::datagram::{Inner, KIND_FRAGMENT, KIND_FRAME, MAX_DATAGRAM_LEN, TREE_OVERHEAD};
use treecast_core::forwarding_tables::{Destination, ForwardingTables};
use treecast_core::fragment::{cut, FRAGMENT_HEADER_LEN};
use treecast_core::headers::Frame;
use treecast_core::reason::Reason;
use treecast_core::session::Session;
use treecast_core::tree::{Members, RootTree, TREE_BODY_OFFSET};

use crate::sys::thread::monotonic_ns;
use crate::underlay::Underlay;

/// See the module.
pub(crate) struct Flooding<'s> {
    /// The tables.
    pub tables: &'s ForwardingTables,
    /// What it is sent by.
    pub underlay: &'s Underlay,
}

impl Flooding<'_> {
    /// Sends a frame that came from a port on the broadcast tree, unless it stays on the port's LAN.
    pub fn flood(&self, port: u32, frame: &[u8]) {
        let passes = self.tables.port(port).map_or(Ok(()), |port| port.passes(&Frame::read(frame)));
        let sent = passes.and_then(|()| match self.tables.broadcast(monotonic_ns())? {
            Destination::Tree(tree, members, _) => self.flood_on(&tree, &members, frame),
            Destination::Node(_) => Ok(()),
        });
        if let Err(reason) = sent {
            self.tables.drops.count(reason);
        }
    }

    fn flood_on(&self, tree: &RootTree, members: &Members, frame: &[u8]) -> Result<(), Reason> {
        self.tables.counters.add(Counter::FramesBroadcast, 1);
        for session in self.sessions_to(&members.replicate) {
            self.underlay.send_frame(self.tables, &session, frame);
        }
        if members.next_hops.is_empty() {
            return Ok(());
        }
        let most = self.underlay.mtu.limit(members.underlay_mtu).body_len(TREE_OVERHEAD);
        if frame.len() <= most {
            return self.send_tree(tree, members, KIND_FRAME, frame);
        }
        let parts = cut(frame, tree.next_fragment_id(), most - FRAGMENT_HEADER_LEN).ok_or(Reason::TooBig)?;
        for (fragment, bytes) in parts {
            let body = [&fragment.emit()[..], bytes].concat();
            self.send_tree(tree, members, KIND_FRAGMENT, &body)?;
        }
        Ok(())
    }

    fn send_tree(&self, tree: &RootTree, members: &Members, kind: u8, body: &[u8]) -> Result<(), Reason> {
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        let room = buffer.get_mut(TREE_BODY_OFFSET..).and_then(|room| room.get_mut(..body.len()));
        room.ok_or(Reason::TooBig)?.copy_from_slice(body);
        let length = tree.seal(members, Inner { kind, checksum: None }, body.len(), &mut buffer)?;
        self.send_to_all(&buffer[..length], &members.next_hops);
        Ok(())
    }

    fn send_to_all(&self, datagram: &[u8], next_hops: &[u32]) {
        for session in self.sessions_to(next_hops) {
            if self.underlay.send(self.tables, datagram, session.endpoint()) {
                if let Some(peer) = self.tables.peer(session.peer) {
                    peer.tree_traffic.tx.add(1, datagram.len() as u64);
                }
            }
        }
    }

    /// The sessions to send to these peers on; who has none is counted.
    fn sessions_to<'s>(&'s self, peers: &'s [u32]) -> impl Iterator<Item = Arc<Session>> + 's {
        peers.iter().filter_map(|peer| match self.tables.session_to(*peer) {
            Ok(session) => Some(session),
            Err(reason) => {
                self.tables.drops.count(reason);
                None
            }
        })
    }
}
