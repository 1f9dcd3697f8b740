"""LINKS of this node: its links in chunks, and how each of them does.

Decides which chunk lists which link, and which measurements others learn of. A link stays in its chunk while it is up,
so that one that comes or goes changes one advertisement; what is measured changes one only when it has been another
for a while (hysteresis, RFC 9616 section 3.2). Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.wire.advertised_links import (
    MAX_LINK_CHUNKS,
    MAX_LINKS_PER_CHUNK,
    NOT_MEASURED,
    LinksContent,
    loss_class,
    rtt_class,
)

OFF_STEPS = 2
"""A class that is off by one is near enough: round trips at its border would go to and fro."""
OFF_FOR: Duration = 10.0
CHANGE_INTERVAL: Duration = 10.0
"""One chunk is published so often for what is measured of its links."""
PROBE_WEIGHT = 1 / 128
"""The weight of a probe in the part of them that is lost: one in four minutes is 0.8 % then, at a probe in 2 s."""
REVIEW_WEIGHT = PROBE_WEIGHT / 2
"""The same of a second without a lost one."""


@dataclass(frozen=True, slots=True)
class LinkMeasurement:
    """``unanswered``: turns of probes since one was answered; that of the last one may be on its way. ``age_s``: of the
    session that has measured the round trip.
    """

    peer: NodeIndex
    rtt_ms: float | None
    unanswered: int
    age_s: Duration


@dataclass(slots=True)
class _Link:
    """One link: what is advertised of it, what is measured, and since when these differ."""

    chunk: int
    rtt_class: int = NOT_MEASURED
    loss_class: int = 0
    rtt_ms: float | None = None
    loss: float = 0.0
    unanswered: int = 0
    off_since: Instant | None = None

    def measured(self) -> tuple[int, int]:
        return rtt_class(self.rtt_ms) if self.rtt_ms is not None else NOT_MEASURED, loss_class(self.loss)

    def is_off(self) -> bool:
        rtt, loss = self.measured()
        is_first = self.rtt_class == NOT_MEASURED and rtt != NOT_MEASURED
        return is_first or abs(rtt - self.rtt_class) >= OFF_STEPS or abs(loss - self.loss_class) >= OFF_STEPS

    def is_due(self, now: Instant) -> bool:
        return self.off_since is not None and now - self.off_since >= OFF_FOR


class OwnLinks:
    """This node's links, in chunks that fit an advertisement each."""

    def __init__(self) -> None:
        self._links: dict[NodeIndex, _Link] = {}
        self._chunks: list[set[NodeIndex]] = []
        self._changed: set[int] = set()
        self._change_again = Instant(0.0)

    def add(self, peer: NodeIndex) -> bool:
        """List a link in the first chunk that is not full; False where all are."""
        if peer in self._links:
            return True
        number = next((n for n, chunk in enumerate(self._chunks) if len(chunk) < MAX_LINKS_PER_CHUNK), None)
        if number is None:
            if len(self._chunks) >= MAX_LINK_CHUNKS:
                return False
            number = len(self._chunks)
            self._chunks.append(set())
        self._links[peer] = _Link(number)
        self._chunks[number].add(peer)
        self._changed.add(number)
        return True

    def remove(self, peer: NodeIndex) -> None:
        """List a link no more."""
        link = self._links.pop(peer, None)
        if link is not None:
            self._chunks[link.chunk].discard(peer)
            self._changed.add(link.chunk)

    def classes(self, peer: NodeIndex) -> tuple[int, int]:
        """The classes of the round trip and the loss that are advertised of a link."""
        link = self._links.get(peer)
        return (link.rtt_class, link.loss_class) if link is not None else (NOT_MEASURED, 0)

    def measure(self, now: Instant, measurement: LinkMeasurement) -> None:
        """Take how a link does now, about once a second; nothing happens when it is not listed."""
        link = self._links.get(measurement.peer)
        if link is None:
            return
        is_settled = measurement.age_s >= OFF_FOR or link.rtt_class == NOT_MEASURED
        if measurement.rtt_ms is not None and is_settled:  # a new session has measured few round trips
            link.rtt_ms = measurement.rtt_ms
        if measurement.unanswered > max(link.unanswered, 1):
            link.loss += (1.0 - link.loss) * PROBE_WEIGHT
        else:
            link.loss -= link.loss * REVIEW_WEIGHT
        link.unanswered = measurement.unanswered
        if not link.is_off():
            link.off_since = None
        elif link.off_since is None:
            link.off_since = now

    def settle(self, now: Instant) -> bool:
        """Advertise what has been measured otherwise for a while, of one chunk; whether there is such a one."""
        if now < self._change_again:
            return False
        due = [(link.off_since, link.chunk) for link in self._links.values() if link.is_due(now)]
        if not due:
            return False
        _, number = min(due)
        for peer in self._chunks[number]:
            link = self._links[peer]
            if link.is_due(now):
                link.rtt_class, link.loss_class = link.measured()
                link.off_since = None
        self._changed.add(number)
        self._change_again = after(now, CHANGE_INTERVAL)
        return True

    def take_changed(self) -> list[tuple[bytes, LinksContent | None]]:
        """Key and content of each chunk that changed since the last call; None for one that lists nothing any more."""
        changed = sorted(self._changed)
        self._changed.clear()
        return [(bytes((number,)), self._content(number)) for number in changed]

    def _content(self, number: int) -> LinksContent | None:
        peers = sorted(self._chunks[number])
        if not peers:
            return None
        rtts, losses = zip(*map(self.classes, peers), strict=True)
        return LinksContent(tuple(peers), bytes(rtts), bytes(losses), bytes(len(peers)))
