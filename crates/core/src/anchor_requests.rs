//! Requests to the roots of trees for their anchors, until they leave (docs/protocol.md section 5).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use crate::session::lock;
use crate::tree_mark::TreeMark;

/// Requests that are due: no more than the datagrams of the batches that are being received.
#[derive(Debug, Default)]
pub struct AnchorRequests {
    waiting: Mutex<Vec<TreeMark>>,
    has_any: AtomicBool,
}

impl AnchorRequests {
    /// Keeps one.
    pub(crate) fn add(&self, mark: TreeMark) {
        lock(&self.waiting).push(mark);
        self.has_any.store(true, Ordering::Release);
    }

    /// Takes all, each to be sent to its tree's root.
    pub fn take(&self) -> Vec<TreeMark> {
        if self.has_any.load(Ordering::Relaxed) && self.has_any.swap(false, Ordering::Acquire) {
            std::mem::take(&mut lock(&self.waiting))
        } else {
            Vec::new()
        }
    }
}
