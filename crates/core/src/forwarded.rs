//! Forwards from neighbours: for this node, or to be sent on to the next hop (`docs/protocol.md` section 4).

use std::sync::Arc;

use crate::arrival::{Opened, Received, Recent};
use crate::datagram::{DatagramType, COOKIE, FINAL, INIT};
use crate::events::Event;
use crate::forward::{ForwardHeader, FORWARD_HEADER_LEN, HOP_LIMIT, HOP_LIMIT_AT, INNER_DATAGRAM_OFFSET, NO_PATH};
use crate::forward_budgets::TransitDatagram;
use crate::forwarding_tables::ForwardingTables;
use crate::path::Endpoint;
use crate::reason::Reason;
use crate::session::Session;

impl ForwardingTables {
    /// A neighbour's Forward, opened, from this address: for this node, or to be sent on as it lies there then.
    pub(crate) fn receive_forward(
        &self,
        neighbour: &Arc<Session>,
        from: Endpoint,
        body: &mut [u8],
        now_ns: u64,
        recent: &mut Recent,
    ) -> Result<Received, Reason> {
        let header = ForwardHeader::parse(body)?;
        if from == NO_PATH {
            return Err(Reason::ForwardMalformed);
        }
        if header.hop_limit == HOP_LIMIT && header.source != neighbour.peer {
            return Err(Reason::ForwardSource);
        }
        if header.source == self.node_index {
            return Err(Reason::ForwardOwn);
        }
        if header.destination == self.node_index {
            let inner = body.get_mut(FORWARD_HEADER_LEN..).unwrap_or_default();
            return self.receive_forwarded(neighbour, header.source, inner, now_ns, recent);
        }
        if header.hop_limit == 1 {
            return Err(Reason::ForwardHopLimit);
        }
        let next = self.next_hop(header.destination).filter(|next| next.peer != neighbour.peer);
        let next = next.ok_or(Reason::ForwardNoRoute)?;
        let transit = TransitDatagram {
            neighbour: neighbour.peer,
            source: header.source,
            destination: header.destination,
            is_handshake: body.get(FORWARD_HEADER_LEN).is_some_and(|first| (INIT..=FINAL).contains(first)),
            bytes: body.len(),
        };
        self.may_send_on(transit, next.peer, now_ns)?;
        if let Some(hop_limit) = body.get_mut(HOP_LIMIT_AT) {
            *hop_limit = header.hop_limit - 1;
        }
        Ok(Received::Forward(next))
    }

    /// An inner datagram of a source, which a neighbour has brought here.
    fn receive_forwarded(
        &self,
        neighbour: &Arc<Session>,
        source: u32,
        inner: &mut [u8],
        now_ns: u64,
        recent: &mut Recent,
    ) -> Result<Received, Reason> {
        if DatagramType::of(inner)? == DatagramType::Session {
            let received = self.receive_session(inner, NO_PATH, now_ns, recent)?;
            if let Some(session) = &recent.session {
                if self.node_routes.get(session.peer) == Some(neighbour.peer) {
                    session.path.receive_by_route(now_ns);
                }
            }
            return Ok(match received {
                Received::Opened(opened) => Received::Opened(opened.further_by(INNER_DATAGRAM_OFFSET)),
                Received::Answer(session, _, kind, value) => {
                    Received::AnswerBy(session, neighbour.clone(), kind, value)
                }
                other => other,
            });
        }
        if inner.first() == Some(&COOKIE) {
            return Err(Reason::HandshakeMalformed);
        }
        self.mac.check(inner)?;
        if inner.first() != Some(&INIT) {
            self.expected_answers.check(inner, now_ns)?;
        } else if !self.forward_budgets.take_init(neighbour.peer, now_ns) {
            return Err(Reason::HandshakeRateSession);
        }
        let event = Event::ForwardedHandshake { neighbour: neighbour.peer, source, data: inner.to_vec() };
        self.events.push(event, now_ns).map(|()| Received::Done)
    }
}

impl Opened {
    /// The same in a datagram that this one lies in, so far behind its begin.
    pub(crate) fn further_by(mut self, offset: usize) -> Self {
        match &mut self {
            Self::Frame(frame) => frame.start += offset,
            Self::Part(part) => part.start += offset,
        }
        self
    }
}
