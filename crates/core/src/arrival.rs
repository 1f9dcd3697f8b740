//! Datagrams from the network: what is authentic and fresh, and what it holds. `io` carries it out.
//!
//! The order of the checks is the security: length, who it is for, authentic, fresh, and only then does anything change.
//! The tables, and the other direction, are in [`crate::forwarding_tables`].

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::Guard;

use crate::anchor::Anchor;
use crate::cookie::COOKIE_DATAGRAM_LEN;
use crate::counters::Counter;
use crate::datagram::{u64_at, Inner, SessionHeader, TreeHeader};
use crate::datagram::{COOKIE, INIT, INNER_LEN, KIND_TREE_STATE, MAX_CONTROL_LEN};
use crate::datagram::{
    KIND_ANCHOR, KIND_BROADCAST, KIND_CONTROL, KIND_FORWARD, KIND_FRAGMENT, KIND_FRAME, KIND_HANDSHAKE,
};
use crate::datagram::{KIND_PATH_CHALLENGE, KIND_PATH_RESPONSE, KIND_PROBE, KIND_PROBE_REPLY, KIND_SENDER_KEY};
use crate::datagram_content::{opened_tree, session_frame, session_part};
pub use crate::datagram_content::{IngressNode, Opened, OpenedFrame, OpenedPart, Proof};
use crate::downstream_stream::KeyOffer;
use crate::downstream_tree::{DownstreamTree, NextHops};
use crate::egress::Leaving;
use crate::events::Event;
use crate::fingerprints::Probe;
use crate::forward::NO_PATH;
use crate::forwarding_tables::ForwardingTables;
use crate::fragment::Arrived;
use crate::frame_source::KnownSource;
use crate::headers::{Frame, Headers};
use crate::history::Retransmission;
use crate::path::Endpoint;
use crate::reason::Reason;
use crate::reverse_path::KnownPath;
use crate::session::Session;
use crate::tree_mark::{TreeMark, KIND_ANCHOR_REQUEST, KIND_GRAFT, KIND_TICK};
use crate::tree_state::TreeState;

/// The content of an authentic datagram.
#[derive(Debug)]
pub enum Received {
    /// A frame for the TAP, or a part of one.
    Opened(Opened),
    /// A value to be sent back on its session, as this kind, to where it came from.
    Answer(Arc<Session>, Endpoint, u8, u64),
    /// The same for what a neighbour has brought, whose session this is: by that it goes back.
    AnswerBy(Arc<Session>, Arc<Session>, u8, u64),
    /// An anchor to be sent on to next hops.
    Anchor(Anchor, NextHops),
    /// A tree datagram of broadcast, checked up to its tree tag, which lies there then behind this session's inner header, and the
    /// neighbour that has sent it.
    Broadcast(TreeHeader, Arc<DownstreamTree>, u32),
    /// Datagrams of a tree that this node is to get, which has grafted.
    Retransmission(Arc<Retransmission>, u32),
    /// A Forward whose body is to be sealed for the next hop, as it lies there.
    Forward(Arc<Session>),
    /// No more to do.
    Done,
}

/// A tree whose datagram may go on, and to whom.
pub type Relay<'r> = (&'r Arc<DownstreamTree>, Guard<NextHops>);

/// The session or tree of the datagram before: most belong to the same. Not kept beyond a batch, for tables change.
#[derive(Debug, Default)]
pub struct Recent {
    pub(crate) session: Option<Arc<Session>>,
    tree: Option<Arc<DownstreamTree>>,
    path: KnownPath,
    /// A source that frames of a node may have.
    pub(crate) source: Option<KnownSource>,
}

impl ForwardingTables {
    /// A handshake datagram: length, version, MAC; of an INIT a cookie, under load, else that its answer is expected; rate; then
    /// Python's. The COOKIE datagram that answers it instead.
    pub fn receive_handshake(
        &self,
        datagram: &[u8],
        socket: u32,
        source: SocketAddr,
        now_ns: u64,
    ) -> Result<Option<[u8; COOKIE_DATAGRAM_LEN]>, Reason> {
        if let Err(reason) = self.mac.check(datagram) {
            if reason == Reason::HandshakeMac {
                // Whether or not its source is reported to Python, the datagram is dropped, once.
                let _ = self.events.push(Event::ForeignHandshake { source }, now_ns);
            }
            return Err(reason);
        }
        if datagram.first() == Some(&INIT) {
            if let Some(answer) = self.cookies.judge(&self.mac, datagram, source, now_ns)? {
                return Ok(Some(answer));
            }
        } else {
            self.expected_answers.check(datagram, now_ns)?;
        }
        self.events.push(Event::Handshake { socket, source, data: datagram.to_vec() }, now_ns).map(|()| None)
    }

    /// A session datagram, opened in place. Only an authentic, fresh one changes anything. `from`: [`NO_PATH`] where a neighbour
    /// has brought it, which shows nothing about paths.
    pub fn receive_session(
        &self,
        datagram: &mut [u8],
        from: Endpoint,
        now_ns: u64,
        recent: &mut Recent,
    ) -> Result<Received, Reason> {
        let header = SessionHeader::parse(datagram)?;
        if recent.session.as_ref().is_none_or(|session| session.index != header.receiver) {
            recent.session = self.sessions.get(header.receiver);
        }
        let session = recent.session.as_ref().ok_or(Reason::SessionUnknown)?;
        let length = datagram.len();
        let opened = session.open(&header, datagram, now_ns)?;
        if opened.first {
            self.confirm(session, now_ns);
        }
        if opened.newest && from != NO_PATH && session.path.receive(from, length, now_ns) {
            self.report(Event::PathSeen { peer: session.peer, session: session.index, endpoint: from }, now_ns);
        }
        let inner = Inner::parse(opened.plaintext)?;
        let body = opened.plaintext.get(INNER_LEN..).unwrap_or_default();
        session.datagram_counts.add_received(inner.kind);
        let peer = session.peer;
        if from == NO_PATH && [KIND_FRAME, KIND_FRAGMENT].contains(&inner.kind) {
            session.path.note_frame_by_route();
        }
        let received = match inner.kind {
            KIND_FRAME => session_frame(inner, body.len(), session.peer).map(Received::Opened),
            KIND_FRAGMENT => session_part(inner, body, session.index, session.peer).map(Received::Opened),
            KIND_CONTROL if body.len() > MAX_CONTROL_LEN => Err(Reason::ControlTooBig),
            KIND_CONTROL => {
                let event = Event::Control { peer: session.peer, session: session.index, data: body.to_vec() };
                self.events.push(event, now_ns).map(|()| Received::Done)
            }
            KIND_SENDER_KEY => {
                self.add_offer(KeyOffer::parse(session.peer, body, now_ns)?, now_ns).map(|()| Received::Done)
            }
            KIND_ANCHOR => {
                let anchor = Anchor::parse(body)?;
                let routes_set = session.path.routes_set();
                let tree = self.downstream_trees.raise_anchor(session.peer, &anchor, routes_set, now_ns);
                let tree = tree.filter(|tree| tree.takes_onwards(&anchor));
                let next_hops = tree.map(|tree| tree.next_hops.load_full()).filter(|hops| !hops.is_empty());
                Ok(next_hops.map_or(Received::Done, |hops| Received::Anchor(anchor.onwards(), hops)))
            }
            KIND_ANCHOR_REQUEST => {
                let answer = self.answer_request(peer, &TreeMark::parse(body)?, now_ns);
                answer.map(|anchor| Received::Anchor(anchor, Arc::new(Box::new([peer]))))
            }
            KIND_TREE_STATE => {
                self.add_state(TreeState::parse(session.peer, body, now_ns)?, now_ns).map(|()| Received::Done)
            }
            KIND_HANDSHAKE => self.receive_rekey(session, body, now_ns).map(|()| Received::Done),
            KIND_GRAFT if from == NO_PATH => Err(Reason::GraftUnexpected),
            KIND_GRAFT => {
                let retransmission = self.receive_graft(peer, &TreeMark::parse(body)?, now_ns);
                retransmission.map(|retransmission| Received::Retransmission(retransmission, peer))
            }
            KIND_TICK if body.is_empty() => Ok(Received::Done), // it shows that the peer is there
            KIND_TICK if from == NO_PATH => Err(Reason::TickUnexpected),
            KIND_TICK => self.receive_mark(peer, &TreeMark::parse(body)?, now_ns).map(|()| Received::Done),
            KIND_BROADCAST if from == NO_PATH => Err(Reason::TreeRpf),
            KIND_BROADCAST => {
                let received = self.receive_broadcast(body, peer, &mut recent.tree);
                received.map(|(header, tree)| Received::Broadcast(header, tree.clone(), peer))
            }
            KIND_FORWARD => {
                let (neighbour, plaintext) = (session.clone(), opened.plaintext);
                let body = plaintext.get_mut(INNER_LEN..).unwrap_or_default();
                self.receive_forward(&neighbour, from, body, now_ns, recent)
            }
            KIND_PROBE => {
                let probe = Probe::parse(body)?;
                self.compare_fingerprint(session.peer, probe.fingerprint, now_ns);
                Ok(Received::Answer(session.clone(), from, KIND_PROBE_REPLY, probe.value))
            }
            KIND_PATH_CHALLENGE => {
                let value = u64_at(body, 0).ok_or(Reason::InnerMalformed)?; // more may stand behind it
                Ok(Received::Answer(session.clone(), from, KIND_PATH_RESPONSE, value))
            }
            KIND_PATH_RESPONSE => {
                let value = u64_at(body, 0).ok_or(Reason::InnerMalformed)?;
                let endpoint = session.path.answered(value).ok_or(Reason::PathResponseUnexpected)?;
                self.report(Event::PathAnswered { peer: session.peer, session: session.index, endpoint }, now_ns);
                Ok(Received::Done)
            }
            KIND_PROBE_REPLY => {
                let probe = Probe::parse(body)?;
                if !session.probe_reply(probe.value, Probe::came(body), now_ns) {
                    return Err(Reason::ProbeUnexpected);
                }
                self.counters.add(Counter::ProbeReplies, 1);
                self.compare_fingerprint(session.peer, probe.fingerprint, now_ns);
                Ok(Received::Done)
            }
            _ => Err(Reason::KindUnknown),
        };
        if inner.kind == KIND_FORWARD {
            return received; // another node's
        }
        received.inspect_err(|reason| self.refusals.note(peer, *reason))
    }

    /// A handshake datagram of the session's peer: as many as a handshake needs, and some.
    fn receive_rekey(&self, session: &Session, datagram: &[u8], now_ns: u64) -> Result<(), Reason> {
        if datagram.first() == Some(&COOKIE) {
            return Err(Reason::HandshakeMalformed);
        }
        self.mac.check(datagram)?;
        if !session.takes_handshake(now_ns) {
            return Err(Reason::HandshakeRateSession);
        }
        let event = Event::SessionHandshake { peer: session.peer, session: session.index, data: datagram.to_vec() };
        self.events.push(event, now_ns)
    }

    /// A tree datagram up to its tree tag; broadcast does not come by itself.
    pub fn receive_tree<'r>(
        &self,
        datagram: &[u8],
        source: SocketAddr,
        now_ns: u64,
        recent: &'r mut Recent,
    ) -> Result<(TreeHeader, &'r Arc<DownstreamTree>), Reason> {
        let header = TreeHeader::parse(datagram)?;
        if header.tree.is_broadcast() {
            return Err(Reason::TreeUnwrapped);
        }
        let tree = self.downstream_tree(&header, &mut recent.tree)?;
        let of_parent = self.check_path(tree, source, now_ns, &mut recent.path)?;
        tree.verify(&header, datagram)?;
        self.note_arrival(tree, &header, of_parent, now_ns)?;
        Ok((header, tree))
    }

    /// The tree of another root that a datagram names; `recent`: that of the one before.
    pub(crate) fn downstream_tree<'r>(
        &self,
        header: &TreeHeader,
        recent: &'r mut Option<Arc<DownstreamTree>>,
    ) -> Result<&'r Arc<DownstreamTree>, Reason> {
        if header.tree.root == self.node_index {
            return Err(Reason::TreeReflected);
        }
        if recent.as_ref().is_none_or(|tree| tree.name != header.tree) {
            *recent = self.downstream_trees.get(&header.tree);
        }
        recent.as_ref().ok_or(Reason::TreeUnknown)
    }

    /// Is this node a relay of any tree?
    pub fn relays(&self) -> bool {
        self.downstream_trees.relays()
    }

    /// A tree datagram of a tree with next hops, up to its replay window: then it may go on as it is, and is kept for nodes that
    /// may want it later. None when it is no such datagram. A node that becomes a child meanwhile gets it: now, or of those kept.
    pub fn relay<'r>(
        &self,
        (datagram, traffic_class): (&[u8], u8),
        source: SocketAddr,
        now_ns: u64,
        recent: &'r mut Recent,
    ) -> Option<Result<Relay<'r>, Reason>> {
        let header = TreeHeader::parse(datagram).ok().filter(|header| !header.tree.is_broadcast())?;
        let tree = self.downstream_tree(&header, &mut recent.tree).ok().filter(|tree| tree.relays())?;
        let fresh = self.check_path(tree, source, now_ns, &mut recent.path).and_then(|of_parent| {
            tree.verify(&header, datagram)?;
            self.note_arrival(tree, &header, of_parent, now_ns)?;
            let passed = tree.pass(&header, datagram, now_ns);
            self.note_anchor_request(tree);
            passed
        });
        Some(fresh.map(|()| {
            tree.keep(&header, datagram, traffic_class, now_ns);
            (tree, tree.next_hops.load())
        }))
    }

    /// Opens a datagram whose tree tag is right, and counts it unless it was relayed, which has counted it.
    pub fn open_tree(
        &self,
        tree: &DownstreamTree,
        header: &TreeHeader,
        datagram: &mut [u8],
        relayed: bool,
        now_ns: u64,
    ) -> Result<Opened, Reason> {
        let length = datagram.len();
        let opened = tree.stream.open(header, datagram, now_ns, |associated, text| {
            self.check_signature(&tree.stream, associated, text, now_ns)
        });
        self.note_anchor_request(tree);
        let plaintext = opened?;
        if !relayed {
            tree.note_newest(header);
            tree.stream.count(length);
        }
        opened_tree(tree.stream.name, tree.stream.flow.get().copied(), plaintext)
    }

    /// Takes a part of a frame, whose bytes and datagram's traffic class are given. When it was the last to come, the frame is written to `out`, of at
    /// least [`crate::fragment::MAX_FRAME_LEN`] bytes: its length and headers.
    pub fn reassemble(
        &self,
        part: &OpenedPart,
        bytes: &[u8],
        ecn: u8,
        now_ns: u64,
        out: &mut [u8],
    ) -> Result<Option<(usize, Headers)>, Reason> {
        let OpenedPart { sender, fragment, checksum, ingress, .. } = *part;
        let node = ingress.node;
        self.reassembly.take(
            &Arrived { node, sender, fragment, checksum, ecn, bytes },
            now_ns,
            out,
            (&self.drops, &self.refusals),
        )
    }

    /// Refuses a frame that cannot be of this node, or that it may not send, or that never crosses, and under a group's key one of the
    /// broadcast class, which it would have signed, of another group than the key's, or of an authenticated group.
    /// `recent`: of the same batch.
    #[inline(always)]
    pub fn check_source(&self, frame: &Frame<'_>, ingress: IngressNode, recent: &mut Recent) -> Result<(), Reason> {
        if let Proof::Shared(flow) = &ingress.proof {
            let Leaving::Group { vlan, group, source } = Leaving::of(frame) else {
                return Err(Reason::BroadcastSignature);
            };
            if flow.as_ref().is_some_and(|flow| !flow.has(vlan, group, source)) {
                return Err(Reason::FrameOfAnotherFlow);
            }
            self.authenticated.check(frame)?;
        }
        let checked = self.certified.check_frame(frame, ingress.node, &mut recent.source);
        checked.inspect_err(|reason| self.refusals.note(ingress.node, *reason))
    }

    fn confirm(&self, session: &Session, now_ns: u64) {
        if let Some(peer) = self.sessions.peer(session.peer) {
            peer.confirm(session, now_ns);
        }
        self.report(Event::SessionConfirmed { peer: session.peer, session: session.index }, now_ns);
    }
}
