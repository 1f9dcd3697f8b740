"""One identity on two machines: found by what both sign, and settled without a word of anybody else.

Each run of a node has a random instance. A run that receives a NODE advertisement of its own that another instance
signed names that one in its own from then on. An advertisement of another instance that names this one was signed
after this one started, by whoever holds the key: no replay and no member can make one. Of two such the later one ends,
but first it names the other to a neighbour: nothing else would prove to the other that there were two.

Who has a stolen key need not name anybody. Such a run ends none, but people are to know of it: when a node has had
neighbours for a while, which know its epoch, a NODE of another instance in a later one is from a run that goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_KNOWN_RUNS
from treecast.base.time import Duration, Instant, after
from treecast.wire.advertisement import NodeContent

ANSWER_INTERVAL: Duration = 1.0
"""Old advertisements of many epochs, replayed by a member, make a node announce itself no more often."""
TWICE_LIFETIME: Duration = 15.0
"""One of two that both run ends within seconds of the first proof; one that is started again and again is seen oftener
than this. A third instance is no end: it may be the next of those.
"""
SETTLED: Duration = 10.0
"""A link that is up for so long has brought what the neighbour remembered of an earlier run, whose clock was ahead."""
ACKNOWLEDGEMENT_LIMIT: Duration = 3.0
"""The time that a run that is to end waits for somebody who takes its advertisement, which is repeated meanwhile."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Another run of this node that is alive: where it is, and which of the two is the younger."""

    seen_at: Instant
    endpoints: tuple[Endpoint, ...]
    is_older: bool


class Twins:
    """One node's own. ``started_ms``: its start, in milliseconds since 1970, by its clock."""

    def __init__(self, instance: bytes, started_ms: int) -> None:
        self.instance = instance
        self.started_ms = started_ms
        self.rival = b""
        self._twin: Twin | None = None
        self._answered_at: Instant | None = None
        self._older_since: Instant | None = None
        self._is_rival_acknowledged = False

    def twin(self, now: Instant) -> Twin | None:
        """The other run, for a while after its last advertisement."""
        twin = self._twin
        return twin if twin is not None and now - twin.seen_at < TWICE_LIFETIME else None

    def met(self, now: Instant, endpoint: Endpoint, started_ms: int) -> None:
        """A handshake with another run, which has proved that it holds the key."""
        self._found(Twin(now, (endpoint,), started_ms < self.started_ms))

    def _found(self, twin: Twin) -> None:
        self._twin = twin
        if twin.is_older and self._older_since is None:
            self._older_since = twin.seen_at

    def overtaken(self, now: Instant, content: NodeContent, linked_at: Instant) -> None:
        """A verified NODE of another instance, in an epoch later than this run's: for people alone, where no proof says
        more. ``linked_at``: since when this node has had a neighbour.
        """
        known = self.twin(now)
        if now >= after(linked_at, SETTLED) and (known is None or not known.is_older):
            self._twin = Twin(now, content.endpoint_values(), is_older=False)

    def rival_acknowledged(self) -> None:
        """A neighbour holds this run's advertisement that names the present rival."""
        self._is_rival_acknowledged = True

    def must_end(self, now: Instant) -> Twin | None:
        """The older run because of which this one is to end now."""
        twin = self.twin(now)
        if twin is None or not twin.is_older or self._older_since is None:
            return None
        is_known = self._is_rival_acknowledged or now - self._older_since >= ACKNOWLEDGEMENT_LIMIT
        return twin if is_known else None

    def concerns(self, content: NodeContent) -> bool:
        """Whether another instance made this, which is worth verifying."""
        return content.instance != self.instance

    def receive(self, now: Instant, content: NodeContent) -> bool:
        """A verified NODE advertisement of another instance of this node; whether to announce this one again."""
        is_proved = content.rival == self.instance
        if is_proved:
            is_older = (content.started_ms, content.instance) < (self.started_ms, self.instance)
            self._found(Twin(now, content.endpoint_values(), is_older))
        if not (is_proved and content.instance != self.rival) and not self._may_answer(now):
            return False
        self._is_rival_acknowledged = self._is_rival_acknowledged and content.instance == self.rival
        self.rival, self._answered_at = content.instance, now
        return True

    def _may_answer(self, now: Instant) -> bool:
        """Whether what proves nothing is answered: now and then, and not while this run's last word is on its way."""
        return self._older_since is None and (self._answered_at is None or now - self._answered_at >= ANSWER_INTERVAL)


@dataclass(slots=True)
class _Seen:
    """The last two instances of another node, and where each was."""

    instance: bytes
    endpoints: tuple[Endpoint, ...]
    instance_before: bytes = b""
    endpoints_before: tuple[Endpoint, ...] = ()
    twice_at: Instant | None = None
    twice: tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]] = ((), ())
    """Where the two were when they were last seen to alternate."""


class OtherTwins:
    """Other nodes that alternate between two instances: a restart goes from one to the next, and never back."""

    def __init__(self) -> None:
        self._seen: dict[NodeIndex, _Seen] = {}
        self._twice: set[NodeIndex] = set()
        """The nodes that alternated: no others are walked over."""

    def receive(self, now: Instant, node: NodeIndex, content: NodeContent) -> bool:
        """A verified NODE advertisement that is news; whether it is of the instance before the last one."""
        seen = self._seen.get(node)
        if seen is None:
            if len(self._seen) < MAX_KNOWN_RUNS:
                self._seen[node] = _Seen(content.instance, content.endpoint_values())
            return False
        is_alternating = False
        if content.instance != seen.instance:
            is_alternating = content.instance == seen.instance_before
            if is_alternating:
                seen.twice_at, seen.twice = now, (content.endpoint_values(), seen.endpoints)
                self._twice.add(node)
            seen.instance_before, seen.endpoints_before = seen.instance, seen.endpoints
        seen.instance, seen.endpoints = content.instance, content.endpoint_values()
        return is_alternating

    def forget(self, node: NodeIndex) -> None:
        self._seen.pop(node, None)
        self._twice.discard(node)

    def twice(self, now: Instant) -> Iterator[tuple[NodeIndex, tuple[Endpoint, ...], tuple[Endpoint, ...]]]:
        """Each node that runs twice, and where."""
        for node in sorted(self._twice):
            seen = self._seen[node]
            if seen.twice_at is not None and now - seen.twice_at < TWICE_LIFETIME:
                yield node, *seen.twice
            else:
                self._twice.discard(node)
