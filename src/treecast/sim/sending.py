"""The model's egress: what is sealed in which session, and where it goes: on a node's path, by its route, or back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from treecast.base import events as e
from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ChallengePath
from treecast.sim.datagrams import (
    UDP_BYTES,
    Forward,
    PathChallenge,
    Probe,
    SessionDatagram,
    is_path_control,
    kind_and_bytes,
)
from treecast.sim.paths import ProbedVia
from treecast.sim.sessions import ModelSession, Sessions
from treecast.sim.tables import ForwardingTables
from treecast.sim.underlay import Underlay

HOP_LIMIT = 8
"""Links that a Forward takes at most, as in the real one (docs/protocol.md section 4)."""
OUTSTANDING_PROBES = 16
"""Probes of a session whose reply is still believed."""


@dataclass(slots=True, kw_only=True)
class Sending(ForwardingTables):
    """One node's sessions and tables, by which it sends."""

    me: NodeIndex
    endpoint: Endpoint
    underlay: Underlay
    raise_event: Callable[[e.Event], None]
    drops: Counter[str] = field(default_factory=Counter)
    sessions: Sessions = field(default_factory=Sessions)
    probed: int = 0
    """Probes so far."""

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
        """Sends on the node's path, or by its route."""
        peer = session.peer
        if peer in self.node_routes:
            self._seal_routed(session, self.node_routes[peer], body)
        else:
            self._seal_on_path(session, body)

    def _seal_on_path(self, session: ModelSession, body: object) -> None:
        session.sealed += 1
        datagram = SessionDatagram(session.remote_index, session.sealed, body, session.link_secret)
        self._send(session.peer, self.sessions.path(session.peer).endpoint, datagram)

    def _seal_back(
        self, session: ModelSession, to: Endpoint | None, brought_by: NodeIndex | None, body: object
    ) -> None:
        """Sends to where something came from, or by the neighbour that has brought it."""
        if to is not None:
            self._seal_to(session, to, body)
        elif brought_by is not None:
            self._seal_routed(session, brought_by, body)

    def _seal_routed(self, session: ModelSession, next_hop: NodeIndex, body: object) -> None:
        session.sealed += 1
        session.routed += self.node_routes.get(session.peer) == next_hop and not is_path_control(body)
        datagram = SessionDatagram(session.remote_index, session.sealed, body, session.link_secret)
        self.count_carried(session.peer, datagram)
        self._seal_for(next_hop, Forward(session.peer, self.me, HOP_LIMIT, datagram))

    def _probe(self, peer: NodeIndex, fingerprint: int, *, with_path: bool = False) -> None:
        """Probe a node on its path, and by its route where it has one; the path that it stands in for ``with_path``."""
        session = self.sessions.current(peer)
        if session is None:
            self.drops["no_session"] += 1
            return
        path = self.sessions.path(peer)
        if peer in self.node_routes:
            probe = self._new_probe(session, path.probed(by_route=True), fingerprint)
            self._seal_routed(session, self.node_routes[peer], probe)
        if path.endpoint is not None and (with_path or peer not in self.node_routes):
            self._seal_to(session, path.endpoint, self._new_probe(session, path.probed(by_route=False), fingerprint))

    def _new_probe(self, session: ModelSession, via: ProbedVia, fingerprint: int) -> Probe:
        """Its value is never used twice: in the model that is as good as one by chance."""
        self.probed += 1
        if len(session.probes) >= OUTSTANDING_PROBES:
            session.probes.pop(next(iter(session.probes)))
        session.probes[self.probed] = via, session.routed, self.underlay.now
        return Probe(False, fingerprint, self.probed)

    def _reply_counts(self, index: int, session: ModelSession, value: int, came: int) -> bool:
        if value not in session.probes:
            self.drops["probe_unexpected"] += 1
            return False
        via, sent, sent_at = session.probes.pop(value)
        session.measured(self.underlay.now - sent_at)
        receipt = e.NodeRouteReceipt(index, sent, came)
        self.sessions.path(session.peer).probe_answered(via, self.underlay.now, receipt)
        return True

    def _seal_to(self, session: ModelSession, to: Endpoint, body: object) -> None:
        """Sends to an address: off the path no more than what came from there permits."""
        path = self.sessions.path(session.peer)
        datagram = SessionDatagram(session.remote_index, session.sealed + 1, body, session.link_secret)
        if to != path.endpoint and not path.may_send(to, _size(datagram)):
            self.drops["path_unvalidated"] += 1
            return
        session.sealed += 1
        self._send(session.peer, to, datagram)

    def _seal_for(self, neighbour: NodeIndex, forward: Forward) -> None:
        session = self._neighbour(neighbour)
        if session is None:
            self.drops["forward_no_route"] += 1
            return
        session.sealed += 1
        datagram = SessionDatagram(session.remote_index, session.sealed, forward, session.link_secret)
        self._send(neighbour, self.sessions.path(neighbour).endpoint, datagram)

    def _send(self, peer: NodeIndex, endpoint: Endpoint | None, datagram: object) -> None:
        if endpoint is None:
            self.drops["socket_unreachable"] += 1
        else:
            self.count_carried(peer, datagram)
            self.underlay.send(self.endpoint, endpoint, datagram)

    def count_carried(self, peer: NodeIndex, datagram: object) -> None:
        """A datagram has come from a node, or goes to it."""
        self.sessions.carried_bytes[peer] += max(_size(datagram), 0)

    def _receive_at_path(self, source: Endpoint, session: ModelSession, datagram: SessionDatagram) -> None:
        if self.sessions.path(session.peer).receive(source, _size(datagram), self.underlay.now):
            self.raise_event(e.PathSeen(session.peer, datagram.receiver_index, 0, source))

    def _note_received(self, session: ModelSession, datagram: SessionDatagram) -> None:
        session.received_at = self.underlay.now
        session.came += not is_path_control(datagram.body)
        self.count_carried(session.peer, datagram)

    def _report(self, index: int, one: ModelSession, datagram_weight: int) -> e.SessionReport:
        now, path = self.underlay.now, self.sessions.path(one.peer)
        return e.SessionReport(
            session=index,
            peer=one.peer,
            age_s=now - one.since,
            silent_s=now - one.received_at,
            rtt_ms=None if one.rtt_s is None else 1000 * one.rtt_s,
            sealed=one.sealed * datagram_weight,
            path_silent_s=now - path.received_at,
            path_unanswered=path.unanswered,
            node_route_unanswered=path.unanswered_by_route,
            least_rtt_ms=1000 * min(one.recent_rtts_s) if one.recent_rtts_s else None,
            route_silent_s=now - path.received_by_route_at,
            routed=one.routed,
            receipt=path.receipt,
            carried_bytes=self.sessions.carried_bytes[one.peer],
        )

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


def _size(datagram: object) -> int:
    """Bytes of the real one's UDP payload."""
    return kind_and_bytes(datagram)[1] - UDP_BYTES
