//! Frames that came in parts: put together in a buffer of their own, where they stay until the batch is delivered.

use treecast_core::arrival::{OpenedPart, Recent};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::MAX_FRAME_LEN;
use treecast_core::headers::Frame;
use treecast_core::limits::MAX_REASSEMBLIES;
use treecast_core::reason::Reason;

/// The buffer that one batch can need: each frame that waited and then came, and all that a batch can bring whole.
pub const fn reassembly_len(batch_len: usize) -> usize {
    MAX_REASSEMBLIES * MAX_FRAME_LEN + batch_len + MAX_FRAME_LEN
}

/// The part of the buffer that is left in this batch.
pub struct ReassemblyBuffer<'a>(pub &'a mut [u8]);

impl<'a> ReassemblyBuffer<'a> {
    /// Takes a part; the frame, when that completes one that its node may send.
    pub fn take(
        &mut self,
        tables: &ForwardingTables,
        part: &OpenedPart,
        bytes: &[u8],
        ecn: u8,
        now_ns: u64,
        recent: &mut Recent,
    ) -> Result<Option<Frame<'a>>, Reason> {
        let Some((length, headers)) = tables.reassemble(part, bytes, ecn, now_ns, self.0)? else { return Ok(None) };
        let (bytes, rest) = std::mem::take(&mut self.0).split_at_mut(length);
        self.0 = rest;
        let frame = Frame { bytes, headers };
        tables.check_source(&frame, part.ingress, recent).map(|()| Some(frame))
    }
}
