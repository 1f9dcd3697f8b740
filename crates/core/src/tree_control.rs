//! Changes of trees by the control plane: of those rooted here, and of other roots' (docs/protocol.md section 6).
//! Called by Python's thread; each call is one consistent change.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::aead::Aead;
use crate::datagram::{StreamName, TreeName, LARGEST_UNDERLAY_MTU};
use crate::downstream_stream::{DownstreamStream, KeyOffer};
use crate::downstream_tree::InstalledPlace;
use crate::events::Event;
use crate::forwarding_tables::ForwardingTables;
use crate::key_flow::KeyFlow;
use crate::reason::Reason;
use crate::root_tree::{Generation, Hops, KeyBefore, RootTree, SenderKey};
use crate::session::lock;
use crate::table::Refused;
use crate::tree_state::{TreePlace, TreeState};
use crate::tree_tag::TreeKey;

/// Fresh random bytes for a sender key and the tree of its epoch.
pub struct TreeSecrets {
    /// Tree key.
    pub tree_key: [u8; 16],
    /// Sender key.
    pub sender_key: Zeroizing<[u8; 32]>,
}

/// Trees rooted here.
impl ForwardingTables {
    /// A stream with a tree without members; one of the same number is replaced.
    pub fn create_tree(&self, stream: u32, epoch: u32, key_id: u32, secrets: TreeSecrets) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let generation = self.generation(stream, epoch, key_id, secrets);
        self.trees.insert(stream, Arc::new(RootTree::new(generation, &self.signing_key)))?;
        self.trees_changed();
        Ok(())
    }

    /// The tree of our stream with this number.
    pub fn tree(&self, stream: u32) -> Option<Arc<RootTree>> {
        self.trees.get(&stream)
    }

    /// Removes a stream with its tree, if it is there.
    pub fn remove_tree(&self, stream: u32) {
        let _writing = lock(&self.writing);
        self.trees.remove(&stream);
        self.trees_changed();
    }

    /// Sets who gets what, at once.
    pub fn set_tree_members(&self, stream: u32, hops: Hops) -> Result<(), Refused> {
        let _writing = lock(&self.writing);
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        let mut all: Vec<u32> = hops.all().collect();
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) || all.contains(&self.node_index) {
            return Err(Refused::Invalid);
        }
        self.set_members(&tree, hops);
        self.trees_changed();
        Ok(())
    }

    /// Sets a tree's members, with the smallest underlay MTU of those that it serves; a node without a session gets nothing,
    /// and does not count. Who has a route instead of a path gets copies.
    pub(crate) fn set_members(&self, tree: &RootTree, hops: Hops) {
        let (routed, next_hops): (Vec<u32>, Vec<u32>) =
            hops.holders().partition(|peer| self.node_routes.get(*peer).is_some());
        let served = next_hops.iter().chain(&hops.beyond);
        let known = served.filter_map(|peer| self.sessions.peer(*peer)).map(|peer| peer.underlay_mtu());
        let underlay_mtu = known.min().unwrap_or(LARGEST_UNDERLAY_MTU);
        tree.set_members(Hops { next_hops: next_hops.into(), routed: routed.into(), ..hops }, underlay_mtu);
    }

    /// Our trees.
    pub fn trees(&self) -> Vec<Arc<RootTree>> {
        self.trees.values()
    }

    /// The path of a node is another one, or it has none any more.
    pub(crate) fn set_members_anew(&self, node: u32) {
        for tree in self.trees.values() {
            let hops = tree.members.load().hops.clone();
            if hops.is_served(node) {
                self.set_members(&tree, hops);
                self.trees_changed();
            }
        }
    }

    /// Makes a key, and a tree of another epoch, that wait for [`ForwardingTables::use_key`].
    pub fn make_key(&self, stream: u32, key_id: u32, epoch: u32, secrets: TreeSecrets) -> Result<(), Refused> {
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        tree.set_waiting(self.generation(stream, epoch, key_id, secrets));
        Ok(())
    }

    fn generation(&self, stream: u32, epoch: u32, key_id: u32, secrets: TreeSecrets) -> Generation {
        let key = SenderKey::new(key_id, Aead::preferred(), secrets.sender_key);
        let tree = TreeName { root: self.node_index, stream, epoch };
        Generation { tree, tree_key: TreeKey::new(secrets.tree_key), key }
    }

    /// Seals with the waiting key, for the tree that waits with it, from now on.
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

    /// The body of an offer of a sender key (section 6).
    pub fn offer(
        &self,
        stream: u32,
        key_id: u32,
        before: KeyBefore,
        context: &[u8],
        now_ns: u64,
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        tree.offer(key_id, before, context, now_ns).ok_or(Refused::Unknown)
    }

    /// The body of a state of a tree (section 6) for a node at this place.
    pub fn tree_state(&self, stream: u32, epoch: u32, place: &TreePlace) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let tree = self.trees.get(&stream).ok_or(Refused::Unknown)?;
        tree.state(epoch, place).ok_or(Refused::Unknown)
    }
}

/// Trees of other roots.
impl ForwardingTables {
    /// Keeps an offer until Python accepts or refuses it. A repeated offer replaces the one before, and is an event again.
    pub(crate) fn add_offer(&self, offer: KeyOffer, now_ns: u64) -> Result<(), Reason> {
        let (stream, key_id, context) = (offer.stream, offer.key_id, offer.context.clone());
        if !self.pending_offers.add(offer) {
            return Err(Reason::KeyOffersFull);
        }
        self.events.push(Event::KeyOffered { stream, key_id, context }, now_ns)
    }

    /// The same with the state of a tree; one that says another place does not replace it, but waits beside it.
    pub(crate) fn add_state(&self, mut state: TreeState, now_ns: u64) -> Result<(), Reason> {
        let (tree, place) = (state.tree, state.place.clone());
        if place.names(self.node_index) {
            return Err(Reason::TreeStateMalformed);
        }
        state.number = self.pending_states.number(&state);
        let number = state.number;
        if !self.pending_states.add(state) {
            return Err(Reason::TreeStatesFull);
        }
        self.events.push(Event::TreeOffered { tree, number, place }, now_ns)
    }

    /// Takes a pending offer of a key, for frames of this flow (None: to any group); false when there is none, or newer keys are
    /// held than that one, which is not kept.
    pub fn accept_key(&self, stream: StreamName, key_id: u32, flow: Option<KeyFlow>) -> Result<bool, Refused> {
        let _writing = lock(&self.writing);
        let offer = self.pending_offers.take(stream.root, (stream.stream, key_id, 0));
        offer.map_or(Ok(false), |offer| self.downstream_trees.accept_key(offer, flow))
    }

    /// Drops a pending offer of a key, if it is there.
    pub fn refuse_key(&self, stream: StreamName, key_id: u32) {
        self.pending_offers.take(stream.root, (stream.stream, key_id, 0));
    }

    /// Takes the pending state of a tree that has this number; false when there is none, or this node has left the stream since.
    pub fn accept_tree(&self, tree: TreeName, number: u64) -> Result<bool, Refused> {
        let _writing = lock(&self.writing);
        let state = self.pending_states.take(tree.root, (tree.stream, tree.epoch, number));
        state.map_or(Ok(false), |state| self.downstream_trees.accept_state(state))
    }

    /// Drops it, if it is there.
    pub fn refuse_tree(&self, tree: TreeName, number: u64) {
        self.pending_states.take(tree.root, (tree.stream, tree.epoch, number));
    }

    /// This node subscribes to a stream no more: its keys are gone. Trees of it that it relays stay.
    pub fn leave_stream(&self, stream: StreamName) {
        let _writing = lock(&self.writing);
        self.downstream_trees.leave(stream);
    }

    /// This node subscribes to a stream again: the root is asked to confirm its keys, which are over at `until_ns` otherwise (None: it was
    /// asked before, and only that is repeated).
    pub fn confirm_stream(&self, stream: StreamName, until_ns: Option<u64>, now_ns: u64) {
        let _writing = lock(&self.writing);
        if let Some(request) = self.downstream_trees.confirm(stream, until_ns, now_ns) {
            self.anchor_requests.add(request);
        }
    }

    /// This node relays a stream no more; where it subscribes, it goes on to.
    pub fn end_relaying(&self, stream: StreamName) {
        let _writing = lock(&self.writing);
        self.downstream_trees.end_relaying(stream);
    }

    /// A stream of another root, and this node's places on its trees, that of the lower epoch first.
    pub fn places(&self, stream: StreamName) -> Option<(Arc<DownstreamStream>, Vec<InstalledPlace>)> {
        self.downstream_trees.places(stream)
    }

    /// All streams of other roots, by name.
    pub fn downstream_streams(&self) -> Vec<Arc<DownstreamStream>> {
        self.downstream_trees.streams()
    }
}
