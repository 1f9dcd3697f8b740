//! Anchors: how far a root is in the counter of a sender key (docs/protocol.md section 5).

use crate::datagram::{u16_at, u32_at, u64_at, TreeName};
use crate::reason::Reason;

/// A root sends an anchor to all next hops when it has sealed so many datagrams since the last one.
pub const ANCHOR_INTERVAL: u64 = 2048;

/// The anchor of a key that came into use is not repeated any more when so many datagrams have followed: they show the same.
pub const ANCHOR_DATAGRAMS: u64 = 64;

const ANCHOR_LEN: usize = 4 + 4 + 4 + 4 + 8 + 2 + 8 + 8 + 8;

/// The news, on a session, that a root has used a key's counters up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The tree of the key.
    pub tree: TreeName,
    /// The sender key whose counter it is.
    pub key_id: u32,
    /// The highest counter used.
    pub counter: u64,
    /// The time that its root has used the key, in ms; 0 where it is not given.
    pub in_use_ms: u16,
    /// The first counter of the key that the receiver gets by the tree: what is lower it had as copies; 0 where its root sent
    /// none.
    pub first_counter: u64,
    /// The counter of the request that it answers; 0 where it answers none.
    pub answers: u64,
    /// The last counter of the key that the receiver gets by the tree: what is higher it gets as copies; 0 where its root does not
    /// say.
    pub last_counter: u64,
}

/// The counters of a key that a node gets by the tree, as its root reports them: an end that it does not report is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterRange {
    /// The first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Anchor {
    /// No more than how far the key is.
    pub fn at(tree: TreeName, key_id: u32, counter: u64) -> Self {
        Self { tree, key_id, counter, in_use_ms: 0, first_counter: 0, answers: 0, last_counter: 0 }
    }

    /// The body of a session datagram of kind 6.
    pub fn emit(&self) -> [u8; ANCHOR_LEN] {
        let mut out = [0; ANCHOR_LEN];
        let TreeName { root, stream, epoch } = self.tree;
        for (chunk, word) in out[..16].chunks_exact_mut(4).zip([root, stream, epoch, self.key_id]) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        out[16..24].copy_from_slice(&self.counter.to_be_bytes());
        out[24..26].copy_from_slice(&self.in_use_ms.to_be_bytes());
        out[26..34].copy_from_slice(&self.first_counter.to_be_bytes());
        out[34..42].copy_from_slice(&self.answers.to_be_bytes());
        out[42..].copy_from_slice(&self.last_counter.to_be_bytes());
        out
    }

    /// The same for a node that gets these by the tree.
    pub fn with(self, range: CounterRange) -> Self {
        Self { first_counter: range.first, last_counter: range.last, ..self }
    }

    /// Its inverse; what stands behind is left alone.
    pub fn parse(body: &[u8]) -> Result<Self, Reason> {
        let word = |offset| u32_at(body, offset).ok_or(Reason::InnerMalformed);
        let counter = u64_at(body, 16).ok_or(Reason::InnerMalformed)?;
        let tree = TreeName { root: word(0)?, stream: word(4)?, epoch: word(8)? };
        let in_use_ms = u16_at(body, 24).unwrap_or(0);
        let [first_counter, answers, last_counter] = [26, 34, 42].map(|offset| u64_at(body, offset).unwrap_or(0));
        Ok(Self { tree, key_id: word(12)?, counter, in_use_ms, first_counter, answers, last_counter })
    }

    /// The anchor as it goes on to next hops: the rest is a word to this node alone.
    pub(crate) fn onwards(self) -> Self {
        Self { first_counter: 0, answers: 0, last_counter: 0, ..self }
    }
}
