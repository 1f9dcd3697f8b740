//! Grafts and ticks: marks of how far the nodes of a tree are in its counters (docs/protocol.md section 6, Repair).

use crate::datagram::{u32_at, u64_at, TreeName};
use crate::reason::Reason;

/// Inner kind: a node whose parent on a tree is silent wants its datagrams.
pub const KIND_GRAFT: u8 = 13;
/// Inner kind: a parent on a tree is there, though nothing comes by it; or how far a backup is in a tree.
pub const KIND_TICK: u8 = 14;

/// Inner kind: a node of a tree requests from its root how far the key in use is.
pub const KIND_ANCHOR_REQUEST: u8 = 15;

/// Bytes of a mark.
pub const MARK_LEN: usize = 4 + 4 + 4 + 8;

/// The body of a graft, of a backup's tick, and of an anchor request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeMark {
    /// The tree that it is of.
    pub tree: TreeName,
    /// A graft is for the datagrams with higher counters; a tick has the highest one that came, an anchor request the highest
    /// that is doubted, or 0.
    pub counter: u64,
}

impl TreeMark {
    /// Its bytes.
    pub fn emit(&self) -> [u8; MARK_LEN] {
        let mut out = [0; MARK_LEN];
        let TreeName { root, stream, epoch } = self.tree;
        for (chunk, word) in out[..12].chunks_exact_mut(4).zip([root, stream, epoch]) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        out[12..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }

    /// Its inverse; what stands behind is left alone.
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let word = |offset| u32_at(body, offset).ok_or(Reason::InnerMalformed);
        let counter = u64_at(body, 12).ok_or(Reason::InnerMalformed)?;
        Ok(Self { tree: TreeName { root: word(0)?, stream: word(4)?, epoch: word(8)? }, counter })
    }
}
