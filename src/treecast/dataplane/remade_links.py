"""Links that were made anew while they were up: their nodes may have lost what the root gave them.

Decides when such a node is offered all that again: at once, and once in a while however often it makes its link anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.dataplane.root_tree import RootTree

PAUSE: Duration = 10.0
"""The time between two of these for one node. Who forgets its keys more often waits for them."""
OFFERS_AT_ONCE = 64
OFFERS_PAUSE: Duration = 0.01
"""Trees of one node are offered so many at a time, with this between them: what others want goes in between."""


class RemadeLinks:
    """A root's."""

    def __init__(self) -> None:
        self._due: Timers[NodeIndex] = Timers()
        """The time at which all is offered again to each node whose link was made anew."""
        self._offered: dict[NodeIndex, Instant] = {}
        """The time at which all was offered again to each linked node."""

    def note(self, now: Instant, node: NodeIndex) -> None:
        """The link to the node was made anew."""
        if node not in self._due:
            last = self._offered.get(node)
            self._due.set(node, now if last is None else max(now, after(last, PAUSE)))

    def due(self, now: Instant) -> list[NodeIndex]:
        """Take the nodes that are to be offered all again."""
        nodes = self._due.due(now)
        self._offered.update(dict.fromkeys(nodes, now))
        return nodes

    def forget(self, node: NodeIndex) -> None:
        """The link has ended."""
        self._due.cancel(node)
        self._offered.pop(node, None)

    def next_deadline(self) -> Instant | None:
        return self._due.next()


def offered_again(now: Instant, trees: Iterable[RootTree], node: NodeIndex) -> Iterator[tuple[Instant, RootTree]]:
    """The trees whose keys the node may have lost, and when it is offered each. It stays a next hop: copies would be a
    second of each frame, if it has them.
    """
    number = 0
    for tree in trees:
        if tree.hands_out_keys and tree.newest_key.doubt(node):
            yield after(now, number // OFFERS_AT_ONCE * OFFERS_PAUSE), tree
            number += 1
