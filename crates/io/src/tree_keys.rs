//! Trees rooted here, as Python's thread has them: their fresh secrets, and what of them goes to their nodes.

use std::io;

use treecast_core::anchor::CounterRange;
use treecast_core::datagram::{StreamName, KIND_SENDER_KEY, KIND_TREE_STATE};
use treecast_core::root_tree::{Hops, KeyBefore, Members};
use treecast_core::table::Refused;
use treecast_core::tree_control::TreeSecrets;
use treecast_core::tree_state::TreePlace;
use zeroize::Zeroizing;

use crate::forwarder::Forwarder;
use crate::sys::thread::{monotonic_ns, random};

impl Forwarder {
    /// Makes a stream and its tree with fresh keys.
    pub fn create_tree(&self, stream: u32, epoch: u32, key_id: u32) -> io::Result<Result<(), Refused>> {
        Ok(self.tables.create_tree(stream, epoch, key_id, fresh_secrets()?))
    }

    /// Makes a fresh key, and a tree of another epoch, that wait.
    pub fn make_key(&self, stream: u32, key_id: u32, epoch: u32) -> io::Result<Result<(), Refused>> {
        Ok(self.tables.make_key(stream, key_id, epoch, fresh_secrets()?))
    }

    /// Puts the key that waits in use, and announces that to the nodes that its tree serves.
    pub fn use_key(&self, stream: u32, key_id: u32) -> Result<(), Refused> {
        self.tables.use_key(stream, key_id)?;
        if let Some((tree, open)) = self.tables.tree(stream).zip(self.open_now()) {
            let (anchor, members) = tree.anchor_now(monotonic_ns());
            open.underlay.send_anchor(&self.tables, &anchor, all(&members));
        }
        Ok(())
    }

    /// Announces the key in use once more to the nodes that its tree serves, where no datagrams do.
    pub fn announce_key(&self, stream: u32) {
        if let Some((tree, open)) = self.tables.tree(stream).zip(self.open_now()) {
            if let Some((anchor, members)) = tree.anchor_again(monotonic_ns()) {
                open.underlay.send_anchor(&self.tables, &anchor, all(&members));
            }
        }
    }

    /// Sets who gets what; who is served by it anew learns from which counter on, and that the key is in use.
    pub fn set_tree_members(&self, stream: u32, hops: Hops) -> Result<(), Refused> {
        self.tables.set_tree_members(stream, hops)?;
        if let Some((tree, open)) = self.tables.tree(stream).zip(self.open_now()) {
            if let Some((anchor, members)) = tree.anchor_anew(monotonic_ns()) {
                open.underlay.send_anchor(&self.tables, &anchor, members.served.known(anchor.counter));
            }
        }
        Ok(())
    }

    /// A node has its path again: it learns at once from which counters on trees serve it.
    pub fn remove_node_route(&self, node: u32) {
        self.tables.remove_node_route(node);
        let Some(open) = self.open_now() else { return };
        for (anchor, members) in self.tables.trees().iter().filter_map(|tree| tree.anchor_anew(monotonic_ns())) {
            let firsts = members.served.known(anchor.counter).filter(|(newly, _)| *newly == node);
            open.underlay.send_anchor(&self.tables, &anchor, firsts);
        }
    }

    /// Asks a root to confirm the keys of a stream to which this node subscribes again.
    pub fn confirm_stream(&self, stream: StreamName, within_ms: u32, again: bool) {
        let now_ns = monotonic_ns();
        let until_ns = now_ns + u64::from(within_ms) * 1_000_000;
        self.tables.confirm_stream(stream, Some(until_ns).filter(|_| !again), now_ns);
        if let Some(open) = self.open_now() {
            open.underlay.request_anchors(&self.tables);
        }
    }

    /// Sends a sender key, with the time for which the one before is good.
    pub fn offer_key(
        &self,
        stream: u32,
        key_id: u32,
        peer: u32,
        context: &[u8],
        before: KeyBefore,
    ) -> Result<bool, Refused> {
        let body = self.tables.offer(stream, key_id, before, context, monotonic_ns())?;
        Ok(self.send_on(self.tables.session_to(peer), KIND_SENDER_KEY, &body))
    }

    /// Sends the state of a tree.
    pub fn offer_tree(&self, stream: u32, epoch: u32, peer: u32, place: &TreePlace) -> Result<bool, Refused> {
        let body = self.tables.tree_state(stream, epoch, place)?;
        Ok(self.send_on(self.tables.session_to(peer), KIND_TREE_STATE, &body))
    }
}

/// The next hops; none of them is new.
fn all(members: &Members) -> impl Iterator<Item = (u32, CounterRange)> + '_ {
    members.hops.next_hops.iter().map(|node| (*node, CounterRange::default()))
}

fn fresh_secrets() -> io::Result<TreeSecrets> {
    let mut secrets = TreeSecrets { tree_key: [0; 16], sender_key: Zeroizing::new([0; 32]) };
    random(&mut secrets.tree_key)?;
    random(secrets.sender_key.as_mut_slice())?;
    Ok(secrets)
}
