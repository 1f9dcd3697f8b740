"""Near links: the ones that a node has because their round trip is short.

Decides which they are, and which other node is tried in place of the longest. A link that is tried is measured before
it counts, so the new one is up before the old one goes; one changes in 30 s, and only for a clear gain. After as many
trials as find what there is, nothing is tried for an hour, but nodes that are new: a quiet network stays quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from math import inf

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.topology.ring import POSITIONS, Ring

LEAST_GAIN = 0.2
LEAST_GAIN_MS = 2.0
"""A link is replaced by one that is shorter by as much as both of these."""
CHANGE_INTERVAL: Duration = 30.0
MEASURED_FOR: Duration = 8.0
"""A link that is tried has answered some probes by then, one each 2 s."""
TRIED_FOR: Duration = 20.0
"""A node that has no link by then is none that can be tried."""
TRIALS_PER_LINK = 3
"""Nodes that are tried for each link: estimates of round trips are no measurements."""
AGAIN_AFTER: Duration = 3600.0
"""Round trips change: then all may be tried again."""

RoundTrips = Mapping[NodeIndex, float | None]
"""Links that are up, with their round trips in milliseconds; None while that is not measured."""
Estimates = Callable[[], Mapping[NodeIndex, float]]
"""Round trips to nodes without a link, as far as those of others show them."""


class NearLinks:
    """One node's. ``points``: positions on the ring that it has drawn, for nodes of which nothing is known.

    ``accepts_most``: with so many links it tries no other one, as one would have to go for it.
    """

    def __init__(self, points: list[int], accepts_most: int) -> None:
        self._points = points
        self._accepts_most = accepts_most
        self.kept: list[NodeIndex] = []
        self.trial: NodeIndex | None = None
        self._trial_at = self._changed_at = self._again_at = Instant(0.0)
        self._up_at: Instant | None = None
        """The time since which the link that is tried is up."""
        self._trials = 0
        """How many more nodes may be tried."""
        self._tried: set[NodeIndex] = set()

    def learned(self, wanted: int) -> None:
        """A node is new: one more may be tried."""
        self._trials = min(self._trials + 1, TRIALS_PER_LINK * wanted)

    def forget(self, node: NodeIndex) -> None:
        """A node is known no more."""
        self._tried.discard(node)

    def review(
        self,
        now: Instant,
        wanted: int,
        ring: Ring,
        linked: RoundTrips,
        without: Collection[NodeIndex],
        estimates: Estimates,
    ) -> None:
        """Choose ``wanted`` nodes of the ring, none of ``without``, about once a second."""
        self.kept = [node for node in self.kept if node in ring and node not in without]
        if len(self.kept) > wanted:
            self.kept.sort(key=lambda node: (_ms(linked, node), node))
            del self.kept[wanted:]
        if self.trial is not None and (self.trial not in ring or self.trial in without or self.trial in self.kept):
            self._end_trial()
        if len(self.kept) < wanted:
            self._fill(wanted, ring, linked, without, estimates)
        elif wanted:
            self._replace_longest(now, ring, linked, without)
            self._try(now, wanted, ring, linked, without, estimates)

    def _fill(
        self, wanted: int, ring: Ring, linked: RoundTrips, without: Collection[NodeIndex], estimates: Estimates
    ) -> None:
        """Links that are there anyway first, then nodes that others have short links with, then any."""
        for node in self._candidates(ring, linked, without, estimates):
            if node not in self.kept:
                self.kept.append(node)
                if len(self.kept) >= wanted:
                    return

    def _candidates(
        self, ring: Ring, linked: RoundTrips, without: Collection[NodeIndex], estimates: Estimates
    ) -> Iterator[NodeIndex]:
        def usable(node: NodeIndex) -> bool:
            return node in ring and node not in without

        yield from sorted(filter(usable, linked), key=lambda node: (_ms(linked, node), node))
        estimated = estimates()
        yield from sorted(filter(usable, estimated), key=lambda node: (estimated[node], node))
        for point in self._points:
            yield from (node for node, _ in zip(ring.following(point, without), range(1), strict=False))
        yield from ring.following(self._points[0], without)

    def _replace_longest(self, now: Instant, ring: Ring, linked: RoundTrips, without: Collection[NodeIndex]) -> None:
        """The shortest other link that is up takes the place of the longest one, if it is clearly shorter."""
        if now < after(self._changed_at, CHANGE_INTERVAL) and self._changed_at:
            return
        measured = [node for node in self.kept if linked.get(node) is not None]
        others = [
            node
            for node, round_trip in linked.items()
            if round_trip is not None and node in ring and node not in without and node not in self.kept
        ]
        if self.trial in others and not self._is_measured(now):
            others.remove(self.trial)
        if not measured or not others:
            return
        longest = max(measured, key=lambda node: (_ms(linked, node), node))
        shortest = min(others, key=lambda node: (_ms(linked, node), node))
        if is_clearly_shorter(_ms(linked, shortest), _ms(linked, longest)):
            self.kept[self.kept.index(longest)] = shortest
            self._changed_at = now
            if shortest == self.trial:
                self._end_trial()

    def _try(
        self,
        now: Instant,
        wanted: int,
        ring: Ring,
        linked: RoundTrips,
        without: Collection[NodeIndex],
        estimates: Estimates,
    ) -> None:
        if self.trial is not None:
            if self.trial in linked and self._up_at is None:
                self._up_at = now
            if self._is_measured(now) or now >= after(self._trial_at, TRIED_FOR):
                self._end_trial()
            return
        if now >= self._again_at:
            self._again_at = after(now, AGAIN_AFTER)
            share = self._points[0] / POSITIONS  # nodes that started together do not try others together
            self._trials, self._trial_at = TRIALS_PER_LINK * wanted, after(now, share * CHANGE_INTERVAL)
            self._tried.clear()
        if self._trials <= 0 or now < after(self._trial_at, CHANGE_INTERVAL) or len(linked) >= self._accepts_most:
            return
        passed = (*without, *self.kept, *linked, *self._tried)
        self._trials -= 1
        self._trial_at = now
        self.trial = next((node for node in self._candidates(ring, {}, set(passed), estimates)), None)
        if self.trial is None:
            self._trials = 0
        else:
            self._tried.add(self.trial)

    def _is_measured(self, now: Instant) -> bool:
        return self._up_at is not None and now >= after(self._up_at, MEASURED_FOR)

    def _end_trial(self) -> None:
        self.trial = self._up_at = None


def is_clearly_shorter(one_ms: float, other_ms: float) -> bool:
    """Whether a round trip is shorter than another one by so much that links change for it."""
    return other_ms - one_ms >= max(LEAST_GAIN_MS, LEAST_GAIN * other_ms)


def _ms(linked: RoundTrips, node: NodeIndex) -> float:
    round_trip = linked.get(node)
    return inf if round_trip is None else round_trip
