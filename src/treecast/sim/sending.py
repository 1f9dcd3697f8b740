"""The model's way out: what is sealed in which session, and where it goes: on a node's path, by its route, or back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from treecast.base import events as e
from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ChallengePath
from treecast.sim.datagrams import UDP_BYTES, Forward, PathChallenge, SessionDatagram, kind_and_bytes
from treecast.sim.sessions import ModelSession, Sessions
from treecast.sim.tables import ForwardingTables
from treecast.sim.underlay import Underlay

HOP_LIMIT = 8
"""Links that a Forward takes at most, as in the real one (docs/protocol.md section 4)."""


@dataclass(slots=True, kw_only=True)
class Sending(ForwardingTables):
    """One node's sessions and tables, by which it sends."""

    me: NodeIndex
    endpoint: Endpoint
    underlay: Underlay
    raise_event: Callable[[e.Event], None]
    drops: Counter[str] = field(default_factory=Counter)
    sessions: Sessions = field(default_factory=Sessions)

    def _next_hop(self, node: NodeIndex) -> NodeIndex:
        return self.node_routes.get(node, node)

    def _neighbour(self, node: NodeIndex) -> ModelSession | None:
        """The session with a node that has a path."""
        session = self.sessions.current(node)
        if session is None or node in self.node_routes:
            return None
        return session if self.sessions.path(node).endpoint is not None else None

    def _seal(self, peer: NodeIndex, body: object) -> None:
        session = self.sessions.current(peer)
        if session is None:
            self.drops["no_session"] += 1
            return
        self._seal_in(session, body)

    def _seal_in(self, session: ModelSession, body: object) -> None:
        """On the node's path, or by its route."""
        peer = session.peer
        session.sealed += 1
        datagram = SessionDatagram(session.remote_index, session.sealed, body, session.link_secret)
        if peer in self.node_routes:
            self._seal_for(self.node_routes[peer], Forward(peer, self.me, HOP_LIMIT, datagram))
        else:
            self._send(self.sessions.path(peer).endpoint, datagram)

    def _seal_to(self, session: ModelSession, to: Endpoint | None, body: object) -> None:
        """To where something came from; None: a neighbour has brought it."""
        path = self.sessions.path(session.peer)
        if to is None:
            self._seal_in(session, body)
            return
        datagram = SessionDatagram(session.remote_index, session.sealed + 1, body, session.link_secret)
        if to != path.endpoint and not path.may_send(to, _size(datagram)):
            self.drops["path_unvalidated"] += 1
            return
        session.sealed += 1
        self._send(to, datagram)

    def _seal_for(self, neighbour: NodeIndex, forward: Forward) -> None:
        session = self._neighbour(neighbour)
        if session is None:
            self.drops["forward_no_route"] += 1
            return
        session.sealed += 1
        datagram = SessionDatagram(session.remote_index, session.sealed, forward, session.link_secret)
        self._send(self.sessions.path(neighbour).endpoint, datagram)

    def _send(self, endpoint: Endpoint | None, datagram: object) -> None:
        if endpoint is None:
            self.drops["socket_unreachable"] += 1
        else:
            self.underlay.send(self.endpoint, endpoint, datagram)

    def _heard_elsewhere(self, source: Endpoint, session: ModelSession, datagram: SessionDatagram) -> None:
        if self.sessions.path(session.peer).heard(source, _size(datagram), self.underlay.now):
            self.raise_event(e.PathSeen(session.peer, datagram.receiver_index, 0, source))

    def _path_answered(self, peer: NodeIndex, session: int, value: int) -> None:
        endpoint = self.sessions.path(peer).answered(value)
        if endpoint is None:
            self.drops["path_response_unexpected"] += 1
        else:
            self.raise_event(e.PathAnswered(peer, session, 0, endpoint))

    def _challenge(self, command: ChallengePath) -> None:
        session = self.sessions.current(command.peer)
        if session is None:
            self.drops["no_session"] += 1
            return
        self.sessions.path(command.peer).challenge(command.endpoint, command.value)
        self._seal_to(session, command.endpoint, PathChallenge(command.value))


def _size(datagram: SessionDatagram) -> int:
    """Bytes of the real one's UDP payload."""
    return kind_and_bytes(datagram)[1] - UDP_BYTES
