"""The ring: nodes in the order of the SHA-256 of their ids. All nodes that know the same ones see the same ring.

Decides nothing. Finding who follows a place takes O(log N), however many nodes there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator
from hashlib import sha256

from treecast.base.ids import NodeIndex

PLACES = 2**64
"""Places on the ring: the first eight bytes of the hash."""


def place_of(node_id: bytes) -> int:
    """The place of a node, by its id."""
    return int.from_bytes(sha256(node_id).digest()[:8], "big")


def points_of(node_id: bytes, what: bytes, count: int) -> list[int]:
    """Places that a node draws, the same ones at each start: nobody else's, and nobody's choice."""
    return [int.from_bytes(sha256(node_id + what + bytes((number,))).digest()[:8], "big") for number in range(count)]


class Ring:
    """Nodes on the ring, each with its place."""

    def __init__(self) -> None:
        self._order: list[tuple[int, NodeIndex]] = []
        self._places: dict[NodeIndex, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, node: NodeIndex) -> bool:
        return node in self._places

    def __iter__(self) -> Iterator[NodeIndex]:
        """In the order of the ring."""
        return (node for _, node in self._order)

    def put(self, node: NodeIndex, place: int) -> bool:
        """A node stands there; whether that is new."""
        if self._places.get(node) == place:
            return False
        self.remove(node)
        self._places[node] = place
        insort(self._order, (place, node))
        return True

    def remove(self, node: NodeIndex) -> bool:
        """A node stands nowhere any more; whether it did."""
        place = self._places.pop(node, None)
        if place is None:
            return False
        del self._order[bisect_left(self._order, (place, node))]
        return True

    def following(self, place: int, without: Collection[NodeIndex] = ()) -> Iterator[NodeIndex]:
        """The nodes at this place and after it, once around, but these."""
        first = bisect_left(self._order, (place, 0))
        for at in range(first, first + len(self._order)):
            node = self._order[at % len(self._order)][1]
            if node not in without:
                yield node

    def preceding(self, place: int, without: Collection[NodeIndex] = ()) -> Iterator[NodeIndex]:
        """The nodes before this place, the last one first, once around, but these."""
        first = bisect_left(self._order, (place, 0)) - 1
        for at in range(first, first - len(self._order), -1):
            node = self._order[at % len(self._order)][1]
            if node not in without:
                yield node
