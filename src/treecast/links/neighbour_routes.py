"""Node routes by neighbours: the next hop to a node that gives no answer at its addresses.

Decides by LINKS, and by what fell silent lately: a neighbour by which a node did is passed over for a while, as long as
another one leads there. Each pair of a neighbour and a node stands for itself, so that nobody's word about one node
costs another one its route. Read ``docs/protocol.md`` section 4 (Node routes) first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_FALLEN_NODE_ROUTES
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after
from treecast.links.handshake_channels import Forwarded
from treecast.links.peers import Peer, Peers

FIRST_PAUSE: Duration = 30.0
LONGEST_PAUSE: Duration = 480.0
"""Doubled with each fall, and as long as that remembered for the next one."""
SEARCHES = 4
"""The searches for one route: each next one goes without a neighbour that is silent itself, or has no path."""
NAMED_AFTER: Duration = 5.0
"""Where a node or the neighbour has ended, that shows by then, and the route is no problem."""
NAMED_NODES = 3

NextHop = Callable[[NodeIndex, Collection[NodeIndex]], NodeIndex | None]
"""The neighbour by which a node is reached, by LINKS of all nodes: on the path with the shortest delay that none of
these nodes is on.
"""


@dataclass(slots=True)
class _Fall:
    """A node fell silent by a neighbour."""

    why: str
    by: NodeIndex
    """The neighbour by which all for the node goes since."""
    epoch_ms: int
    """The run of the neighbour."""
    pause: Duration
    until: Instant
    is_named: bool = True


class NeighbourRoutes:
    """One node's. ``next_hop``: by LINKS."""

    def __init__(self, peers: Peers, next_hop: NextHop) -> None:
        self._peers = peers
        self._next_hop = next_hop
        self._falls: BoundedTable[tuple[NodeIndex, NodeIndex], _Fall] = BoundedTable(MAX_FALLEN_NODE_ROUTES)
        """The falls by neighbour and node, the one that was noted first of all first."""
        self._by: dict[NodeIndex, set[NodeIndex]] = {}
        """The neighbours by which a node fell silent."""

    def best(self, node: NodeIndex, without: Collection[NodeIndex] = ()) -> Forwarded | None:
        """The shortest route to a node, by a neighbour that is received from and has a path, whatever fell silent."""
        excluded = set(without)
        for _ in range(SEARCHES):
            neighbour = self._next_hop(node, excluded)
            peer = self._peers.get(neighbour) if neighbour is not None else None
            route = self._peers.forwarded_by(peer.node, node) if peer is not None and not peer.is_suspect else None
            if route is not None or neighbour is None or neighbour in excluded:
                return route
            excluded.add(neighbour)
        return None

    def untroubled(self, now: Instant, node: NodeIndex, without: Collection[NodeIndex] = ()) -> Forwarded | None:
        """The shortest one by a neighbour by which the node did not fall silent lately."""
        return self.best(node, {*without, *self._troubled(now, node)})

    def is_troubled(self, now: Instant, neighbour: NodeIndex, node: NodeIndex) -> bool:
        """Whether the node fell silent by the neighbour lately, in this run of that."""
        fall, peer = self._falls.get((neighbour, node)), self._peers.get(neighbour)
        return fall is not None and now < fall.until and peer is not None and peer.epoch_ms == fall.epoch_ms

    def _troubled(self, now: Instant, node: NodeIndex) -> Iterator[NodeIndex]:
        return (neighbour for neighbour in self._by.get(node, ()) if self.is_troubled(now, neighbour, node))

    def fell(self, now: Instant, neighbour: Peer, node: NodeIndex, by: NodeIndex, why: str) -> None:
        """A node does not answer by a neighbour, and is tried by another one. ``why``: for people."""
        key = neighbour.node, node
        before = self._falls.get(key)
        again = before is not None and now < after(before.until, LONGEST_PAUSE)
        pause = min(2 * before.pause, LONGEST_PAUSE) if before is not None and again else FIRST_PAUSE
        first = self._falls.put(key, _Fall(why, by, neighbour.epoch_ms, pause, after(now, pause)))
        if first is not None:
            self._unlist(*first[0])
        self._by.setdefault(node, set()).add(neighbour.node)

    def _forget(self, key: tuple[NodeIndex, NodeIndex]) -> None:
        del self._falls[key]
        self._unlist(*key)

    def _unlist(self, neighbour: NodeIndex, node: NodeIndex) -> None:
        self._by[node].discard(neighbour)
        if not self._by[node]:
            del self._by[node]

    def none_is_better(self, node: NodeIndex) -> None:
        """A node does not answer by any neighbour: none of them is named for it."""
        for neighbour in self._by.get(node, ()):
            self._falls[neighbour, node].is_named = False

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """One for each neighbour that answers itself while nodes fell silent by it that answer by another one."""
        named: dict[NodeIndex, list[tuple[NodeIndex, _Fall]]] = {}
        for (neighbour, node), fall in self._falls.items():
            if fall.is_named and now < fall.until:
                fall.is_named = self._is_the_neighbour_s(neighbour, fall)
            target = self._peers.get(node)
            if fall.is_named and now < fall.until and target is not None and target.via == fall.by:
                named.setdefault(neighbour, []).append((node, fall))
        for neighbour, falls in named.items():
            first, (_, fall) = falls[:NAMED_NODES], falls[0]
            nodes = ", ".join(name(node) for node, _ in first)
            nodes += f" and {len(falls) - len(first)} more" if len(falls) > len(first) else ""
            yield _problem(name(neighbour), nodes, name(fall.by), fall.why)

    def _is_the_neighbour_s(self, neighbour: NodeIndex, fall: _Fall) -> bool:
        """Whether the fall is the neighbour's: it is not where that was about to end, or to start again."""
        peer = self._peers.get(neighbour)
        return peer is not None and peer.up and not peer.is_suspect and peer.epoch_ms == fall.epoch_ms


def _problem(neighbour: str, nodes: str, by: str, why: str) -> Problem:
    text = (
        f"what goes to {nodes} by way of {neighbour} {why}, though {neighbour} itself answers; it goes by {by} now: "
        f"see treecast status and treecast peers on {neighbour} (what it drops as forward_budget, whether it reaches "
        f"{nodes}); if all is well there, it or what is between keeps datagrams from here"
    )
    return Problem("node_route_unanswered", neighbour, text, patience=NAMED_AFTER)
