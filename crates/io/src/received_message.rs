//! One message received from a socket: a datagram, or several of one sender that the kernel has joined.
//!
//! Opens each by its type, and sends at once what answers it (replies to probes and challenges, anchors, cookies); what is to be
//! sent on goes to the outbox.

use std::sync::Arc;

use treecast_core::anchor::CounterRange;
use treecast_core::arrival::{Opened, Received, Recent};
use treecast_core::counters::Counter;
use treecast_core::datagram::{DatagramType, Inner, TreeHeader};
use treecast_core::datagram::{AEAD_TAG_LEN, KIND_FORWARD, KIND_PROBE_REPLY, SESSION_OVERHEAD};
use treecast_core::downstream_tree::DownstreamTree;
use treecast_core::fingerprints::{Probe, REPLY_LEN};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::path::Endpoint;
use treecast_core::reason::Reason;
use treecast_core::session::{Session, SESSION_BODY_OFFSET};

use crate::outbox::{Destinations, Outbox};
use crate::relay::Passed;
use crate::repair::retransmit_to;
use crate::seals::Seals;
use crate::sys::batch::Message;
use crate::underlay::Underlay;
use crate::wrapping::wrap;

/// One received message.
pub struct UnderlayMessage<'s> {
    tables: &'s ForwardingTables,
    underlay: &'s Underlay,
    from: Endpoint,
    traffic_class: u8,
    now_ns: u64,
}

impl<'s> UnderlayMessage<'s> {
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
        let (from, traffic_class) = (Endpoint { socket, address }, message.traffic_class);
        Some(Self { tables, underlay, from, traffic_class, now_ns })
    }

    /// The content of a datagram for the TAP.
    pub fn open(
        &self,
        datagram: &mut [u8],
        passed: Option<Passed>,
        recent: &mut Recent,
        outbox: &mut Outbox,
    ) -> Result<Option<Opened>, Reason> {
        if let Some(passed) = passed {
            let Some(tree) = passed.deliver else { return Ok(None) };
            let header = TreeHeader::parse(datagram)?;
            return self.tables.open_tree(&tree, &header, datagram, true, self.now_ns).map(Some);
        }
        match DatagramType::of(datagram)? {
            DatagramType::Session => match self.tables.receive_session(datagram, self.from, self.now_ns, recent)? {
                Received::Opened(opened) => Ok(Some(opened)),
                Received::Answer(session, to, kind, value) => {
                    let (body, length) = self.answer(&session, kind, value);
                    self.underlay.send_to(self.tables, &session, to, kind, &body[..length]);
                    Ok(None)
                }
                Received::AnswerBy(session, neighbour, kind, value) => {
                    let (body, length) = self.answer(&session, kind, value);
                    self.underlay.send_back_by(self.tables, &session, &neighbour, kind, &body[..length]);
                    Ok(None)
                }
                Received::Anchor(anchor, next_hops) => {
                    self.underlay.send_anchor(
                        self.tables,
                        &anchor,
                        next_hops.iter().map(|node| (*node, CounterRange::default())),
                    );
                    Ok(None)
                }
                Received::Broadcast(header, tree, neighbour) => {
                    let opened = self.open_broadcast(datagram, &header, &tree, outbox);
                    opened.inspect_err(|reason| self.note_forged(neighbour, *reason))
                }
                Received::Retransmission(retransmission, child) => {
                    retransmit_to(self.tables, self.underlay, outbox, &retransmission, child);
                    Ok(None)
                }
                Received::Forward(next_hop) => self.send_on(datagram, next_hop, outbox).map(|()| None),
                Received::Done => Ok(None),
            },
            DatagramType::Tree => {
                let (header, tree) = self.tables.receive_tree(datagram, self.from.address, self.now_ns, recent)?;
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

    /// A tree datagram in a session datagram that was opened: goes on to next hops, and is opened where hosts here get it.
    fn open_broadcast(
        &self,
        opened: &mut [u8],
        header: &TreeHeader,
        tree: &DownstreamTree,
        outbox: &mut Outbox,
    ) -> Result<Option<Opened>, Reason> {
        let end = opened.len() - AEAD_TAG_LEN;
        let datagram = &mut opened[SESSION_BODY_OFFSET..end];
        let next_hops = self.tables.pass_broadcast(tree, header, datagram, self.now_ns)?;
        if let Some(next_hops) = &next_hops {
            outbox.set_traffic_class(self.traffic_class);
            wrap(self.tables, self.underlay, outbox, datagram, next_hops);
            self.tables.counters.add(Counter::FramesRelayed, 1);
            if !tree.stream.is_subscribed() {
                return Ok(None);
            }
        }
        let opened = self.tables.open_tree(tree, header, datagram, next_hops.is_some(), self.now_ns)?;
        Ok(Some(opened.in_session()))
    }

    /// Broadcast with a signature that is not its root's came from this neighbour, which may be no more than deceived.
    fn note_forged(&self, neighbour: u32, reason: Reason) {
        if reason == Reason::BroadcastSignature {
            self.tables.refusals.note(neighbour, reason);
        }
    }

    /// The body of an answer, and how long it is.
    fn answer(&self, session: &Session, kind: u8, value: u64) -> ([u8; REPLY_LEN], usize) {
        let body =
            Probe { value, fingerprint: self.tables.fingerprints.own() }.emit_reply(session.datagram_counts.received());
        (body, if kind == KIND_PROBE_REPLY { REPLY_LEN } else { size_of::<u64>() })
    }

    /// The body of an opened datagram goes to the next hop, as it lies there.
    fn send_on(&self, opened: &[u8], next_hop: Arc<Session>, outbox: &mut Outbox) -> Result<(), Reason> {
        let body = &opened[SESSION_BODY_OFFSET..opened.len() - AEAD_TAG_LEN];
        if body.len() > self.underlay.mtu.limit(next_hop.underlay_mtu()).body_len(SESSION_OVERHEAD) {
            return Err(Reason::TooBig);
        }
        let target = Destinations::Session(&next_hop);
        outbox.set_traffic_class(self.traffic_class);
        let tx_buffer = outbox.more(self.tables, self.underlay, target);
        let forward = Inner { kind: KIND_FORWARD, checksum: None };
        let length = next_hop.seal_body(forward, [body, &[]], tx_buffer.free())?;
        tx_buffer.commit(length);
        self.tables.counters.add(Counter::DatagramsForwarded, 1);
        Ok(())
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
