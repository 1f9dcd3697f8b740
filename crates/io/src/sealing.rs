//! Frames to sealed datagrams in the outbox: cut up, each frame written and sealed in place.
//! Only a frame that does not fit one datagram is copied, and goes in parts.

use std::sync::Arc;

use treecast_core::datagram::{DatagramLimit, Inner, KIND_FRAGMENT, KIND_FRAME, SESSION_OVERHEAD};
use treecast_core::forward::ForwardHeader;
use treecast_core::forward_budgets::Class;
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::fragment::{cut, FRAGMENT_HEADER_LEN, MAX_FRAME_LEN};
use treecast_core::headers::Frame;
use treecast_core::offload::Segmenter;
use treecast_core::reason::Reason;
use treecast_core::root_tree::{Members, RootTree};
use treecast_core::session::Session;
use treecast_core::traffic_class;
use treecast_core::verdict::Destination;

use crate::outbox::{Destinations, Outbox, TxBuffer};
use crate::seals::{Routed, Seals, TreeSeal};
use crate::sys::thread::monotonic_ns;
use crate::underlay::Underlay;
use crate::wrapping::wrap;

/// The way of a frame into sealed datagrams of the outbox.
#[allow(missing_docs)]
pub struct Sealing<'s> {
    pub tables: &'s ForwardingTables,
    pub underlay: &'s Underlay,
    pub outbox: &'s mut Outbox,
}

impl Sealing<'_> {
    /// A frame of a host, or the frames of its super-frame, for a node or for the members of a tree.
    pub fn send(&mut self, frame: &Frame<'_>, segmenter: &Segmenter<'_>, destination: &Destination) {
        self.outbox.set_traffic_class(traffic_class::of(frame));
        match destination {
            Destination::Node(session) => self.for_session(session, segmenter, Class::Unicast),
            Destination::Tree(tree, members, _) => self.for_tree(tree, members, segmenter),
        }
    }

    fn for_session(&mut self, session: &Arc<Session>, segmenter: &Segmenter<'_>, class: Class) {
        match self.tables.route_to(session.peer) {
            None => {
                let most = self.underlay.mtu.limit(session.underlay_mtu());
                self.all(Destinations::Session(session), segmenter, &**session, most);
            }
            Some(next_hop) => {
                let sent = next_hop.and_then(|next_hop| self.by_route(session, next_hop, segmenter, class));
                if let Err(reason) = sent {
                    self.tables.drops.add(reason, segmenter.count() as u64);
                }
            }
        }
    }

    /// Seals in datagrams that any underlay carries, for those behind the next hop are not known.
    fn by_route(
        &mut self,
        session: &Session,
        next_hop: Arc<Session>,
        segmenter: &Segmenter<'_>,
        class: Class,
    ) -> Result<(), Reason> {
        let header = ForwardHeader::first(session.peer, self.tables.node_index);
        let by = Routed { session, next_hop: &next_hop, header, is_counted: true };
        let each = segmenter.segment_len(0).unwrap_or(0) + by.overhead();
        let bytes = each * segmenter.count();
        let may_go = self.tables.may_take_route((next_hop.peer, session.peer), class, bytes, monotonic_ns());
        may_go.inspect_err(|_| session.datagram_counts.add_refused(bytes))?;
        self.all(Destinations::Session(&next_hop), segmenter, &by, DatagramLimit::SHORTEST);
        Ok(())
    }

    fn for_tree(&mut self, tree: &Arc<RootTree>, members: &Arc<Members>, segmenter: &Segmenter<'_>) {
        self.send_anchor(tree, members);
        if !members.hops.next_hops.is_empty() {
            let most = self.underlay.mtu.limit(members.underlay_mtu);
            if tree.is_wrapped() {
                self.all_wrapped(&TreeSeal(tree, members), segmenter, most);
            } else {
                self.all(Destinations::Tree(tree, members), segmenter, &TreeSeal(tree, members), most);
            }
        }
        let class = Class::Stream(members.tree().stream);
        for peer in members.copied() {
            match self.tables.session_to(*peer) {
                Ok(session) => self.for_session(&session, segmenter, class),
                Err(reason) => self.tables.drops.add(reason, segmenter.count() as u64),
            }
        }
    }

    /// Members learn how far the key's counter is, where they must, before it goes on.
    fn send_anchor(&self, tree: &RootTree, members: &Members) {
        let (anchor, served) = tree.anchor(members);
        self.underlay.send_anchor(self.tables, &anchor, served);
    }

    /// Each frame straight into the tx buffer, then sealed there, in datagrams that the others' underlays carry, too.
    fn all<S: Seals>(&mut self, target: Destinations<'_>, segmenter: &Segmenter<'_>, by: &S, most: DatagramLimit) {
        let most = most.body_len(by.overhead());
        let longest = segmenter.segment_len(0).unwrap_or(0);
        if longest > most {
            return self.all_in_parts(target, segmenter, by, most);
        }
        let length = (longest + by.overhead()) * segmenter.count();
        let mut tx_buffer = self.outbox.tx_buffer(self.tables, self.underlay, target, length);
        for index in 0..segmenter.count() {
            if tx_buffer.is_full() {
                tx_buffer = self.outbox.more(self.tables, self.underlay, target);
            }
            match seal_one(tx_buffer, segmenter, index, by, most) {
                Ok(length) => tx_buffer.commit(length),
                Err(reason) => self.tables.drops.count(reason),
            }
        }
    }

    /// Frames of which the first does not fit one datagram, whose body is at most `most` long.
    fn all_in_parts<S: Seals>(&mut self, target: Destinations<'_>, segmenter: &Segmenter<'_>, by: &S, most: usize) {
        let (longest, part) = (segmenter.segment_len(0).unwrap_or(0), most - FRAGMENT_HEADER_LEN);
        let each = longest + longest.div_ceil(part) * (by.overhead() + FRAGMENT_HEADER_LEN);
        self.outbox.tx_buffer(self.tables, self.underlay, target, each * segmenter.count());
        self.each(segmenter, by, most, |sealing, inner, body| sealing.put(target, by, inner, body));
    }

    /// Frames of broadcast: each sealed and signed once, then sealed for each next hop.
    fn all_wrapped(&mut self, by: &TreeSeal<'_>, segmenter: &Segmenter<'_>, most: DatagramLimit) {
        let most = most.body_len(by.overhead() + SESSION_OVERHEAD);
        self.each(segmenter, by, most, |sealing, inner, body| sealing.put_wrapped(by, inner, body));
    }

    /// Bodies of at most `most` bytes: each frame, or its parts.
    fn each<S: Seals>(
        &mut self,
        segmenter: &Segmenter<'_>,
        by: &S,
        most: usize,
        mut put: impl FnMut(&mut Self, Inner, [&[u8]; 2]) -> Result<(), Reason>,
    ) {
        let mut frame = [0; MAX_FRAME_LEN];
        for index in 0..segmenter.count() {
            let sealed = match segmenter.write(index, &mut frame) {
                Some((length, checksum)) if length <= most => {
                    put(self, Inner { kind: KIND_FRAME, checksum }, [&frame[..length], &[]])
                }
                Some((length, checksum)) => {
                    let inner = Inner { kind: KIND_FRAGMENT, checksum };
                    let parts = cut(&frame[..length], by.next_fragment_id(), most - FRAGMENT_HEADER_LEN);
                    parts.ok_or(Reason::TooBig).and_then(|mut parts| {
                        parts.try_for_each(|(fragment, bytes)| put(self, inner, [&fragment.emit(), bytes]))
                    })
                }
                None => Err(Reason::TooBig),
            };
            if let Err(reason) = sealed {
                self.tables.drops.count(reason);
            }
        }
    }

    /// One datagram with this body.
    fn put<S: Seals>(
        &mut self,
        target: Destinations<'_>,
        by: &S,
        inner: Inner,
        body: [&[u8]; 2],
    ) -> Result<(), Reason> {
        let tx_buffer = self.outbox.more(self.tables, self.underlay, target);
        let length = by.seal_body(inner, body, tx_buffer.free())?;
        tx_buffer.commit(length);
        Ok(())
    }

    /// One tree datagram with this body, in the next hops' sessions.
    fn put_wrapped(&mut self, by: &TreeSeal<'_>, inner: Inner, body: [&[u8]; 2]) -> Result<(), Reason> {
        let mut scratch = std::mem::take(&mut self.outbox.scratch);
        let sealed = by.seal_body(inner, body, &mut scratch);
        if let Ok(length) = sealed {
            wrap(self.tables, self.underlay, self.outbox, &scratch[..length], &by.1.hops.next_hops);
        }
        self.outbox.scratch = scratch;
        sealed.map(|_| ()).inspect_err(|reason| self.tables.refusals.note(self.tables.node_index, *reason))
    }
}

fn seal_one<S: Seals>(
    tx_buffer: &mut TxBuffer,
    segmenter: &Segmenter<'_>,
    index: usize,
    by: &S,
    most: usize,
) -> Result<usize, Reason> {
    let buffer = tx_buffer.free();
    let body = buffer.get_mut(S::BODY_OFFSET..S::BODY_OFFSET + most).ok_or(Reason::TooBig)?;
    let (length, checksum) = segmenter.write(index, body).ok_or(Reason::TooBig)?;
    by.seal(Inner { kind: KIND_FRAME, checksum }, length, buffer)
}
