"""Consulted neighbours: the linked nodes whose advertisements show whether an origin has a link.

Decides by both ends' advertisements. Which neighbours an origin lists is read from its LINKS once, until those change:
a node that reaches few of many judges all the others each second.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from treecast.base.ids import NodeIndex
from treecast.broadcast.link_state import LinkStateDatabase

CONSULTED_NEIGHBOURS = 4
"""The neighbours for each origin: a list of 1,000 takes 50 us to read."""


class ConsultedNeighbours:
    """The consulted neighbours of each origin that was judged. ``neighbours``: all linked nodes, as they are now."""

    def __init__(self, link_state: LinkStateDatabase, neighbours: Collection[NodeIndex]) -> None:
        self._link_state = link_state
        self._neighbours = neighbours
        self._of: dict[NodeIndex, tuple[NodeIndex, ...] | None] = {}
        """None for an origin that lists nobody. Bounded as origins are."""

    def confirm(self, origin: NodeIndex) -> bool:
        """Whether an origin whose advertisements are held has a link: the first few neighbours that it lists decide,
        for each that it has lost shows that. Of one that lists others only nothing is known.
        """
        if origin not in self._of:
            listed = self._link_state.read(origin)
            first = islice((peer for peer in self._neighbours if peer in listed), CONSULTED_NEIGHBOURS)
            self._of[origin] = tuple(first) if listed else None
        consulted = self._of[origin]
        if not consulted:
            return consulted is not None
        return any(origin in self._link_state.of(peer) for peer in consulted)

    def link_up(self) -> None:
        """A neighbour is new: origins that list few may list it."""
        for origin in [
            origin for origin, few in self._of.items() if few is not None and len(few) < CONSULTED_NEIGHBOURS
        ]:
            del self._of[origin]

    def link_down(self, peer: NodeIndex) -> None:
        """A neighbour is one no more."""
        self._of = {origin: them for origin, them in self._of.items() if them is None or peer not in them}

    def forget(self, origin: NodeIndex) -> None:
        """The origin's LINKS have changed, or it has ended."""
        self._of.pop(origin, None)

    def origins(self) -> list[NodeIndex]:
        """Origins that were judged."""
        return sorted(self._of)
