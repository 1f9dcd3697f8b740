//! Anchors: how far a root is in the counter of a sender key (docs/protocol.md section 5).

use crate::datagram::{u32_at, u64_at, TreeName};
use crate::reason::Reason;

/// A root sends an anchor to all next hops when it has sealed so many datagrams since the last one.
pub const ANCHOR_INTERVAL: u64 = 2048;

const ANCHOR_LEN: usize = 4 + 4 + 4 + 4 + 8;

/// The news, on a session, that a root has used a key's counters up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Which tree.
    pub tree: TreeName,
    /// Which key.
    pub key_id: u32,
    /// The highest counter used.
    pub counter: u64,
}

impl Anchor {
    /// The body of a session datagram of kind 6.
    pub fn emit(&self) -> [u8; ANCHOR_LEN] {
        let mut out = [0; ANCHOR_LEN];
        let TreeName { root, stream, epoch } = self.tree;
        for (chunk, word) in out[..16].chunks_exact_mut(4).zip([root, stream, epoch, self.key_id]) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        out[16..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }

    /// Its inverse; what stands behind is left alone.
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let word = |offset| u32_at(body, offset).ok_or(Reason::InnerMalformed);
        let counter = u64_at(body, 16).ok_or(Reason::InnerMalformed)?;
        let tree = TreeName { root: word(0)?, stream: word(4)?, epoch: word(8)? };
        Ok(Self { tree, key_id: word(12)?, counter })
    }
}
