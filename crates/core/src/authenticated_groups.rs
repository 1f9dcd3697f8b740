//! Groups whose frames count only as their sender has sealed them for this node alone (docs/protocol.md section 6).
//!
//! Under a key that all members of a tree hold, each of them could have made a frame.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::frame_source::group_of;
use crate::headers::Frame;
use crate::prefixes::Prefix;
use crate::reason::Reason;

/// Prefixes of these groups: few, mostly none.
#[derive(Debug, Default)]
pub(crate) struct AuthenticatedGroups {
    any: AtomicBool,
    prefixes: ArcSwap<Vec<Prefix>>,
}

impl AuthenticatedGroups {
    pub(crate) fn set(&self, prefixes: Vec<Prefix>) {
        let any = !prefixes.is_empty();
        self.prefixes.store(Arc::new(prefixes));
        self.any.store(any, Ordering::Release);
    }

    /// Refuses a frame to such a group that came under a group's key.
    #[inline(always)]
    pub(crate) fn check(&self, frame: &Frame<'_>) -> Result<(), Reason> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        match group_of(frame) {
            Some(group) if self.prefixes.load().iter().any(|prefix| prefix.contains(group)) => {
                Err(Reason::FrameNotAuthenticated)
            }
            _ => Ok(()),
        }
    }
}
