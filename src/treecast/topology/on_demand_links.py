"""On-demand links: nodes without a link with which this one makes one, for as much as goes there by others.

Decides by what is counted of each node, about once a second. What is to go at once over a node between is bounded, so
what did not go for that counts as well. Both ends see the same traffic: the one that sees enough of it first begins the
link, the other one takes it beyond what it accepts else. A link that came of it stays a while though nothing goes, so
that no member makes links come and go faster than that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from math import exp

from treecast.base.ids import NodeIndex
from treecast.base.on_demand import MOST_ON_DEMAND, Demand, OnDemandConfig
from treecast.base.time import Duration, Instant, after

AVERAGED_OVER: Duration = 10.0
"""The time constant of the rate that is shown, and by which links end."""
CUT_FOR: Duration = 2.0
"""A link is wanted when a route has had no room for so long: what it has none for is lost."""
VOLUME_SLOT: Duration = 10.0
VOLUME_SLOTS = 6
"""Bytes within a minute, counted in tens of seconds."""
UNANSWERED_AFTER: Duration = 12.0
"""A link that is not up by then has failed: an attempt takes 10 s."""
FIRST_PAUSE: Duration = 30.0
LONGEST_PAUSE: Duration = 600.0
REPLACES_AT = 2.0
"""Where all are in use the least one gives way to a node with so many times its score."""
MS_PER_RELAY = 20.0
"""A round trip shorter by so much is worth as much as one node between less."""
RANKED = 2 * MOST_ON_DEMAND
"""Nodes of which it is looked up how far they are: those with most traffic."""
NEGLIGIBLE = 0.01
"""A rate that is so small a part of the one below which links end is forgotten."""


@dataclass(frozen=True, slots=True)
class CountedTraffic:
    """Bytes to and from a node so far, and those that its route had no room for; its round trip as it is reached."""

    node: NodeIndex
    carried_bytes: int
    refused_bytes: int = 0
    round_trip_ms: float | None = None


@dataclass(slots=True)
class _Flow:
    """The traffic with one node. ``above_since``: None while it is not above, ``refused_since``: while all of it goes.
    ``last_bps``: of the last interval.
    """

    rate_bps: float = 0.0
    last_bps: float = 0.0
    above_since: Instant | None = None
    refused_since: Instant | None = None
    slots: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=VOLUME_SLOTS))

    def add(self, now: Instant, interval: Duration, traffic_bytes: int, *, is_refused: bool, above_bps: float) -> None:
        self.last_bps = 8 * traffic_bytes / interval
        self.rate_bps += (1 - exp(-interval / AVERAGED_OVER)) * (self.last_bps - self.rate_bps)
        began = Instant(now - interval)
        self.above_since = _since(self.above_since, began, is_so=self.last_bps > above_bps)
        self.refused_since = _since(self.refused_since, began, is_so=is_refused)
        number = int(now / VOLUME_SLOT)
        while self.slots and self.slots[0][0] <= number - VOLUME_SLOTS:
            self.slots.popleft()
        before = self.slots.pop()[1] if self.slots and self.slots[-1][0] == number else 0
        self.slots.append((number, before + traffic_bytes))

    def volume_bytes(self) -> int:
        return sum(traffic_bytes for _, traffic_bytes in self.slots)


@dataclass(slots=True)
class _WantedLink:
    """A node with which a link is wanted. ``relays``: nodes between it and this one; ``before_ms``: the round trip by
    these. ``up_since``: None while there is no link. ``is_own``: this node has seen enough traffic itself.
    """

    since: Instant
    relays: int
    before_ms: float | None
    tried_since: Instant
    busy_at: Instant
    is_own: bool
    up_since: Instant | None = None
    round_trip_ms: float | None = None

    @property
    def worth(self) -> float:
        """Relays saved, or milliseconds."""
        if self.before_ms is None or self.round_trip_ms is None or self.up_since is None:
            return self.relays
        return max(self.relays, (self.before_ms - self.round_trip_ms) / MS_PER_RELAY)


class OnDemandLinks:
    """One node's."""

    def __init__(self, config: OnDemandConfig) -> None:
        self.config = config
        self._counted: dict[NodeIndex, tuple[int, int]] = {}
        """The counts at the last review, by node."""
        self._reviewed_at: Instant | None = None
        self._flows: dict[NodeIndex, _Flow] = {}
        self._wanted: dict[NodeIndex, _WantedLink] = {}
        self._failed: dict[NodeIndex, tuple[int, Instant]] = {}
        """How often links with nodes have failed in a row, and until when they are not tried."""

    @property
    def wanted(self) -> Set[NodeIndex]:
        """The nodes with which links are wanted on demand."""
        return self._wanted.keys()

    def demand(self, node: NodeIndex) -> Demand | None:
        """The demand for a link with this node; None where there is none."""
        failures, until = self._failed.get(node, (0, Instant(0.0)))
        wanted, flow = self._wanted.get(node), self._flows.get(node)
        if wanted is None and not failures:
            return None
        return Demand(self.config, flow.rate_bps if flow else 0.0, wanted.since if wanted else None, failures, until)

    def review(
        self,
        now: Instant,
        counted: Iterable[CountedTraffic],
        linked: Collection[NodeIndex],
        chosen: Collection[NodeIndex],
        relays: Callable[[NodeIndex], int],
    ) -> None:
        """Take the counts of each node with a session. ``linked``: those with a link; ``chosen``: those with which one
        is wanted anyway; ``relays``: how many nodes are between this one and that.
        """
        latest = {one.node: one for one in counted}
        self._measure(now, latest, linked)
        for node in [*self._wanted]:
            self._follow(now, node, latest.get(node), is_linked=node in linked)
        self._forget(now, latest)
        due = [node for node, flow in self._flows.items() if self._is_due(now, node, flow)]
        for node in due:
            if node in self._wanted:
                self._wanted[node].is_own = True
        candidates = [node for node in due if node not in linked and node not in chosen and node not in self._wanted]
        most = sorted(candidates, key=lambda node: (-self._flows[node].rate_bps, node))[:RANKED]
        ranked = [(self._flows[node].rate_bps * between, node, between) for node in most for between in (relays(node),)]
        for score, node, between in sorted(ranked, key=lambda one: (-one[0], one[1])):
            if self._has_room(now, score):
                self._want(now, node, between, latest.get(node), is_own=True)

    def admit(self, now: Instant, node: NodeIndex) -> bool:
        """Whether a link that another node begins is one on demand, as this node sees its traffic: then it is wanted
        here, too.
        """
        if node in self._wanted:
            return True
        flow = self._flows.get(node)
        is_busy = flow is not None and max(flow.rate_bps, flow.last_bps) >= self.config.below_bps
        if is_busy and len(self._wanted) < self.config.links:
            self._want(now, node, 1, None, is_own=False)
        return node in self._wanted

    def failed(self, now: Instant, node: NodeIndex) -> None:
        """A wanted link was refused, did not come up, or ended by itself."""
        wanted = self._wanted.pop(node, None)
        if wanted is None:
            return
        failures = self._failed.get(node, (0, now))[0] + 1
        pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
        until = after(now, pause)
        if wanted.up_since is not None:
            until = max(until, after(wanted.up_since, self.config.below_for))
        self._failed[node] = failures, until

    def _measure(self, now: Instant, latest: Mapping[NodeIndex, CountedTraffic], linked: Collection[NodeIndex]) -> None:
        before, self._counted = self._counted, {node: (x.carried_bytes, x.refused_bytes) for node, x in latest.items()}
        interval = now - self._reviewed_at if self._reviewed_at is not None else 0.0
        if self._reviewed_at is None or interval > 0:
            self._reviewed_at = now
        if interval <= 0:
            return
        for node, (carried, refused) in self._counted.items():
            had = before.get(node, (carried, refused))
            refused_bytes = max(refused - had[1], 0)
            traffic_bytes = max(carried - had[0], 0) + refused_bytes
            flow = self._flows.get(node)
            if flow is None:
                is_slight = 8 * traffic_bytes < NEGLIGIBLE * self.config.below_bps * interval
                if is_slight or (node in linked and node not in self._wanted):
                    continue
                flow = self._flows[node] = _Flow()
            above_bps = self.config.above_bps
            flow.add(now, interval, traffic_bytes, is_refused=refused_bytes > 0, above_bps=above_bps)

    def _follow(self, now: Instant, node: NodeIndex, counted: CountedTraffic | None, *, is_linked: bool) -> None:
        """Whether a link is wanted any more."""
        wanted, flow = self._wanted[node], self._flows.get(node)
        if flow is not None and flow.rate_bps >= self.config.below_bps:
            wanted.busy_at = now
        if not is_linked:
            if now >= after(wanted.tried_since, UNANSWERED_AFTER):
                self.failed(now, node)
            return
        wanted.tried_since = now
        wanted.up_since = now if wanted.up_since is None else wanted.up_since
        wanted.round_trip_ms = counted.round_trip_ms if counted is not None else None
        is_old = now >= after(wanted.up_since, self.config.below_for)
        if is_old:
            self._failed.pop(node, None)
        if is_old and now >= after(wanted.busy_at, self.config.below_for):
            del self._wanted[node]

    def _forget(self, now: Instant, latest: Collection[NodeIndex]) -> None:
        least_bps = NEGLIGIBLE * self.config.below_bps
        over = [node for node, flow in self._flows.items() if flow.rate_bps < least_bps or node not in latest]
        for node in over:
            if node not in self._wanted:
                del self._flows[node]
        for node, (_, until) in [*self._failed.items()]:
            if now >= after(until, LONGEST_PAUSE) or node not in latest:
                del self._failed[node]

    def _is_due(self, now: Instant, node: NodeIndex, flow: _Flow) -> bool:
        """Whether enough goes to a node, and no attempt has failed lately."""
        if node in self._failed and now < self._failed[node][1]:
            return False
        is_long = flow.above_since is not None and now >= after(flow.above_since, self.config.above_for)
        is_cut = flow.refused_since is not None and now >= after(flow.refused_since, CUT_FOR)
        return is_long or is_cut or flow.volume_bytes() >= self.config.volume_bytes

    def _has_room(self, now: Instant, score: float) -> bool:
        """Whether there is a place for a link of this score; the least one that is old enough gives way to it, or that
        the other end alone has begun.
        """
        if len(self._wanted) < self.config.links:
            return True
        old = [
            (self._flows[node].rate_bps * wanted.worth if node in self._flows else 0.0, node)
            for node, wanted in self._wanted.items()
            if not wanted.is_own
            or (wanted.up_since is not None and now >= after(wanted.up_since, self.config.below_for))
        ]
        if not old or score < REPLACES_AT * min(old)[0]:
            return False
        del self._wanted[min(old)[1]]
        return True

    def _want(
        self, now: Instant, node: NodeIndex, relays: int, counted: CountedTraffic | None, *, is_own: bool
    ) -> None:
        before_ms = counted.round_trip_ms if counted is not None else None
        self._wanted[node] = _WantedLink(now, relays, before_ms, now, now, is_own)


def _since(since: Instant | None, began: Instant, *, is_so: bool) -> Instant | None:
    if not is_so:
        return None
    return began if since is None else since
