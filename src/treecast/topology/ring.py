"""The ring: nodes in the order of the SHA-256 of their ids. All nodes that know the same ones see the same ring.

Decides nothing. Finding who follows a position takes O(log N), however many nodes there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator
from hashlib import sha256

from treecast.base.ids import NodeIndex

POSITIONS = 2**64
"""Positions on the ring: the first eight bytes of the hash."""


def position_of(node_id: bytes) -> int:
    """The position of a node, by its id."""
    return int.from_bytes(sha256(node_id).digest()[:8], "big")


def points_of(node_id: bytes, what: bytes, count: int) -> list[int]:
    """Positions that a node draws, the same ones at each start: nobody else's, and nobody's choice."""
    return [int.from_bytes(sha256(node_id + what + bytes((number,))).digest()[:8], "big") for number in range(count)]


class Ring:
    """Nodes on the ring, each with its position."""

    def __init__(self) -> None:
        self._order: list[tuple[int, NodeIndex]] = []
        self._positions: dict[NodeIndex, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, node: NodeIndex) -> bool:
        return node in self._positions

    def __iter__(self) -> Iterator[NodeIndex]:
        """The nodes in the order of the ring."""
        return (node for _, node in self._order)

    def put(self, node: NodeIndex, position: int) -> bool:
        """A node stands there; whether that is new."""
        if self._positions.get(node) == position:
            return False
        self.remove(node)
        self._positions[node] = position
        insort(self._order, (position, node))
        return True

    def remove(self, node: NodeIndex) -> bool:
        """A node stands nowhere any more; whether it did."""
        position = self._positions.pop(node, None)
        if position is None:
            return False
        del self._order[bisect_left(self._order, (position, node))]
        return True

    def following(self, position: int, without: Collection[NodeIndex] = ()) -> Iterator[NodeIndex]:
        """The nodes at this position and after it, once around, but these."""
        first = bisect_left(self._order, (position, 0))
        for at in range(first, first + len(self._order)):
            node = self._order[at % len(self._order)][1]
            if node not in without:
                yield node

    def preceding(self, position: int, without: Collection[NodeIndex] = ()) -> Iterator[NodeIndex]:
        """The nodes before this position, the last one first, once around, but these."""
        first = bisect_left(self._order, (position, 0)) - 1
        for at in range(first, first - len(self._order), -1):
            node = self._order[at % len(self._order)][1]
            if node not in without:
                yield node
