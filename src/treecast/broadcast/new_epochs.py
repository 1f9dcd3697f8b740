"""Nodes that begin one epoch after the other: one that fails again and again, or several machines with its keys.

Each epoch has all others forget what the node had before; ``pace.EPOCH_COST`` bounds what that costs them. Whose doing
it is, is for people: who has recorded what a node said in earlier runs can repeat it to others that remember none of
them, but begins none with the time of now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import LastMinute
from treecast.base.limits import MAX_RESTARTED_NODES
from treecast.base.time import Instant

FEWEST = 8
"""Fewer epochs in a minute are no problem: somebody tries settings. A node's pace has room for twelve a minute."""
FEWEST_SECONDS = 3
_PLACES = 4


@dataclass(frozen=True, slots=True)
class OverAndOver:
    """A node that begins epochs all the time. ``count``: in the last minute; ``places``: where it said that it is.

    ``are_of_now``: too many for a node that starts began lately by their own time, so that nobody can have recorded
    them in earlier runs.
    """

    node: NodeIndex
    count: int
    places: tuple[Endpoint, ...]
    are_of_now: bool


class _Begun:
    """Epochs of one node."""

    __slots__ = ("are_of_now", "counts", "is_named", "of_now", "places")

    def __init__(self) -> None:
        self.counts, self.of_now = LastMinute(), LastMinute()
        """All, and those that began lately by their own time."""
        self.places: dict[Endpoint, None] = {}
        """The last ones that it advertised; the last is last."""
        self.is_named = False
        """Named until none was begun for a minute."""
        self.are_of_now = False
        """Whether as many began lately; as long as it is named."""


class NewEpochs:
    """Epochs that other nodes have begun within the last minute. Of too many nodes the one that began one longest ago
    makes room.
    """

    def __init__(self) -> None:
        self._of: BoundedTable[NodeIndex, _Begun] = BoundedTable(MAX_RESTARTED_NODES)

    def begun(self, now: Instant, node: NodeIndex, endpoints: tuple[Endpoint, ...], *, is_of_now: bool) -> None:
        """A node that is known has begun another epoch, in no run that it had before the last. ``is_of_now``: lately,
        by its own time.
        """
        begun = self._of.get(node) or _Begun()
        self._of.put(node, begun)
        begun.counts.add(now, 1)
        begun.of_now.add(now, int(is_of_now))
        for endpoint in endpoints:
            begun.places.pop(endpoint, None)
            begun.places[endpoint] = None
        while len(begun.places) > _PLACES:
            del begun.places[next(iter(begun.places))]
        many = begun.counts.total >= FEWEST and begun.counts.seconds >= FEWEST_SECONDS
        begun.is_named = begun.is_named or many
        begun.are_of_now = begun.are_of_now or begun.of_now.total >= FEWEST

    def is_named(self, node: NodeIndex) -> bool:
        """Whether people are told of it."""
        begun = self._of.get(node)
        return begun is not None and begun.is_named

    def forget(self, node: NodeIndex) -> None:
        self._of.pop(node, None)

    def over_and_over(self, now: Instant) -> Iterator[OverAndOver]:
        """Each node that begins epochs all the time."""
        for node in sorted(self._of):
            begun = self._of[node]
            begun.counts.expire(now)
            if not begun.counts.total:
                del self._of[node]
            elif begun.is_named:
                yield OverAndOver(node, begun.counts.total, tuple(begun.places), begun.are_of_now)
