"""A network as a graph, without engines: for algorithms that are to be compared before they are built.

Plain functions over adjacency mappings. Sets and mappings are walked in order, so the same seed gives the same run.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from treecast.base.time import Duration

FIRST_REPEAT: Duration = 0.2
LAST_REPEAT: Duration = 2.0


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a link. ``loss`` is a share of its messages."""

    delay: Duration
    loss: float = 0.0


Graph = Mapping[int, Mapping[int, Link]]
"""Each node's links, by neighbour."""

Delay = Callable[[int, int], Duration]


def full_mesh(nodes: int, delay: Delay, loss: float = 0.0) -> dict[int, dict[int, Link]]:
    """A link between any two of the nodes 0 to ``nodes - 1``."""
    return {
        one: {other: Link(delay(one, other), loss) for other in range(nodes) if other != one} for one in range(nodes)
    }


def near_and_far(
    nodes: int,
    delay: Delay,
    rng: Random,
    *,
    near: int = 7,
    far: int | None = None,
    successors: int = 2,
    loss: float = 0.0,
) -> dict[int, dict[int, Link]]:
    """Each node chooses ring successors, far nodes at a harmonic distance on the ring, and the nearest by delay.

    ``far``: ceil(log2(nodes) / 3) when None. Whom a node chose, that has the link too.
    """
    if far is None:
        far = math.ceil(math.log2(nodes) / 3) if nodes > 1 else 0
    graph: dict[int, dict[int, Link]] = {node: {} for node in range(nodes)}
    for node in range(nodes):
        chosen = {(node + step) % nodes for step in range(1, successors + 1)}
        chosen |= {(node + round(math.exp(math.log(nodes) * (rng.random() - 1.0)) * nodes)) % nodes for _ in range(far)}
        others = (other for other in range(nodes) if other != node)
        chosen |= {other for _, other in heapq.nsmallest(near, ((delay(node, other), other) for other in others))}
        for other in sorted(chosen - {node}):
            graph[node][other] = Link(delay(node, other), loss)
            graph[other][node] = Link(delay(other, node), loss)
    return graph


def without(graph: Graph, dead: Collection[int]) -> dict[int, dict[int, Link]]:
    """The graph that is left when these nodes die."""
    gone = set(dead)
    return {
        node: {other: link for other, link in links.items() if other not in gone}
        for node, links in graph.items()
        if node not in gone
    }


def reachable(graph: Graph, start: int) -> set[int]:
    found, waiting = {start}, [start]
    while waiting:
        for other in graph.get(waiting.pop(), {}):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def shortest(graph: Graph, root: int) -> tuple[dict[int, int], dict[int, Duration]]:
    """Parent (of all but the root) and delay of each node that the root reaches; ties go to the lower node."""
    parents: dict[int, int] = {}
    delays: dict[int, Duration] = {}
    queue = [(0.0, root, root)]
    while queue:
        delay, node, parent = heapq.heappop(queue)
        if node in delays:
            continue
        delays[node] = delay
        if node != root:
            parents[node] = parent
        for other, link in graph[node].items():
            if other not in delays:
                heapq.heappush(queue, (delay + link.delay, other, node))
    return parents, delays


def along(graph: Graph, edges: Iterable[tuple[int, int]]) -> dict[int, dict[int, Link]]:
    """The part of a graph over which something spreads: these edges, in both directions."""
    part: dict[int, dict[int, Link]] = {node: {} for node in graph}
    for one, other in edges:
        part[one][other] = graph[one][other]
        part[other][one] = graph[other][one]
    return part


@dataclass(slots=True)
class Spread:
    """How one advertisement spread. ``messages`` are its copies, also the repeated ones."""

    reached_at: dict[int, Duration] = field(default_factory=dict)
    messages: int = 0
    acknowledgements: int = 0

    def reached_share_after(self, share: float, of: int) -> Duration | None:
        """The time at which this share of ``of`` nodes was reached; None: never."""
        times = sorted(self.reached_at.values())
        wanted = math.ceil(share * of)
        return times[wanted - 1] if 0 < wanted <= len(times) else None


def spread(
    graph: Graph,
    origin: int,
    rng: Random,
    *,
    dead: Collection[int] = (),
    limit: Duration = 10.0,
    first_repeat: Duration | None = FIRST_REPEAT,
) -> Spread:
    """Flood one advertisement from ``origin`` over the graph's links: each node passes on what is new to it.

    A copy is repeated until it is acknowledged, after ``first_repeat`` and then twice as long each time up to
    LAST_REPEAT (None: never). ``dead`` nodes take nothing; nobody knows that yet.
    """
    return _Flood(graph, rng, frozenset(dead), limit, first_repeat).run(origin)


class _Flood:
    def __init__(
        self, graph: Graph, rng: Random, dead: frozenset[int], limit: Duration, first_repeat: Duration | None
    ) -> None:
        self._graph = graph
        self._rng = rng
        self._dead = dead
        self._limit = limit
        self._first_repeat = first_repeat
        self._result = Spread()
        self._queue: list[tuple[Duration, int, Callable[[Duration], None]]] = []
        self._order = 0
        self._acknowledged: set[tuple[int, int]] = set()

    def run(self, origin: int) -> Spread:
        self._reached(0.0, origin, origin)
        while self._queue and self._queue[0][0] <= self._limit:
            now, _, action = heapq.heappop(self._queue)
            action(now)
        return self._result

    def _at(self, instant: Duration, action: Callable[[Duration], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (instant, self._order, action))

    def _reached(self, now: Duration, node: int, sender: int) -> None:
        self._acknowledged.add((node, sender))  # who sends it holds it
        if node in self._result.reached_at:
            return
        self._result.reached_at[node] = now
        for other in self._graph[node]:
            if other != sender:
                self._send(now, node, other, self._first_repeat)

    def _send(self, now: Duration, source: int, destination: int, repeat: Duration | None) -> None:
        if (source, destination) in self._acknowledged:
            return
        self._result.messages += 1
        link = self._graph[source][destination]
        if destination not in self._dead and self._rng.random() >= link.loss:
            self._at(now + link.delay, lambda then: self._arrive(then, source, destination))
        if repeat is not None:
            following = min(2 * repeat, LAST_REPEAT)
            self._at(now + repeat, lambda then: self._send(then, source, destination, following))

    def _arrive(self, now: Duration, source: int, destination: int) -> None:
        self._result.acknowledgements += 1
        back = self._graph[destination].get(source)
        if back is not None and self._rng.random() >= back.loss:
            self._at(now + back.delay, lambda _: self._acknowledged.add((source, destination)))
        self._reached(now, destination, source)
