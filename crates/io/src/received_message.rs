//! One message received from a socket: a datagram, or several of one sender that the kernel has joined.
//!
//! Opens each by its type, and sends at once what answers it (probe replies, anchors, cookies).

use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::counters::Counter;
use treecast_core::datagram::{DatagramType, TreeHeader, KIND_PROBE_REPLY};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::reason::Reason;
use treecast_core::session::Endpoint;

use crate::relay::Passed;
use crate::sys::batch::Message;
use crate::underlay::Underlay;

/// One received message.
pub struct ReceivedMessage<'s> {
    tables: &'s ForwardingTables,
    underlay: &'s Underlay,
    from: Endpoint,
    now_ns: u64,
}

impl<'s> ReceivedMessage<'s> {
    /// None: it is cut off, and counted.
    pub fn new(
        tables: &'s ForwardingTables,
        underlay: &'s Underlay,
        socket: u32,
        message: &Message,
        now_ns: u64,
    ) -> Option<Self> {
        let Some(address) = message.source.filter(|_| !message.truncated) else {
            tables.drops.count(Reason::Truncated);
            return None;
        };
        if message.length == 0 {
            tables.drops.count(Reason::UnknownType);
        }
        Some(Self { tables, underlay, from: Endpoint { socket, address }, now_ns })
    }

    /// The content of a datagram for the TAP.
    pub fn open(
        &self,
        datagram: &mut [u8],
        passed: Option<Passed>,
        recent: &mut Recent,
    ) -> Result<Option<Opened>, Reason> {
        if let Some(passed) = passed {
            let Some(tree) = passed.deliver else { return Ok(None) };
            let header = TreeHeader::parse(datagram)?;
            return self.tables.open_tree(&tree, &header, datagram, true, self.now_ns).map(Some);
        }
        match DatagramType::of(datagram)? {
            DatagramType::Session => match self.tables.receive_session(datagram, self.from, self.now_ns, recent)? {
                Received::Opened(opened) => Ok(Some(opened)),
                Received::Probe(session, value) => {
                    self.underlay.send_on(self.tables, &session, KIND_PROBE_REPLY, &value.to_be_bytes());
                    Ok(None)
                }
                Received::Anchor(anchor, outgoing) => {
                    self.underlay.send_anchor(self.tables, &anchor, &outgoing.next_hops);
                    Ok(None)
                }
                Received::Done => Ok(None),
            },
            DatagramType::Tree => {
                let (header, tree) = self.tables.receive_tree(datagram, self.from.address, recent)?;
                if !tree.outgoing.load().deliver {
                    return Err(Reason::TreeNotDelivered);
                }
                self.tables.open_tree(tree, &header, datagram, false, self.now_ns).map(Some)
            }
            DatagramType::Handshake => {
                let Endpoint { socket, address } = self.from;
                let Some(cookie) = self.tables.receive_handshake(datagram, socket, address, self.now_ns)? else {
                    return Ok(None);
                };
                self.underlay.send_cookie(self.tables, &cookie, self.from, self.now_ns);
                Err(Reason::HandshakeUnderLoad)
            }
        }
    }

    /// Counts it, when all of it has been opened.
    pub fn count(&self, message: &Message, (tree_datagrams, tree_bytes): (u64, u64)) {
        let datagrams = message.length.div_ceil(message.segment.max(1)) as u64;
        self.tables.counters.add(Counter::UdpReceives, 1);
        self.tables.counters.add(Counter::UdpRxDatagrams, datagrams);
        self.tables.counters.add(Counter::UdpRxBytes, message.length as u64);
        if tree_datagrams > 0 {
            if let Some(peer) = self.tables.peer_at(&self.from.address) {
                peer.tree_traffic.rx.add(tree_datagrams, tree_bytes);
            }
        }
    }
}
