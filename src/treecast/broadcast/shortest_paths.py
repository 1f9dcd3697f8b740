"""Shortest paths over the links that nodes advertise: by which neighbour a node without a link to this one is reached.

Decides by both ends of each link: a node that lists links of its own making is on no path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from treecast.base.ids import NodeIndex
from treecast.broadcast.link_state import LinkState, ListedBy

LONGEST_PATH = 8
"""Links: the hop limit of Forward (``docs/protocol.md`` section 4)."""
SEARCHED_NODES = 256
"""A search ends after so many: a list of 1,000 links takes 50 us to read."""


class ShortestPaths:
    """One node's. ``neighbours``: all nodes that it has a link with, as they are now."""

    def __init__(self, me: NodeIndex, links: LinkState, listed_by: ListedBy, neighbours: Collection[NodeIndex]) -> None:
        self._me = me
        self._links = links
        self._listed_by = listed_by
        self._neighbours = neighbours

    def next_hop(self, node: NodeIndex) -> NodeIndex | None:
        """The neighbour on a shortest path to a node that is none; None where no path leads there.

        Of several, both ends of a path of two links take the same one, and other pairs of nodes another.
        """
        seen, reached = {self._me, node}, [node]
        for _ in range(LONGEST_PATH - 1):
            found = sorted({neighbour for each in reached for neighbour in self._neighbours_of(each)} - seen)
            if found:
                return found[(self._me + node) % len(found)]
            reached = self._following(reached, seen)
        return None

    def _neighbours_of(self, node: NodeIndex) -> set[NodeIndex]:
        """The neighbours of this node that have a link with another one."""
        listing = self._listed_by.select(node, self._neighbours)
        return listing & self._links.of(node) if listing else set()

    def _following(self, reached: Iterable[NodeIndex], seen: set[NodeIndex]) -> list[NodeIndex]:
        """The nodes one link further, none of them a neighbour of this one."""
        following: list[NodeIndex] = []
        for node in reached:
            for other in sorted(map(NodeIndex, self._links.of(node))):
                if other in seen or other in self._neighbours:
                    continue
                if len(seen) > SEARCHED_NODES:
                    return following
                seen.add(other)
                if node in self._links.of(other):
                    following.append(other)
        return following
