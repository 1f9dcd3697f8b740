//! Broadcast from neighbour to neighbour: its tree datagrams come as bodies of session datagrams (docs/protocol.md section 5).
//!
//! All nodes hold its keys, and anybody can write an address into a datagram. So a session proves which neighbour has sent it,
//! before anything is spent on its signature.

use std::sync::Arc;

use crate::arrival::Opened;
use crate::broadcast_signature::{verify, SIGNATURE_LEN};
use crate::datagram::{TreeHeader, TreeName, TREE_ASSOCIATED_LEN};
use crate::downstream_stream::DownstreamStream;
use crate::downstream_tree::{DownstreamTree, NextHops};
use crate::forwarding_tables::ForwardingTables;
use crate::reason::Reason;
use crate::session::SESSION_BODY_OFFSET;

impl ForwardingTables {
    /// A tree datagram in a session with this neighbour, up to its tree tag. `recent`: the tree of the one before.
    pub fn receive_broadcast<'r>(
        &self,
        datagram: &[u8],
        neighbour: u32,
        recent: &'r mut Option<Arc<DownstreamTree>>,
    ) -> Result<(TreeHeader, &'r Arc<DownstreamTree>), Reason> {
        let header = TreeHeader::parse(datagram)?;
        if !header.tree.is_broadcast() {
            return Err(Reason::TreeWrapped);
        }
        let tree = self.downstream_tree(&header, recent)?;
        if !tree.parents.contains(&neighbour) {
            return Err(Reason::TreeRpf);
        }
        tree.verify(&header, datagram)?;
        Ok((header, tree))
    }

    /// Marks one that goes on from here, and to whom; None where it goes no further.
    pub fn pass_broadcast(
        &self,
        tree: &DownstreamTree,
        header: &TreeHeader,
        datagram: &[u8],
        now_ns: u64,
    ) -> Result<Option<NextHops>, Reason> {
        let next_hops = tree.next_hops.load_full();
        if next_hops.is_empty() {
            return Ok(None);
        }
        tree.pass(header, datagram, now_ns).map(|()| Some(next_hops))
    }

    /// The length of a plaintext without the signature that broadcast has, when that is the root's.
    pub(crate) fn check_signature(
        &self,
        stream: &DownstreamStream,
        associated: &[u8; TREE_ASSOCIATED_LEN],
        text: &[u8],
        now_ns: u64,
    ) -> Result<usize, Reason> {
        let Some(checks) = &stream.signatures else { return Ok(text.len()) };
        let (signed, signature) = text.split_last_chunk::<SIGNATURE_LEN>().ok_or(Reason::BroadcastSignature)?;
        let key = self.certified.signing_key(stream.name.root).ok_or(Reason::BroadcastSignature)?;
        if let Err(reason) = checks.admit(&self.suspect_checks, now_ns) {
            if !checks.is_suspect(now_ns) {
                self.refusals.note(stream.name.root, reason);
            }
            return Err(reason);
        }
        if !verify(&key, associated, signed, signature) {
            checks.note_forged(now_ns);
            return Err(Reason::BroadcastSignature);
        }
        Ok(signed.len())
    }
}

impl TreeName {
    /// Is it that of a root's broadcast?
    pub fn is_broadcast(self) -> bool {
        self.stream_name().is_broadcast()
    }
}

impl Opened {
    /// The same in the session datagram whose body it lies in.
    pub fn in_session(self) -> Self {
        self.further_by(SESSION_BODY_OFFSET)
    }
}
