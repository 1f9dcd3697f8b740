"""LINKS of this node: its links in chunks, and how each of them does.

Decides which chunk lists which link, and which measurements others learn of. A link stays in its chunk while it is up,
so that one that comes or goes changes one advertisement; what is measured changes one only when it has been another
for a while (hysteresis, RFC 9616 section 3.2). Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from math import inf

from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.wire.advertised_links import (
    LONGEST_RTT_CLASS,
    MAX_LINK_CHUNKS,
    MAX_LINKS_PER_CHUNK,
    NOT_KEPT,
    NOT_MEASURED,
    LinksContent,
    loss_class,
    rtt_class,
    rtt_ms_of,
)

OFF_STEPS = 2
"""A class that is off by one is near enough: round trips at its border would go to and fro."""
OFF_MS = 5.0
"""Round trips that differ by less are alike (RFC 9616 section 3.2 has 10 ms for that): a machine with much to do makes
its answers wait so long.
"""
OFF_FOR: Duration = 10.0
CHANGE_INTERVAL: Duration = 10.0
"""One chunk is published so often for what is measured of its links."""
PROBE_WEIGHT = 1 / 128
"""The weight of a probe in the part of them that is lost: one in four minutes is 0.8 % then, at a probe in 2 s."""
REVIEW_WEIGHT = PROBE_WEIGHT / 2
"""The same of a second without a lost one."""
NO_LOSS = 1e-4
"""A loss that counts as none."""
NOTHING_NEAR = (inf, inf)


def near_ms(rtt_class: int) -> tuple[float, float]:
    """The round trips that are near enough to a class: longer than the first value, and not longer than the second."""
    longest = rtt_ms_of(rtt_class)
    is_last = rtt_class + OFF_STEPS > LONGEST_RTT_CLASS
    above = inf if is_last else max(rtt_ms_of(rtt_class + OFF_STEPS - 1), longest + OFF_MS)
    return min(rtt_ms_of(rtt_class - OFF_STEPS), longest - OFF_MS), above


@dataclass(slots=True)
class _Link:
    """One link: what is advertised of it, what is measured, and since when these differ."""

    chunk: int
    rtt_class: int = NOT_MEASURED
    near_ms: tuple[float, float] = NOTHING_NEAR
    loss_class: int = 0
    rtt_ms: float | None = None
    loss: float = 0.0
    unanswered: int = 0
    off_since: Instant | None = None
    is_kept: bool = True
    """Whether this node keeps the link by itself."""

    def advertise(self) -> None:
        """Advertise what is measured."""
        if self.rtt_ms is not None:
            self.rtt_class = rtt_class(self.rtt_ms)
            self.near_ms = near_ms(self.rtt_class)
        self.loss_class = loss_class(self.loss)
        self.off_since = None

    def is_off(self) -> bool:
        if self.rtt_ms is not None and not self.near_ms[0] < self.rtt_ms <= self.near_ms[1]:
            return True
        if not self.loss and not self.loss_class:
            return False
        return abs(loss_class(self.loss) - self.loss_class) >= OFF_STEPS

    def is_due(self, now: Instant) -> bool:
        return self.off_since is not None and now - self.off_since >= OFF_FOR


class OwnLinks:
    """This node's links, in chunks that fit an advertisement each."""

    def __init__(self) -> None:
        self._links: dict[NodeIndex, _Link] = {}
        self._chunks: list[set[NodeIndex]] = []
        self._changed: set[int] = set()
        self._change_again = Instant(0.0)
        self._kept: Set[NodeIndex] | None = None
        """The nodes with which this one keeps a link by itself; None: with all."""

    def keep(self, kept: Set[NodeIndex]) -> bool:
        """Keep links with these nodes by itself, from now on, and no others; whether LINKS are to list that."""
        self._kept = frozenset(kept)
        for peer, link in self._links.items():
            if link.is_kept is not (peer in self._kept):
                link.is_kept = not link.is_kept
                self._changed.add(link.chunk)
        return bool(self._changed)

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
        self._links[peer] = _Link(number, is_kept=self._kept is None or peer in self._kept)
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

    def quality(self, peer: NodeIndex) -> tuple[float | None, float | None]:
        """The round trip in ms, and the part of probes that is lost, as they are measured now; None: not measured."""
        link = self._links.get(peer)
        return (link.rtt_ms, link.loss) if link is not None and link.rtt_ms is not None else (None, None)

    def measure(self, now: Instant, report: SessionReport) -> None:
        """Take how a link does now, about once a second, by the session in use; nothing happens when it is not listed.

        Of the probes that are not answered the last one's answer may be on its way.
        """
        link = self._links.get(report.peer)
        if link is None:
            return
        is_settled = report.age_s >= OFF_FOR or link.rtt_class == NOT_MEASURED
        if report.least_rtt_ms is not None and is_settled:  # a new session has measured few round trips
            link.rtt_ms = report.least_rtt_ms
        unanswered = report.path_unanswered
        if unanswered > 1 and unanswered > link.unanswered:
            link.loss += (1.0 - link.loss) * PROBE_WEIGHT
        elif link.loss:
            link.loss = link.loss * (1.0 - REVIEW_WEIGHT) if link.loss > NO_LOSS else 0.0
        link.unanswered = unanswered
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
                link.advertise()
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
        flags = bytes(0 if self._links[peer].is_kept else NOT_KEPT for peer in peers)
        return LinksContent(tuple(peers), bytes(rtts), bytes(losses), flags)
