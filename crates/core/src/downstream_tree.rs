//! Trees of other roots: a tree datagram is one of this tree, and goes on from here or not (docs/protocol.md section 5).

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::datagram::{TreeHeader, TreeName};
use crate::downstream_stream::DownstreamStream;
use crate::reason::Reason;
use crate::tree_state::TreeState;
use crate::tree_tag::TreeKey;

/// The nodes that get each datagram of a tree as it came.
pub type NextHops = Arc<Box<[u32]>>;

/// Another root's tree that this node is on. There is another one for each state that its root sends.
#[derive(Debug)]
pub struct DownstreamTree {
    /// Root, stream, epoch.
    pub name: TreeName,
    /// The stream that comes by it.
    pub stream: Arc<DownstreamStream>,
    /// The nodes whose datagrams of this tree are taken.
    pub parents: Box<[u32]>,
    pub(crate) next_hops: ArcSwap<Box<[u32]>>,
    key_id: u32,
    tree_key: TreeKey,
}

impl DownstreamTree {
    pub(crate) fn new(state: TreeState, stream: Arc<DownstreamStream>) -> Self {
        let TreeState { tree, key_id, place, tree_key, .. } = state;
        let parents = place.parents();
        Self { name: tree, stream, parents, next_hops: ArcSwap::from_pointee(place.children), key_id, tree_key }
    }

    /// Do datagrams go on from here?
    pub(crate) fn relays(&self) -> bool {
        !self.next_hops.load().is_empty()
    }

    /// Is the tree tag right, and the sender key that of this tree? Who was on an earlier one cannot have a datagram of a later
    /// key sent on. Broadcast is signed, and nothing else is.
    pub(crate) fn verify(&self, header: &TreeHeader, datagram: &[u8]) -> Result<(), Reason> {
        if !self.tree_key.verify(datagram) {
            return Err(Reason::TreeTag);
        }
        if header.key_id != self.key_id {
            return Err(Reason::TreeKeyUnknown);
        }
        if header.signed != self.stream.name.is_broadcast() {
            return Err(Reason::BroadcastSignature);
        }
        Ok(())
    }

    /// Marks a datagram that goes on as it came.
    pub(crate) fn pass(&self, header: &TreeHeader, datagram: &[u8], now_ns: u64) -> Result<(), Reason> {
        self.stream.pass(header, now_ns)?;
        self.stream.count(datagram.len());
        Ok(())
    }
}
