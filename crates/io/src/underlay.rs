//! The sockets, how long a datagram may leave by them, and sending single ones through them from any thread.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use treecast_core::anchor::{Anchor, CounterRange};
use treecast_core::counters::Counter;
use treecast_core::datagram::SESSION_OVERHEAD;
use treecast_core::datagram::{DatagramLimit, Inner, KIND_ANCHOR, KIND_FORWARD, KIND_PROBE, MAX_DATAGRAM_LEN};
use treecast_core::fingerprints::Probe;
use treecast_core::forward::{ForwardHeader, NO_PATH};
use treecast_core::forwarding_tables::ForwardingTables;
use treecast_core::path::Endpoint;
use treecast_core::reason::Reason;
use treecast_core::session::Session;
use treecast_core::tree_mark::KIND_ANCHOR_REQUEST;

use crate::seals::{Routed, Seals};
use crate::socket_group::SocketGroup;
use crate::sys::udp::Socket;

/// The sockets of the underlay. Dropping it closes the sockets.
#[derive(Debug)]
pub struct Underlay {
    /// The sockets, in the order of `listen`.
    pub sockets: Vec<SocketGroup>,
    /// How long a datagram may leave.
    pub mtu: UnderlayMtu,
}

/// Number of the address that is listened on, and of one of its data sockets; None: its control socket.
pub type SocketId = (u32, Option<u32>);

/// The MTU of this node's underlay, which may change at any time: a reader takes it once per frame.
#[derive(Debug)]
pub struct UnderlayMtu(AtomicUsize);

impl UnderlayMtu {
    /// None below 1280 and above 9000.
    pub fn new(mtu: usize) -> Option<Self> {
        DatagramLimit::on_underlay(mtu).map(|_| Self(AtomicUsize::new(mtu)))
    }

    /// The length in bytes.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// False below 1280 and above 9000: then it stays as it was.
    pub fn set(&self, mtu: usize) -> bool {
        let known = DatagramLimit::on_underlay(mtu).is_some();
        if known {
            self.0.store(mtu, Ordering::Relaxed);
        }
        known
    }

    /// How long a datagram fits it, and the other side's too.
    pub fn limit(&self, others: usize) -> DatagramLimit {
        DatagramLimit::on_underlay(self.get().min(others)).unwrap_or(DatagramLimit::SHORTEST)
    }
}

impl Underlay {
    /// Sends one datagram, at once and past all data that wait; counts it or why not.
    pub fn send(&self, tables: &ForwardingTables, datagram: &[u8], to: Endpoint) -> bool {
        let Some(socket) = self.sockets.get(to.socket as usize).map(SocketGroup::control) else {
            tables.drops.count(Reason::SocketUnreachable);
            return false;
        };
        let sent = send_by(socket, tables, datagram, to);
        if let Err(reason) = sent {
            tables.drops.count(reason);
        }
        sent.is_ok()
    }

    /// Sends a cookie, now or not at all. While many wait, for addresses that nobody has, each address gets few; those of linked
    /// nodes, which are there, as many as they are to get.
    pub fn send_cookie(&self, tables: &ForwardingTables, cookie: &[u8], to: Endpoint, now_ns: u64) {
        let Some(socket) = self.sockets.get(to.socket as usize).map(SocketGroup::cookies) else { return };
        let crowded = socket.is_crowded() && tables.peer_at(&to.address).is_none();
        let refused = crowded && !tables.answered_addresses.take(to.address.ip(), now_ns);
        if refused || send_by(socket, tables, cookie, to).is_err() {
            tables.drops.count(Reason::CookieUnsent);
        }
    }

    /// Probes a node: on its path, and by its route where it has one; the path that a route stands in for only `with_path`.
    pub fn probe(&self, tables: &ForwardingTables, session: &Session, with_path: bool, now_ns: u64) {
        let fingerprint = tables.fingerprints.own();
        let (path, has_route) = (session.endpoint(), tables.route_to(session.peer).is_some());
        let mut sent = 0;
        if has_route || path == NO_PATH {
            let probe = Probe { value: session.probe(session.path.probed_by_route(), now_ns), fingerprint };
            sent += u64::from(self.send_on(tables, session, KIND_PROBE, &probe.emit()));
        }
        if path != NO_PATH && (with_path || !has_route) {
            // Its answer counts for the path as it is noted first: one that is set meanwhile has not answered this.
            let probe = Probe { value: session.probe(session.path.probed(), now_ns), fingerprint };
            sent += u64::from(self.send_to(tables, session, session.endpoint(), KIND_PROBE, &probe.emit()));
        }
        tables.counters.add(Counter::ProbesSent, sent);
    }

    /// Seals a body for one session and sends it, on the node's path or by its route, as [`Self::send`] does.
    pub fn send_on(&self, tables: &ForwardingTables, session: &Session, kind: u8, body: &[u8]) -> bool {
        match tables.route_to(session.peer) {
            None => {
                let inner = Inner { kind, checksum: None };
                self.seal_and_send(tables, session, session.endpoint(), session, inner, [body, &[]])
            }
            Some(Ok(next_hop)) => self.send_routed(tables, session, &next_hop, true, kind, body),
            Some(Err(reason)) => {
                tables.drops.count(reason);
                false
            }
        }
    }

    /// Seals a body for one session and sends it by the neighbour that has brought what it answers, while that is one.
    pub fn send_back_by(
        &self,
        tables: &ForwardingTables,
        session: &Session,
        neighbour: &Session,
        kind: u8,
        body: &[u8],
    ) -> bool {
        match tables.neighbour(neighbour.peer) {
            Ok(next_hop) => {
                let route = tables.route_to(session.peer).and_then(Result::ok);
                let is_counted = route.is_some_and(|route| route.peer == next_hop.peer);
                self.send_routed(tables, session, &next_hop, is_counted, kind, body)
            }
            Err(reason) => {
                tables.drops.count(reason);
                false
            }
        }
    }

    fn send_routed(
        &self,
        tables: &ForwardingTables,
        session: &Session,
        next_hop: &Session,
        is_counted: bool,
        kind: u8,
        body: &[u8],
    ) -> bool {
        let header = ForwardHeader::first(session.peer, tables.node_index);
        let by = Routed { session, next_hop, header, is_counted };
        let inner = Inner { kind, checksum: None };
        self.seal_and_send(tables, next_hop, next_hop.endpoint(), &by, inner, [body, &[]])
    }

    /// Seals a body for one session and sends it to where something came from: off its path no more than what came from there
    /// permits.
    pub fn send_to(&self, tables: &ForwardingTables, session: &Session, to: Endpoint, kind: u8, body: &[u8]) -> bool {
        if !session.path.may_send(to, SESSION_OVERHEAD + body.len()) {
            tables.drops.count(Reason::PathUnvalidated);
            return false;
        }
        self.seal_and_send(tables, session, to, session, Inner { kind, checksum: None }, [body, &[]])
    }

    /// Sends a handshake datagram for a node to a neighbour, which is to send it on.
    pub fn send_by(&self, tables: &ForwardingTables, neighbour: &Session, destination: u32, datagram: &[u8]) -> bool {
        let header = ForwardHeader::first(destination, tables.node_index).emit();
        let inner = Inner { kind: KIND_FORWARD, checksum: None };
        self.seal_and_send(tables, neighbour, neighbour.endpoint(), neighbour, inner, [&header, datagram])
    }

    fn seal_and_send(
        &self,
        tables: &ForwardingTables,
        on: &Session,
        to: Endpoint,
        by: &impl Seals,
        inner: Inner,
        body: [&[u8]; 2],
    ) -> bool {
        let mut buffer = [0; MAX_DATAGRAM_LEN];
        match by.seal_body(inner, body, &mut buffer) {
            Ok(length) => {
                let sent = self.send(tables, &buffer[..length], to);
                if sent {
                    on.traffic.tx.add(1, length as u64);
                }
                sent
            }
            Err(reason) => {
                tables.drops.count(reason);
                false
            }
        }
    }

    /// Sends an anchor to nodes, each with the counters that it gets by the tree; those without a session get nothing of that either.
    pub fn send_anchor(
        &self,
        tables: &ForwardingTables,
        anchor: &Anchor,
        served: impl IntoIterator<Item = (u32, CounterRange)>,
    ) {
        for (peer, range) in served {
            if let Ok(session) = tables.session_to(peer) {
                self.send_on(tables, &session, KIND_ANCHOR, &anchor.with(range).emit());
            }
        }
    }

    /// Asks the roots of trees for their anchors, where that is due.
    pub fn request_anchors(&self, tables: &ForwardingTables) {
        for mark in tables.anchor_requests.take() {
            if let Ok(session) = tables.session_to(mark.tree.root) {
                tables.counters.add(Counter::AnchorRequests, 1);
                self.send_on(tables, &session, KIND_ANCHOR_REQUEST, &mark.emit());
            }
        }
    }

    /// Takes over what the kernel has counted.
    pub fn note_overruns(&self, tables: &ForwardingTables) {
        tables.drops.set(Reason::SocketOverrun, self.all_sockets().map(Socket::overruns).sum());
    }

    /// Offloads that the kernel granted to all sockets, by name.
    pub fn offloads(&self) -> impl Iterator<Item = &'static str> {
        let granted = |has: fn(&Socket) -> bool| self.all_sockets().all(has) && self.all_sockets().next().is_some();
        [("udp-gso", granted(Socket::gso)), ("udp-gro", granted(Socket::gro))]
            .into_iter()
            .filter_map(|(name, granted)| granted.then_some(name))
    }

    /// The data socket for what goes to a peer at this address.
    pub fn data_socket(&self, peer: u32, to: &Endpoint) -> Option<SocketId> {
        let own = self.sockets.get(to.socket as usize)?.data_to(peer);
        Some((to.socket, Some(own)))
    }

    /// The control socket for what goes to this address.
    pub fn control_socket(&self, to: &Endpoint) -> Option<SocketId> {
        self.sockets.get(to.socket as usize).map(|_| (to.socket, None))
    }

    /// The socket of this id.
    pub fn socket(&self, (address, own): SocketId) -> Option<&Socket> {
        let group = self.sockets.get(address as usize)?;
        own.map_or(Some(group.control()), |own| group.data().get(own as usize))
    }

    fn all_sockets(&self) -> impl Iterator<Item = &Socket> {
        self.sockets.iter().flat_map(SocketGroup::all)
    }
}

fn send_by(socket: &Socket, tables: &ForwardingTables, datagram: &[u8], to: Endpoint) -> Result<(), Reason> {
    for _ in 0..2 {
        match socket.send_to(datagram, &to.address) {
            Ok(()) => {
                tables.counters.add(Counter::UdpSends, 1);
                tables.counters.add(Counter::UdpTxDatagrams, 1);
                tables.counters.add(Counter::UdpTxBytes, datagram.len() as u64);
                return Ok(());
            }
            // An ICMP error of an earlier datagram, or a signal: the second attempt is this datagram's own.
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(send_reason(&error)),
        }
    }
    Err(Reason::SocketUnreachable)
}

/// Worth a second attempt at once.
pub fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECONNREFUSED | libc::EPROTO))
}

/// The drop reason of a failed send.
pub fn send_reason(error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Reason::SocketFull,
        Some(libc::EMSGSIZE) => Reason::SocketTooBig,
        Some(
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EPERM
            | libc::EACCES
            | libc::EAFNOSUPPORT
            | libc::EADDRNOTAVAIL
            | libc::ECONNREFUSED
            | libc::EINVAL,
        ) => Reason::SocketUnreachable,
        _ => Reason::SocketOther,
    }
}
