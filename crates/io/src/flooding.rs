//! Frames that Python sends on the broadcast tree, from any thread: at once, and past all data that wait.

use std::sync::{Mutex, PoisonError};

use treecast_core::counters::Counter;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::headers::Frame;
use treecast_core::offload::{Segmenter, VnetHeader};
use treecast_core::reason::Reason;

use crate::dispatch::SocketKind;
use crate::outbox::Outbox;
use crate::sealing::Sealing;
use crate::sys::thread::monotonic_ns;
use crate::underlay::Underlay;

/// The outbox of frames that Python sends on the broadcast tree.
#[derive(Debug)]
pub(crate) struct Flooding(Mutex<Outbox>);

impl Default for Flooding {
    fn default() -> Self {
        Self(Mutex::new(Outbox::new(SocketKind::Control)))
    }
}

impl Flooding {
    /// Sends a frame that came from a port on the broadcast tree, unless it stays on the port's LAN.
    pub fn flood(&self, tables: &ForwardingTables, underlay: &Underlay, port: u32, frame: &[u8]) {
        if let Err(reason) = self.flood_or(tables, underlay, port, &Frame::read(frame)) {
            tables.drops.count(reason);
        }
    }

    fn flood_or(
        &self,
        tables: &ForwardingTables,
        underlay: &Underlay,
        port: u32,
        frame: &Frame<'_>,
    ) -> Result<(), Reason> {
        tables.port(port).map_or(Ok(()), |port| port.passes(frame))?;
        let segmenter = Segmenter::new(&VnetHeader::single(None), frame)?;
        let destination = tables.broadcast(monotonic_ns())?;
        tables.counters.add(Counter::FramesBroadcast, 1);
        let outbox = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Sealing { tables, underlay, outbox }.send(frame, &segmenter, &destination);
        outbox.flush(tables, underlay);
        Ok(())
    }
}
