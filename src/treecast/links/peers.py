"""Peers and their sessions: at most three each, the newest confirmed one in use (``docs/protocol.md`` section 3).

Decides which session is old, dead or suspect. Ending a link is ``sessions``'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.events import AnyHandshake, ForwardedHandshake, HandshakeDatagram, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.identity.certificate import Certificate
from treecast.links.crypto import LinkSecret
from treecast.links.exchange import Exchange
from treecast.links.handshake_channels import Forwarded, HandshakeChannel, HandshakeCommand, InSession, OutOfSession
from treecast.links.node_route_window import NodeRouteWindow
from treecast.links.states import LINK, SESSION, LinkState, PeerEvent, SessionEvent, SessionState
from treecast.links.target import Target
from treecast.wire.handshake import HandshakePayload

REKEY_AFTER: Duration = 120.0
REKEY_JITTER = (0.9, 1.0)
"""Links that came up together are not all made anew within one second."""
RESPONDER_PATIENCE: Duration = 10.0
OUTSIDE_AFTER: Duration = 150.0
"""Handshakes inside the session have come to nothing: somebody may know them by their length, and drop them."""
REJECT_AFTER: Duration = 180.0
REKEY_AFTER_DATAGRAMS = 2**25
"""AES-GCM: 2^25 of the longest datagrams are 2^34.1 blocks, below the 2^34.5 of RFC 8446 section 5.5."""

SUSPECT_AFTER: Duration = 3.0
"""A probe of 2 s and its answer are missing. A peer that has restarted and knows nobody answers a new handshake."""

CLOCK_SET: Duration = 5.0
"""A wall clock that has moved by so much against the monotonic one was set: peers learn of it by a handshake."""

DEAD_AFTER: Duration = 7.0
"""Three probes of 2 s without a sign of life, and some."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where the datagrams for a node go: by which of this node's sockets, to which address."""

    socket: int
    endpoint: Endpoint


@dataclass(slots=True)
class Session:
    state: SessionState
    index: int
    initiated: bool
    established_at: Instant
    channel: HandshakeChannel
    """The channel of its handshake."""
    final: HandshakeCommand | None = None
    """The command that sends FINAL again, until the session is confirmed."""
    finals: int = 1
    """How many FINALs were sent."""
    rekey_after: Duration = REKEY_AFTER
    hybrid: bool = False
    """Its keys are made of the link secret, too."""

    @property
    def confirmed(self) -> bool:
        return self.state is SessionState.CONFIRMED

    def take(self, event: SessionEvent) -> None:
        self.state = SESSION.after(self.state, event)

    def wants_rekey(self, now: Instant, sealed: int) -> bool:
        patience = 0.0 if self.initiated else RESPONDER_PATIENCE
        return now - self.established_at >= self.rekey_after + patience or sealed >= REKEY_AFTER_DATAGRAMS


@dataclass(slots=True)
class Peer:
    """A node with at least one session, and the state of the link to it."""

    node: NodeIndex
    certificate: Certificate
    epoch_ms: int
    path: Path | None
    """All its sessions use it, and the next ones too. None: it never had one."""
    state: LinkState = LinkState.DOWN
    version: str = ""
    underlay_mtu: int = 1500
    unix_offset_s: float = 0.0
    """Its wall clock minus this node's monotonic one, at its last handshake."""
    known_offset_s: float = 0.0
    """This node's own wall clock minus its monotonic one, as the peer knows it from the last handshake."""
    via: NodeIndex | None = None
    """The neighbour by which all for it goes: the next hop of its route; None: it has a path."""
    window: NodeRouteWindow | None = None
    """Measurements of its route, if it has one."""
    is_neighbour: bool = True
    """Whether other rooms count on a path to it."""
    sought: Target | None = None
    """The target of a handshake outside of its sessions, as it may have forgotten them."""
    is_suspect: bool = False
    """Nothing came from it for SUSPECT_AFTER: it may have forgotten its newest session."""
    sessions: list[Session] = field(default_factory=list)
    exchange: Exchange = field(default_factory=Exchange)

    @property
    def up(self) -> bool:
        return self.state is LinkState.UP

    def goes_outside(self, now: Instant) -> bool:
        """Whether the next handshake with it goes outside of its sessions."""
        return self.is_suspect or now - self.sessions[-1].established_at >= OUTSIDE_AFTER

    def take(self, event: PeerEvent) -> bool:
        """Whether the link has come up or gone down with it."""
        was_up, self.state = self.up, LINK.after(self.state, event)
        return self.up is not was_up

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it is, or was when it last had a path."""
        return self.path.endpoint if self.path is not None else None

    @property
    def first_hop(self) -> Path:
        """Where what is sent to it goes at first: to itself, or to the neighbour that sends it on."""
        channel = self.sessions[-1].channel
        return self.path if self.path is not None and self.via is None else Path(channel.socket, channel.endpoint)

    def learned(self, now: Instant, certificate: Certificate, payload: HandshakePayload, own_offset_s: float) -> None:
        """Take its certificate and payload from a handshake, which had this node's own clock, too."""
        self.certificate, self.version, self.underlay_mtu = certificate, payload.version, payload.underlay_mtu
        self.unix_offset_s, self.known_offset_s = payload.clock_ms / 1000 - now, own_offset_s

    def needs_clock(self, own_offset_s: float) -> bool:
        """Whether this node's clock was set since the peer learned it."""
        return abs(own_offset_s - self.known_offset_s) >= CLOCK_SET and self.sessions[-1].confirmed

    def wants_hybrid(self) -> bool:
        """Whether both sides have a link secret that is not in the keys of their newest session."""
        newest = self.sessions[-1]
        return self.exchange.secret is not None and newest.confirmed and not newest.hybrid

    @property
    def current(self) -> Session:
        """The newest confirmed session, or the newest."""
        for session in reversed(self.sessions):
            if session.state is SessionState.CONFIRMED:
                return session
        return self.sessions[-1]

    @property
    def dispensable(self) -> Session:
        """The oldest one that is not in use."""
        current = self.current
        return next(session for session in self.sessions if session is not current)

    def session(self, index: int) -> Session | None:
        return next((session for session in self.sessions if session.index == index), None)


class Peers:
    """All nodes that this one has a session with."""

    def __init__(self) -> None:
        self._peers: dict[NodeIndex, Peer] = {}
        self._indices: set[int] = set()
        """The indices of all sessions: this node makes its ends of them, so that each is there once."""
        self.session_changes = 0
        """Sessions that were added, confirmed or removed so far, and paths that have moved."""

    def __contains__(self, node: NodeIndex) -> bool:
        return node in self._peers

    def __iter__(self) -> Iterator[Peer]:
        """Peers by node index; the table may change meanwhile."""
        yield from [self._peers[node] for node in sorted(self._peers)]

    def get(self, node: NodeIndex) -> Peer | None:
        return self._peers.get(node)

    def add(self, peer: Peer) -> None:
        self._peers[peer.node] = peer

    def remove(self, node: NodeIndex) -> None:
        peer = self._peers.pop(node)
        self.session_changes += 1
        self._indices.difference_update(session.index for session in peer.sessions)

    def add_session(self, peer: Peer, session: Session) -> None:
        """A session with a peer that is here."""
        peer.sessions.append(session)
        self.session_changes += 1
        self._indices.add(session.index)

    def remove_session(self, peer: Peer, session: Session) -> None:
        peer.sessions.remove(session)
        self.session_changes += 1
        self._indices.discard(session.index)

    def session(self, node: NodeIndex, index: int) -> Session | None:
        peer = self._peers.get(node)
        return peer.session(index) if peer else None

    def is_probed_at(self, node: NodeIndex, endpoints: Collection[Endpoint]) -> bool:
        """Whether the node has a session, and a path, or one at each of these places that is probed on."""
        peer = self._peers.get(node)
        if peer is None:
            return False
        return peer.via is None or (peer.path is not None and all(each == peer.endpoint for each in endpoints))

    def linked_at(self) -> Iterator[Endpoint]:
        """Where the nodes are to which a link is up by a path."""
        for peer in self._peers.values():
            if peer.up and peer.via is None and peer.endpoint is not None:
                yield peer.endpoint

    def forwarded_by(self, neighbour: NodeIndex, node: NodeIndex) -> Forwarded | None:
        """The channel to a node by a neighbour; None where that is linked no more, or has no path itself."""
        peer = self._peers.get(neighbour)
        if peer is None or not peer.up or peer.via is not None:
            return None
        return Forwarded(node, neighbour, peer.first_hop.socket, peer.first_hop.endpoint)

    def channel_of(self, event: AnyHandshake) -> HandshakeChannel | None:
        """The channel in which a handshake datagram came; None where its session has ended."""
        if isinstance(event, HandshakeDatagram):
            return OutOfSession(event.socket, event.source)
        if isinstance(event, ForwardedHandshake):
            return self.forwarded_by(event.neighbour, event.source)
        peer = self._peers.get(event.peer)
        if peer is None or peer.session(event.session) is None:
            return None
        return InSession(event.peer, peer.first_hop.socket, peer.first_hop.endpoint)

    def secret_of(self, channel: HandshakeChannel) -> LinkSecret | None:
        """The link secret for a handshake in this channel: there is none outside of sessions."""
        peer = self._peers.get(channel.peer) if channel.peer is not None else None
        return peer.exchange.secret if peer is not None else None

    def index_in_use(self, index: int) -> bool:
        return index in self._indices


def is_silent(peer: Peer, reports: Mapping[int, SessionReport]) -> bool:
    """Whether nothing authentic came from the peer for so long that it is dead.

    Sessions that it does not confirm show no life: a node that refuses this one answers each INIT.
    """
    known = False
    for session in peer.sessions:
        if session.state is SessionState.CONFIRMED and (report := reports.get(session.index)) is not None:
            if report.silent_s < DEAD_AFTER:
                return False
            known = True
    return known


def wants_handshake(now: Instant, peer: Peer, report: SessionReport | None) -> bool:
    """Whether its newest session is to be followed by another: it is old, or the peer may have forgotten it."""
    newest = peer.sessions[-1]
    return newest.confirmed and (peer.is_suspect or newest.wants_rekey(now, report.sealed if report else 0))
