"""Attempts: the handshakes that this node began and that have no answer yet, found by what a datagram or a room names.

Decides when an INIT is repeated and given up. Each target has one attempt at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.links.crypto import Handshake
from treecast.links.handshake_channels import HandshakeChannel, InSession
from treecast.links.states import SESSION, SessionEvent, SessionState
from treecast.links.target import Target
from treecast.links.targets import ELSEWHERE_PAUSE
from treecast.wire.handshake import without_cookie

FIRST_INIT_INTERVAL: Duration = 0.5
LAST_INIT_INTERVAL: Duration = 2.0
"""A peer that restarts and knows nobody is reached again within this time."""
INIT_JITTER = (0.8, 1.0)
"""Nodes that lost a peer at once do not go on at once."""

ATTEMPT_LIFETIME: Duration = 10.0
"""The handshake begins again after this, with a fresh ephemeral key."""


@dataclass(slots=True)
class Attempt:
    """A handshake that this node began, sent to all addresses of its target, or in the session with it."""

    target: Target
    handshake: Handshake
    init: bytes
    began_at: Instant
    next_step: Instant
    """The time at which INIT is sent again, or the attempt given up."""
    node: NodeIndex | None
    """The node that it seeks, as far as that is known when it begins."""
    in_session: InSession | None = None
    interval: Duration = FIRST_INIT_INTERVAL
    state: SessionState = SessionState.NONE
    unproved: set[Endpoint] = field(default_factory=set)
    """Places whose cookie is answered: once for each INIT that was sent there, and nothing elsewhere."""
    tried_by: set[NodeIndex] = field(default_factory=set)
    """The neighbours by which INIT went, each once before it goes by one of them again."""
    came_back: set[Endpoint] = field(default_factory=set)
    """Where this INIT came back from."""

    @classmethod
    def begin(
        cls, now: Instant, target: Target, handshake: Handshake, rng: Random, in_session: InSession | None = None
    ) -> Attempt:
        """An attempt whose first INIT is sent now."""
        attempt = cls(target, handshake, handshake.init_datagram(), now, now, target.node, in_session)
        attempt.take(SessionEvent.BEGIN)
        target.is_tried = True
        attempt.sent(now, rng)
        return attempt

    def take(self, event: SessionEvent) -> None:
        self.state = SESSION.after(self.state, event)

    def sent(self, now: Instant, rng: Random) -> None:
        """INIT was sent once more."""
        self.unproved.update(self.init_endpoints)
        next_init = after(now, self.interval * rng.uniform(*INIT_JITTER))
        self.next_step = min(next_init, after(self.began_at, ATTEMPT_LIFETIME))
        self.interval = min(2 * self.interval, LAST_INIT_INTERVAL)

    @property
    def init_endpoints(self) -> tuple[Endpoint, ...]:
        """Where INIT is repeated: not where it came back from."""
        return tuple(endpoint for endpoint in self.target.candidates if endpoint not in self.came_back)

    def with_cookie(self, datagram: bytes, source: Endpoint) -> bytes:
        """The INIT that answers a COOKIE datagram. MalformedError, but once for each endpoint that INIT was sent to."""
        init = self.handshake.with_cookie(datagram)
        if source not in self.unproved:
            raise MalformedError("handshake_unknown")
        self.unproved.remove(source)
        return init

    def returned(self, now: Instant, source: Endpoint) -> None:
        """INIT came back. MalformedError, but once for each endpoint of a target from which one came back before."""
        candidates = self.target.candidates
        endpoint = candidates[0] if len(candidates) == 1 else source  # a NAT on the way may have another address
        expected = self.target.reflected_at is not None and endpoint in self.init_endpoints
        self.target.reflected_at = now
        if endpoint in candidates:
            self.came_back.add(endpoint)
        if not expected:
            raise MalformedError("handshake_reflected")

    def ended_overdue(self, now: Instant) -> None:
        """Nobody has answered, and where all that was sent came back nobody else is."""
        if self.came_back and not self.init_endpoints:
            self.target.elsewhere_until = after(now, ELSEWHERE_PAUSE)
        else:
            self.target.gave_up(now)

    def is_over(self, now: Instant) -> bool:
        """Whether nobody has answered for so long that it is given up."""
        return now >= after(self.began_at, ATTEMPT_LIFETIME)


class Attempts:
    """One node's, by the index of their handshakes."""

    def __init__(self) -> None:
        self._by_index: dict[int, Attempt] = {}
        self._by_init: dict[bytes, Attempt] = {}
        self._by_target: dict[Target, Attempt] = {}
        self._renewed: Counter[NodeIndex] = Counter()

    def add(self, attempt: Attempt) -> None:
        """An attempt has begun."""
        self._by_index[attempt.handshake.index] = attempt
        self._by_init[without_cookie(attempt.init)] = attempt
        self._by_target[attempt.target] = attempt
        if attempt.node is not None and attempt.target.is_peer:
            self._renewed[attempt.node] += 1

    def remove(self, attempt: Attempt) -> None:
        """An attempt is over."""
        del self._by_index[attempt.handshake.index]
        del self._by_init[without_cookie(attempt.init)]
        del self._by_target[attempt.target]
        if attempt.node is not None and attempt.target.is_peer:
            self._renewed[attempt.node] -= 1
            if not self._renewed[attempt.node]:
                del self._renewed[attempt.node]

    def get(self, index: int) -> Attempt | None:
        """The attempt whose handshake has this index."""
        return self._by_index.get(index)

    def answered(self, index: int, channel: HandshakeChannel) -> Attempt:
        """The attempt that a datagram answers, in the channel of its INIT. MalformedError where there is none."""
        attempt = self._by_index.get(index)
        if attempt is None or (attempt.in_session and attempt.in_session.peer) != channel.peer:
            raise MalformedError("handshake_unknown")
        return attempt

    def with_init(self, init: bytes) -> Attempt | None:
        """The attempt that sent this INIT."""
        return self._by_init.get(without_cookie(init))

    def of(self, target: Target) -> Attempt | None:
        """The attempt to reach this target."""
        return self._by_target.get(target)

    def renews(self, node: NodeIndex) -> bool:
        """Whether a handshake is under way with this node where its session is. One elsewhere does not count."""
        return node in self._renewed

    def __contains__(self, index: int) -> bool:
        return index in self._by_index

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._by_index.values())
