"""Links: handshakes with other nodes, and what becomes of the sessions they make.

Decides when to begin, repeat and give up a handshake, whom to believe, when to rekey, and when a peer is dead. Never
touches a key or a socket. Read ``docs/protocol.md`` section 3 first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.commands import Command, ForgetPeer, InstallSession, RemoveSession, SendDatagram
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.events import HandshakeDatagram, PeerMoved, SessionConfirmed, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after, earliest
from treecast.identity.certificate import Certificate
from treecast.links.crypto import Handshake, HandshakeMaker
from treecast.links.sessions import DEAD_AFTER, MAX_SESSIONS, REJECT_AFTER, SUSPECT_AFTER, Peer, Session
from treecast.links.targets import FIRST_INIT_INTERVAL, Attempt, Target
from treecast.wire.handshake import (
    HandshakePayload,
    HandshakeType,
    emit_payload,
    handshake_type,
    parse_payload,
    receiver_index,
)

MAX_PENDING = 256
PENDING_LIFETIME: Duration = 5.0
FINAL_INTERVAL: Duration = 0.25
CONFIRM_LIMIT: Duration = 5.0
HIGHER_INDEX_DELAY: Duration = 1.5
"""Of two nodes that learn of each other the lower index begins; the other one only if that came to nothing."""
GOODBYE_PAUSE: Duration = 5.0
UNREACHED_AFTER: Duration = 5.0
"""A configured peer that has no link for so long is a problem: three handshakes of an honest path fit."""
REFUSAL_PAUSE: Duration = 2.0
"""After an answer from somebody who is no member: whoever it is does not set the pace."""

AEAD_AES_256_GCM = 1
AEAD_CHACHA20_POLY1305 = 2


@dataclass(frozen=True, slots=True)
class LinkUp:
    peer: NodeIndex
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: NodeIndex
    reason: str


LinkEvent = LinkUp | LinkDown


@dataclass(slots=True)
class _Pending:
    """A handshake that somebody else began: bounded, short-lived, changes nothing until FINAL is verified."""

    handshake: Handshake
    init: bytes
    response: bytes
    expires_at: Instant


class Links:
    """One node's links. Methods append to ``commands`` and ``events``; the caller empties both."""

    def __init__(
        self,
        *,
        me: HandshakePayload,
        my_index: NodeIndex,
        maker: HandshakeMaker,
        families: Sequence[int],
        verify_certificate: Callable[[bytes], Certificate],
        rng: Random,
        drops: Drops,
    ) -> None:
        """``families``: the IP version of each of the data plane's sockets, in their order."""
        self._me = me
        self._my_index = my_index
        self._maker = maker
        self._families = tuple(families)
        self._verify_certificate = verify_certificate
        self._rng = rng
        self._drops = drops
        self._configured: dict[str, Target] = {}
        self._learned: dict[NodeIndex, Target] = {}
        self._attempts: dict[int, Attempt] = {}
        self._pending: dict[int, _Pending] = {}
        self._pending_by_init: dict[bytes, int] = {}
        self._peers: dict[NodeIndex, Peer] = {}
        self.commands: list[Command] = []
        self.events: list[LinkEvent] = []

    # whom to reach

    def configure(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> None:
        """A peer that the operator named; reached until the node stops. Call again when its addresses change."""
        target = self._configured.setdefault(name, Target(name, None, endpoints, now))
        target.moved(endpoints)

    def learn(self, now: Instant, node: NodeIndex, endpoints: tuple[Endpoint, ...]) -> None:
        """A node that Broadcast told of."""
        if node == self._my_index:
            return
        delay = 0.0 if self._my_index < node else HIGHER_INDEX_DELAY
        usable = tuple(endpoint for endpoint in endpoints if _is_usable(endpoint))
        target = self._learned.setdefault(node, Target(None, node, usable, after(now, delay)))
        target.moved(usable)

    def forget(self, node: NodeIndex) -> None:
        """Broadcast has forgotten the node. A link that is up stays."""
        target = self._learned.pop(node, None)
        self._drop_attempts(lambda attempt: attempt.target is target)

    def seeking(self) -> list[str]:
        """Configured peers without a link."""
        return [name for name, target in sorted(self._configured.items()) if not self._is_reached(target)]

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Configured peers that have not been reached for a while."""
        for name, target in sorted(self._configured.items()):
            if self._is_reached(target):
                target.sought_since = None
                continue
            target.sought_since = now if target.sought_since is None else target.sought_since
            if now - target.sought_since >= UNREACHED_AFTER:
                tried = ", ".join(str(endpoint) for endpoint in target.endpoints)
                yield Problem(
                    "peer_unreachable",
                    name,
                    f"peer {name} does not answer (tried {tried}): check that a node of this network runs there, the "
                    f"address and port, and that firewalls let UDP through",
                )

    def peers(self) -> list[Peer]:
        """The peers whose link is up, by node index."""
        return [self._peers[node] for node in sorted(self._peers) if self._peers[node].up]

    # what arrives

    def receive(self, now: Instant, datagram: HandshakeDatagram) -> None:
        """A handshake datagram with a good MAC."""
        try:
            match handshake_type(datagram.data):
                case HandshakeType.INIT:
                    self._receive_init(now, datagram)
                case HandshakeType.RESPONSE:
                    self._receive_response(now, datagram)
                case HandshakeType.FINAL:
                    self._receive_final(now, datagram)
        except MalformedError as error:
            self._drops.count(error.reason)

    def _receive_init(self, now: Instant, datagram: HandshakeDatagram) -> None:
        known = self._pending_by_init.get(datagram.data)
        if known is not None:
            self._send(datagram.socket, datagram.source, self._pending[known].response)
            return
        if any(attempt.init == datagram.data for attempt in self._attempts.values()):
            raise MalformedError("handshake_reflected")
        if len(self._pending) >= MAX_PENDING:
            raise MalformedError("handshake_table_full")
        handshake = self._maker.respond(self._new_index(), datagram.data)
        response = handshake.write_response(emit_payload(self._me))
        self._pending[handshake.index] = _Pending(handshake, datagram.data, response, after(now, PENDING_LIFETIME))
        self._pending_by_init[datagram.data] = handshake.index
        self._send(datagram.socket, datagram.source, response)

    def _receive_response(self, now: Instant, datagram: HandshakeDatagram) -> None:
        attempt = self._attempts.get(receiver_index(datagram.data))
        if attempt is None:
            raise MalformedError("handshake_unknown")
        payload_bytes = attempt.handshake.read_response(datagram.data)
        try:
            payload, certificate = self._authenticate(attempt.handshake, payload_bytes)
            self._check_expected(attempt.target, certificate, datagram.source)
        except MalformedError:  # the handshake has taken its response, and there is no other one
            del self._attempts[attempt.handshake.index]
            attempt.target.next_try = after(now, REFUSAL_PAUSE)
            raise
        final = attempt.handshake.write_final(emit_payload(self._me))
        self._drop_attempts(lambda other: other.target is attempt.target)
        if attempt.target.name is not None:
            attempt.target.node = certificate.node_index
        session = Session(attempt.handshake.index, True, False, now, datagram.socket, datagram.source, final)
        self._install(now, attempt.handshake, payload, certificate, session)
        session.next_final = after(now, FINAL_INTERVAL)
        self._send(datagram.socket, datagram.source, final)

    def _check_expected(self, target: Target, certificate: Certificate, source: Endpoint) -> None:
        """Where a node was said to be there may be another one, by mistake or by malice."""
        if target.name is None and certificate.node_index != target.node:
            target.avoided.add(source)
            raise MalformedError("handshake_with_another_node")

    def _receive_final(self, now: Instant, datagram: HandshakeDatagram) -> None:
        index = receiver_index(datagram.data)
        pending = self._pending.get(index)
        if pending is None:
            raise MalformedError("handshake_unknown")
        payload_bytes = pending.handshake.read_final(datagram.data)
        self._drop_pending(index)
        payload, certificate = self._authenticate(pending.handshake, payload_bytes)
        session = Session(index, False, True, now, datagram.socket, datagram.source)
        self._install(now, pending.handshake, payload, certificate, session)
        self._up(certificate.node_index)

    def _authenticate(self, handshake: Handshake, payload_bytes: bytes) -> tuple[HandshakePayload, Certificate]:
        payload = parse_payload(payload_bytes)
        certificate = self._verify_certificate(payload.certificate)
        if certificate.static_key != handshake.remote_static:
            raise MalformedError("handshake_not_its_certificate")
        if certificate.node_index == self._my_index:
            raise MalformedError("handshake_with_myself")
        return payload, certificate

    def _install(
        self, now: Instant, handshake: Handshake, payload: HandshakePayload, certificate: Certificate, session: Session
    ) -> None:
        node = certificate.node_index
        peer = self._peers.get(node)
        if peer is not None and peer.epoch_ms != payload.epoch_ms:
            self._down(now, peer, "restarted", pause=0.0)
            peer = None
        if peer is None:
            peer = self._peers[node] = Peer(node, certificate, payload.epoch_ms)
        peer.certificate = certificate
        peer.sessions.append(session)
        while len(peer.sessions) > MAX_SESSIONS:
            self._remove_session(peer, peer.sessions[0])
        aead = AEAD_AES_256_GCM if {payload.aead, self._me.aead} == {AEAD_AES_256_GCM} else AEAD_CHACHA20_POLY1305
        self.commands.append(InstallSession(handshake, node, session.socket, session.endpoint, aead, session.confirmed))

    def confirmed(self, event: SessionConfirmed) -> None:
        """The first authentic datagram of a session: the other side has it too."""
        peer = self._peers.get(event.peer)
        session = peer.session(event.session) if peer else None
        if session is not None:
            session.confirmed = True
            session.final = session.next_final = None
            self._up(event.peer)

    def moved(self, event: PeerMoved) -> None:
        """An authentic, fresh datagram came from a new address."""
        peer = self._peers.get(event.peer)
        session = peer.session(event.session) if peer else None
        if session is not None:
            session.endpoint = event.endpoint

    def goodbye(self, now: Instant, node: NodeIndex, session: int) -> None:
        """The peer said on a session that it goes down; late, on a session that has ended, it means nothing."""
        peer = self._peers.get(node)
        if peer is not None and peer.session(session) is not None:
            self._down(now, peer, "goodbye", pause=GOODBYE_PAUSE)

    def cut(self, now: Instant, node: NodeIndex, reason: str) -> None:
        """End the link: the peer may no longer be here."""
        peer = self._peers.get(node)
        if peer is not None:
            self._down(now, peer, reason, pause=GOODBYE_PAUSE)

    def review(self, now: Instant, reports: Sequence[SessionReport]) -> None:
        """The data plane's measurements, about once a second: finds the dead, rekeys the old and the suspect."""
        by_session = {report.session: report for report in reports}
        for node in sorted(self._peers):
            peer = self._peers[node]
            known = [by_session[session.index] for session in peer.sessions if session.index in by_session]
            if known and min(report.silent_s for report in known) >= DEAD_AFTER:
                self._down(now, peer, "silent", pause=0.0)
                continue
            for session in list(peer.sessions):
                if now - session.established_at >= REJECT_AFTER:
                    self._remove_session(peer, session)
            if not peer.sessions:
                self._down(now, peer, "expired", pause=0.0)
                continue
            self._rekey_if_due(now, peer, by_session)

    def _rekey_if_due(self, now: Instant, peer: Peer, reports: dict[int, SessionReport]) -> None:
        newest = peer.sessions[-1]
        report = reports.get(newest.index)
        suspect = report is not None and report.silent_s >= SUSPECT_AFTER
        if not newest.confirmed or not (suspect or newest.wants_rekey(now, report.sealed if report else 0)):
            return
        if any(attempt.target.node == peer.node for attempt in self._attempts.values()):
            return
        self._begin(now, Target(None, peer.node, (newest.endpoint,), now))

    # time

    def advance(self, now: Instant) -> None:
        """Begin, repeat and give up what is due."""
        for index in [index for index, pending in self._pending.items() if pending.expires_at <= now]:
            self._drop_pending(index)
        self._drop_attempts(lambda attempt: attempt.is_over(now))
        for target in self._due_targets(now):
            self._begin(now, target)
        for attempt in self._attempts.values():
            if now >= attempt.next_init:
                attempt.sent(now)
                self._send_to_all(attempt.target.worth_trying, attempt.init)
        for peer in list(self._peers.values()):
            for session in list(peer.sessions):
                self._repeat_final(now, peer, session)

    def _due_targets(self, now: Instant) -> list[Target]:
        trying = {id(attempt.target) for attempt in self._attempts.values()}
        due: list[Target] = []
        for target in [*self._learned.values(), *self._configured.values()]:
            if target.next_try > now or id(target) in trying or self._is_reached(target):
                continue
            if target.name is not None and target.node in self._learned:
                continue  # the node is a target of its own
            due.append(target)
        return due

    def _repeat_final(self, now: Instant, peer: Peer, session: Session) -> None:
        if session.final is None or session.next_final is None or now < session.next_final:
            return
        if now - session.established_at >= CONFIRM_LIMIT:
            self._remove_session(peer, session)
            if not peer.sessions:
                self._down(now, peer, "unconfirmed", pause=0.0)
            return
        session.next_final = after(now, FINAL_INTERVAL)
        self._send(session.socket, session.endpoint, session.final)

    def next_deadline(self) -> Instant | None:
        targets = [*self._learned.values(), *self._configured.values()]
        trying = {id(attempt.target) for attempt in self._attempts.values()}
        return earliest(
            *(
                t.next_try
                for t in targets
                if id(t) not in trying and not self._is_reached(t) and self._is_own_target(t)
            ),
            *(attempt.next_init for attempt in self._attempts.values()),
            *(pending.expires_at for pending in self._pending.values()),
            *(session.next_final for peer in self._peers.values() for session in peer.sessions),
        )

    # parts

    def _is_own_target(self, target: Target) -> bool:
        return target.name is None or target.node not in self._learned

    def _is_reached(self, target: Target) -> bool:
        return target.node is not None and target.node in self._peers

    def _begin(self, now: Instant, target: Target) -> None:
        handshake = self._maker.initiate(self._new_index())
        attempt = Attempt(target, handshake, handshake.init_datagram(), now, after(now, FIRST_INIT_INTERVAL))
        self._attempts[handshake.index] = attempt
        self._send_to_all(target.worth_trying, attempt.init)

    def _up(self, node: NodeIndex) -> None:
        peer = self._peers[node]
        if not peer.up:
            peer.up = True
            self.events.append(LinkUp(node, peer.certificate))

    def _down(self, now: Instant, peer: Peer, reason: str, pause: Duration) -> None:
        del self._peers[peer.node]
        self.commands.append(ForgetPeer(peer.node))
        for target in [self._learned.get(peer.node), *self._configured.values()]:
            if target is not None and target.node == peer.node:
                target.next_try = after(now, pause)
        if peer.up:
            self.events.append(LinkDown(peer.node, reason))

    def _remove_session(self, peer: Peer, session: Session) -> None:
        peer.sessions.remove(session)
        self.commands.append(RemoveSession(session.index))

    def _drop_pending(self, index: int) -> None:
        del self._pending_by_init[self._pending.pop(index).init]

    def _drop_attempts(self, is_over: Callable[[Attempt], bool]) -> None:
        for index in [index for index, attempt in self._attempts.items() if is_over(attempt)]:
            del self._attempts[index]

    def _send_to_all(self, endpoints: tuple[Endpoint, ...], data: bytes) -> None:
        for endpoint in endpoints:
            if endpoint.address.version in self._families:
                self._send(self._families.index(endpoint.address.version), endpoint, data)

    def _send(self, socket: int, endpoint: Endpoint, data: bytes) -> None:
        self.commands.append(SendDatagram(socket, endpoint, data))

    def _new_index(self) -> int:
        while True:
            index = self._rng.getrandbits(32)
            in_use = index in self._attempts or index in self._pending
            if index and not in_use and not any(peer.session(index) for peer in self._peers.values()):
                return index


def _is_usable(endpoint: Endpoint) -> bool:
    """Another node's word for where it is: nothing that one datagram could reach many by."""
    address = endpoint.address
    return bool(endpoint.port) and not (address.is_multicast or address.is_unspecified or int(address) == 0xFFFF_FFFF)
