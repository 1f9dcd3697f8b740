"""Shortest paths over the links that nodes advertise: by which neighbour a node without a link to this one is reached.

Decides by both ends of each link, and by the greater of the delays that they advertise: a node that lists links of its
own making is on no path, and one that makes its links shorter than the others measure them on none that others are not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush

from treecast.base.ids import NodeIndex
from treecast.broadcast.link_state import LinkStateDatabase, ListedBy
from treecast.broadcast.own_links import OwnLinks
from treecast.wire.advertised_links import NOT_MEASURED
from treecast.wire.link_delays import delay_us

LONGEST_PATH = 8
"""Links: the hop limit of Forward (``docs/protocol.md`` section 4)."""
SEARCHED_NODES = 256
"""A search ends after so many lists were read: one of 1,000 links takes 0.2 ms."""
ENOUGH_NODES = 32
"""The same of a search that has found a path."""
SEARCHED_LINKS = 4096
"""No further link is looked at while so many wait, but those of the node itself and of neighbours with it."""

Classes = tuple[int, int]
"""The classes of round trip and loss of a link, as LINKS has them."""


class ShortestPaths:
    """One node's. ``neighbours``: all nodes that it has a link with, as they are now; ``own``: how these links do."""

    def __init__(
        self,
        me: NodeIndex,
        links: LinkStateDatabase,
        listed_by: ListedBy,
        neighbours: Collection[NodeIndex],
        own: OwnLinks,
    ) -> None:
        self._me = me
        self._links = links
        self._listed_by = listed_by
        self._neighbours = neighbours
        self._own = own

    def next_hop(self, node: NodeIndex, without: Collection[NodeIndex]) -> NodeIndex | None:
        """The neighbour on a shortest path to a node that is none; None where no path leads there.

        Of several, both ends of a path of two links take the same one, and other pairs of nodes another. On no path are
        the nodes of ``without``.
        """
        found = self._search(node, without)
        return found[0] if found is not None else None

    def relays(self, node: NodeIndex) -> int:
        """How many nodes are between this one and that on a shortest path; 1 where none is known."""
        found = self._search(node, ())
        return found[1] if found is not None else 1

    def _search(self, node: NodeIndex, without: Collection[NodeIndex]) -> tuple[NodeIndex, int] | None:
        own = {each: self._own.classes(each) for each in self._neighbours if each not in without}
        return _Search(self._me, node, without, self._links, self._listed_by, own).run() if own else None


class _Search:
    """Dijkstra's from the node on. Links wait by what one end advertises of them, and again, when they are the next
    ones, by what the other end does: so few lists are read, however many links there are.
    """

    def __init__(
        self,
        me: NodeIndex,
        to: NodeIndex,
        without: Collection[NodeIndex],
        links: LinkStateDatabase,
        listed_by: ListedBy,
        own: Mapping[NodeIndex, Classes],
    ) -> None:
        self._me = me
        self._to = to
        self._excluded = {me, to, *without}
        self._links = links
        self._listed_by = listed_by
        self._own = own
        self._nearest_us = min(delay_us(*classes) for classes in own.values())
        self._read: dict[NodeIndex, Mapping[int, Classes]] = {}
        self._fewest: dict[NodeIndex, int] = {}
        """Links from ``to`` to each node that was reached: one that is further is of use where it takes fewer."""
        self._waiting: list[tuple[int, bool, int, NodeIndex, NodeIndex, int, int, bool]] = []
        """Length at least, whether it goes on there, tie, node, the one before, length to that, links, both ends."""

    def run(self) -> tuple[NodeIndex, int] | None:
        """The next hop, and how many nodes are between."""
        self._reach(self._to, 0, 0)
        best: tuple[int, bool, int, NodeIndex, int] | None = None
        while self._waiting:
            length, goes_on, tie, node, before, until, links, is_sure = heappop(self._waiting)
            if best is not None and ((length, goes_on, tie) >= best[:3] or len(self._read) >= ENOUGH_NODES):
                return best[3:]
            if goes_on and self._fewest.get(node, LONGEST_PATH) <= links:
                continue
            if not is_sure:
                if node not in self._read and len(self._read) >= SEARCHED_NODES:
                    break
                classes = self._of_both(node, before)
                if classes is None:
                    continue
                length = until + delay_us(*classes)
                if not goes_on:
                    length += delay_us(*_greater(self._own[node], self._listed(node).get(self._me, (NOT_MEASURED, 0))))
                    this = (length, False, tie, node, links + 1)
                    best = min(best or this, this)
                else:
                    entry = (length + self._nearest_us, True, tie, node, before, until, links, True)
                    heappush(self._waiting, entry)
            else:
                self._reach(node, length - self._nearest_us, links)
        return best[3:] if best is not None else None

    def _reach(self, node: NodeIndex, length: int, links: int) -> None:
        """A node is so far from the one that is sought: paths end at its neighbours that are this node's, too, and go
        on at all, from which this node is two links more.
        """
        self._fewest[node] = links
        linked = self._listed_by.select(node, self._own)
        for peer, classes in self._listed(node).items():
            neighbour = NodeIndex(peer)
            if neighbour in self._excluded or (neighbour in self._own and neighbour not in linked):
                continue
            tie = (neighbour + self._me + self._to) * 0x9E37_79B1 & 0xFFFF_FFFF
            to_it = length + delay_us(*classes)
            if neighbour in linked:
                to_me = to_it + delay_us(*self._own[neighbour])
                heappush(self._waiting, (to_me, False, tie, neighbour, node, length, links, False))
            if links + 3 <= LONGEST_PATH and (node == self._to or len(self._waiting) < SEARCHED_LINKS):
                entry = (to_it + self._nearest_us, True, tie, neighbour, node, length, links + 1, False)
                heappush(self._waiting, entry)

    def _listed(self, node: NodeIndex) -> Mapping[int, Classes]:
        listed = self._read.get(node)
        if listed is None:
            listed = self._read[node] = self._links.classes(node)
        return listed

    def _of_both(self, node: NodeIndex, other: NodeIndex) -> Classes | None:
        """The greater classes that the two ends advertise; None where one does not list the other."""
        one = self._listed(node).get(other)
        return _greater(one, self._listed(other)[node]) if one is not None else None


def _greater(one: Classes, other: Classes) -> Classes:
    return max(one[0], other[0]), max(one[1], other[1])
