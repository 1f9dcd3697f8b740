"""Handshakes: those that this node began (attempts) and those that others began (pending).

Decides which datagrams are answered, and with what. When an INIT is repeated and given up is ``attempts``', whom to
believe ``authentication``'s; a handshake that came to its end is returned as a value, and what becomes of it is
``sessions``'. Read ``docs/protocol.md`` section 3 first.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from treecast.base.addresses import Endpoint
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_PENDING_HANDSHAKES
from treecast.base.time import Duration, Instant, after, clock_offset_s
from treecast.base.timers import Timers
from treecast.identity.certificate import Certificate
from treecast.links.attempts import Attempt, Attempts
from treecast.links.authentication import OF_MEMBERS, WITH_MYSELF, MemberAuthentication, MetTwin
from treecast.links.budgets import SessionBudgets
from treecast.links.crypto import Handshake, HandshakeFactory, LinkSecret
from treecast.links.exchange import mixed
from treecast.links.finished import Finished
from treecast.links.handshake_channels import Forwarded, HandshakeChannel, HandshakeCommand, InSession, OutOfSession
from treecast.links.handshake_timers import HandshakeTimer
from treecast.links.init_channels import InitChannels
from treecast.links.noticed import Noticed
from treecast.links.peers import Peers
from treecast.links.pending import Pending, PendingHandshakes
from treecast.links.refusals import REFUSAL_PAUSE, LastRefusal, Refusals, pause_after
from treecast.links.states import SessionEvent
from treecast.links.target import Target
from treecast.links.targets import ELSEWHERE_PAUSE
from treecast.links.trace import Step, Trace
from treecast.wire.handshake import (
    HandshakePayload,
    HandshakeType,
    Refusal,
    RefusalReason,
    emit_payload,
    handshake_type,
    parse_refusal,
    receiver_index,
    refusal_reason,
)

PENDING_LIFETIME: Duration = 5.0
REFUSABLE_FOR: Duration = 6.0
"""An initiator takes a refusal for so long after its FINAL: as long as it repeats FINAL, and some."""


class Handshakes:
    """One node's handshakes. Datagrams to send are appended to ``commands``; the caller empties it."""

    def __init__(
        self,
        *,
        me: HandshakePayload,
        factory: HandshakeFactory,
        verify_certificate: Callable[[bytes], Certificate],
        wall_clock_ms: Callable[[Instant], int],
        peers: Peers,
        ended: Callable[[Target], None],
        rng: Random,
        init_channels: InitChannels,
        drops: Drops,
    ) -> None:
        """``ended``: called with the target of each attempt that is over."""
        self._me = me
        self._ended = ended
        self._wall_clock_ms = wall_clock_ms
        self._factory = factory
        self._peers = peers
        self._rng = rng
        self._attempts = Attempts()
        self._pending = PendingHandshakes()
        self._refusals: dict[int, bytes] = {}
        """The answer to repetitions of each refused FINAL."""
        self._refusable: dict[int, tuple[Handshake, Certificate] | None] = {}
        """Handshakes whose FINAL the other side may refuse yet. None: it did; what comes again is old."""
        own = Certificate.decode(me.certificate)
        self.refused = Refusals(own, wall_clock_ms)
        self._members = MemberAuthentication(own, me.epoch_ms, verify_certificate, self.refused)
        self._init_channels, self._budgets = init_channels, SessionBudgets(drops)
        self._timers: Timers[tuple[HandshakeTimer, int]] = Timers()
        self.accepts_link: Callable[[NodeIndex, int], bool] = lambda _, __: True
        """Whether one more link is accepted, with a node and a run of it."""
        self.declined: list[NodeIndex] = []  # nodes that have accepted no link
        self.inits = Noticed()
        """Where INITs came from."""
        self.trace = Trace()
        self.commands: list[HandshakeCommand] = []

    def restate(self, **changed: object) -> None:
        """Payloads state other values of this node from now on."""
        self._me = replace(self._me, **changed)

    def met_twin(self) -> MetTwin | None:
        """Another run of this node that handshakes have met since the last call."""
        met, self._members.twin = self._members.twin, None
        return met

    # attempts

    def begin(self, now: Instant, target: Target, in_session: InSession | None = None) -> None:
        """Seek the target: at its addresses, or in the session that there is with it."""
        handshake = self._factory.initiate(self._new_index())
        attempt = Attempt.begin(now, target, handshake, self._rng, in_session)
        self._attempts.add(attempt)
        self._timers.set((HandshakeTimer.ATTEMPT, handshake.index), attempt.next_step)
        self._send_init(now, attempt)
        self.trace.add(Step.BEGUN, target.label, target.candidates)

    def targets(self) -> list[Target]:
        """The targets of the attempts that are under way."""
        return [attempt.target for attempt in self._attempts]

    def pending(self) -> tuple[int, int]:
        """How many handshakes that others began are kept, by index and by INIT."""
        return self._pending.sizes()

    def is_renewing(self, node: NodeIndex) -> bool:
        return self._attempts.renews(node)

    def give_up(self, target: Target) -> None:
        if (attempt := self._attempts.of(target)) is not None:
            self._end(attempt, SessionEvent.DROPPED)

    # time

    def advance(self, now: Instant) -> None:
        """Repeat and give up what is due."""
        for timer, index in self._timers.due(now):
            match timer:
                case HandshakeTimer.ATTEMPT:
                    self._repeat(now, index)
                case HandshakeTimer.PENDING:
                    self._pending.remove(index, SessionEvent.OVERDUE)
                case HandshakeTimer.REFUSAL:
                    del self._refusals[index]
                case HandshakeTimer.REFUSABLE:
                    del self._refusable[index]

    def _repeat(self, now: Instant, index: int) -> None:
        if (attempt := self._attempts.get(index)) is None:
            return
        if attempt.is_over(now):
            attempt.ended_overdue(now)
            self._end(attempt, SessionEvent.OVERDUE)
            self.trace.add(Step.GIVEN_UP, attempt.target.label, attempt.target.candidates)
            return
        attempt.sent(now, self._rng)
        self._timers.set((HandshakeTimer.ATTEMPT, index), attempt.next_step)
        self._send_init(now, attempt)

    def next_deadline(self) -> Instant | None:
        return self._timers.next()

    # what arrives

    def receive(self, now: Instant, data: bytes, channel: HandshakeChannel) -> Finished | None:
        """A handshake datagram with a good MAC, and its channel. MalformedError when it is refused."""
        match handshake_type(data):
            case HandshakeType.INIT:
                self._receive_init(now, data, channel)
            case HandshakeType.RESPONSE | HandshakeType.COOKIE if self._is_answered(receiver_index(data)):
                return None
            case HandshakeType.RESPONSE:
                return self._receive_response(now, data, channel)
            case HandshakeType.FINAL:
                return self._receive_final(now, data, channel)
            case HandshakeType.REFUSAL:
                self._receive_refusal(now, data, channel)
            case HandshakeType.COOKIE:
                attempt = self._attempts.answered(receiver_index(data), channel)
                self.commands.append(channel.send(attempt.with_cookie(data, channel.endpoint)))
        return None

    def _receive_init(self, now: Instant, data: bytes, channel: HandshakeChannel) -> None:
        known = self._pending.with_init(data, channel)
        if known is not None:
            known.take(SessionEvent.INIT)
            self.commands.append(channel.send(known.response))
            return
        reflected = self._attempts.with_init(data)
        if reflected is not None:
            if isinstance(channel, Forwarded):  # which says nothing about places
                raise MalformedError("handshake_reflected")
            reflected.returned(now, channel.endpoint)
            return
        if isinstance(channel, OutOfSession):
            self.inits.note(now, channel.endpoint)
        self.trace.add(Step.INIT_RECEIVED, "", (channel.endpoint,))
        for replaced in self._pending.replaced_by(channel):
            self._end_pending(replaced, SessionEvent.OVERDUE)
        handshake = self._factory.respond(self._new_index(), data)
        secret = self._peers.secret_of(channel)
        response = handshake.write_response(self._payload(now, secret))
        pending = Pending(handshake, data, response, channel, clock_offset_s(self._wall_clock_ms(now), now), secret)
        self._pending.add(pending)
        self._timers.set((HandshakeTimer.PENDING, handshake.index), after(now, PENDING_LIFETIME))
        self.commands.append(channel.send(response))

    def _is_answered(self, index: int) -> bool:
        """Whether another answer has ended this node's handshake: its INIT went to several addresses of a node."""
        return index in self._refusable or self._peers.index_in_use(index)

    def _receive_response(self, now: Instant, data: bytes, channel: HandshakeChannel) -> Finished:
        attempt = self._attempts.answered(receiver_index(data), channel)
        payload_bytes = attempt.handshake.read_response(data)
        try:
            payload, certificate = self._members.authenticate(now, attempt.handshake, payload_bytes, channel)
            self._check_expected(now, attempt.target, certificate, channel.endpoint)
        except MalformedError as error:  # the handshake has taken its response, and there is no other one
            if attempt.target.is_elsewhere:
                attempt.target.elsewhere_until = after(now, ELSEWHERE_PAUSE)
            else:
                attempt.target.next_try = after(now, pause_after(error.reason))
            self._end(attempt, SessionEvent.REFUSED)
            reason = refusal_reason(error.reason)
            if error.reason == WITH_MYSELF or (reason is not None and error.reason in OF_MEMBERS):
                # Strangers are not shown this node's certificate; another run of this node is to know of it.
                refusing = attempt.handshake.write_final(self._payload(now, refused=reason or 0))
                self.commands.append(channel.send(refusing))
            raise
        secret = self._peers.secret_of(channel)
        final = channel.send(attempt.handshake.write_final(self._payload(now, secret)))
        self._end(attempt, SessionEvent.RESPONSE)
        if attempt.target.name is not None:
            attempt.target.node = certificate.node_index
        self.commands.append(final)
        if len(self._refusable) < MAX_PENDING_HANDSHAKES:
            self._refusable[attempt.handshake.index] = (attempt.handshake, certificate)
            self._timers.set((HandshakeTimer.REFUSABLE, attempt.handshake.index), after(now, REFUSABLE_FOR))
        own_offset_s = clock_offset_s(self._wall_clock_ms(now), now)
        hybrid = mixed(attempt.handshake, secret, payload.link_secret)
        state, handshake = attempt.state, attempt.handshake
        return Finished(state, handshake, payload, certificate, channel, final, own_offset_s, secret, hybrid)

    def _check_expected(self, now: Instant, target: Target, certificate: Certificate, source: Endpoint) -> None:
        """Another node may be where this one was advertised, by mistake or by malice.

        Where one only was, long ago, another member is as welcome, once: it knows where the others are.
        """
        if target.name is None and certificate.node_index != target.node:
            welcome = target.recall_pause is not None and source not in target.avoided
            target.avoided.add(source)
            if not welcome:
                raise MalformedError("handshake_with_another_node")
            if not target.is_elsewhere:
                target.next_try = after(now, REFUSAL_PAUSE)

    def _receive_final(self, now: Instant, data: bytes, channel: HandshakeChannel) -> Finished | None:
        index = receiver_index(data)
        if index in self._refusals:
            self.commands.append(channel.send(self._refusals[index]))
            return None
        if self._peers.index_in_use(index):
            return None  # a repetition: the session is there
        pending = self._pending.get(index)
        if pending is None or pending.channel.peer != channel.peer:
            raise MalformedError("handshake_unknown")
        payload_bytes = pending.handshake.read_final(data)
        try:
            payload, certificate = self._members.authenticate(now, pending.handshake, payload_bytes, channel)
        except MalformedError as error:
            self._end_pending(index, SessionEvent.REFUSED)
            reason = refusal_reason(error.reason)
            if reason is not None:
                self._refuse(now, pending.handshake, reason, channel)
            raise
        node, in_session = certificate.node_index, channel.peer is not None
        if not payload.refused and not self._budgets.permit(now, node, in_session=in_session):
            self._end_pending(index, SessionEvent.REFUSED)
            raise MalformedError("handshake_too_often")
        if isinstance(channel, OutOfSession) and not (payload.refused or self.accepts_link(node, payload.epoch_ms)):
            self._end_pending(index, SessionEvent.REFUSED)
            self._refuse(now, pending.handshake, RefusalReason.HANDSHAKE_LINKS_FULL, channel)
            raise MalformedError("handshake_links_full")
        self._end_pending(index, SessionEvent.REFUSED if payload.refused else SessionEvent.FINAL)
        if payload.refused:
            self._note_refusal(now, payload.refused, certificate, payload.clock_ms, channel.endpoint)
            return None
        hybrid = mixed(pending.handshake, pending.secret, payload.link_secret)
        state, handshake, offset_s = pending.state, pending.handshake, pending.own_offset_s
        return Finished(state, handshake, payload, certificate, pending.channel, None, offset_s, pending.secret, hybrid)

    def _refuse(self, now: Instant, handshake: Handshake, reason: int, channel: HandshakeChannel) -> None:
        """Shorter than what it answers, once for each time that came."""
        refusal = handshake.write_refusal(emit_payload(Refusal(reason, self._wall_clock_ms(now))))
        if len(self._refusals) < MAX_PENDING_HANDSHAKES:
            self._refusals[handshake.index] = refusal
            self._timers.set((HandshakeTimer.REFUSAL, handshake.index), after(now, PENDING_LIFETIME))
        self.commands.append(channel.send(refusal))

    def _receive_refusal(self, now: Instant, data: bytes, channel: HandshakeChannel) -> None:
        index = receiver_index(data)
        if index not in self._refusable:
            raise MalformedError("handshake_unknown")
        refusable = self._refusable[index]
        if refusable is None:
            return
        handshake, certificate = refusable
        refusal = parse_refusal(handshake.read_refusal(data))
        self._refusable[index] = None
        if refusal.reason == RefusalReason.HANDSHAKE_LINKS_FULL:  # nothing that a person must act on
            self.declined.append(certificate.node_index)
            return
        self._note_refusal(now, refusal.reason, certificate, refusal.clock_ms, channel.endpoint)

    def _note_refusal(self, now: Instant, code: int, other: Certificate, clock_ms: int, source: Endpoint) -> None:
        known = code in set(RefusalReason)
        reason = RefusalReason(code).name.lower() if known else f"reason {code}"
        self.refused.note(LastRefusal(now, False, reason, source, other, clock_ms))
        self.trace.add(Step.REFUSED_BY_PEER, other.name, (source,), reason)

    # parts

    def _payload(self, now: Instant, secret: LinkSecret | None = None, refused: int = 0) -> bytes:
        named, clock_ms = secret.id if secret is not None else b"", self._wall_clock_ms(now)
        return emit_payload(replace(self._me, clock_ms=clock_ms, refused=refused, link_secret=named))

    def _end_pending(self, index: int, event: SessionEvent) -> None:
        self._pending.remove(index, event)
        self._timers.cancel((HandshakeTimer.PENDING, index))

    def _end(self, attempt: Attempt, event: SessionEvent) -> None:
        """The attempt is over; its target may be tried again."""
        attempt.take(event)
        self._attempts.remove(attempt)
        self._timers.cancel((HandshakeTimer.ATTEMPT, attempt.handshake.index))
        attempt.target.is_tried = False
        self._ended(attempt.target)

    def _send_init(self, now: Instant, attempt: Attempt) -> None:
        self.commands += [channel.send(attempt.init) for channel in self._init_channels.of(now, attempt)]

    def _new_index(self) -> int:
        while True:
            index = self._rng.getrandbits(32)
            if index and not (index in self._attempts or index in self._pending or self._peers.index_in_use(index)):
                return index
