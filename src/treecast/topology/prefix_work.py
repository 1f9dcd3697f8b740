"""Groups whose trees are to be planned anew for a node because it wants a prefix that contains them, or no more.

A prefix may hold all groups that there are: some are planned at a time, nodes by turns. Of each node there is one range
of groups that are left, so what it wants next adds to that, and nothing is planned twice for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket

GroupPosition = tuple[int, int, int]
"""VLAN, IP version and address of a group: its position among all, in order."""
Planned = Callable[[NodeIndex, GroupKey], bool]
"""Plans a group for a node; whether that changed anything."""

PLANS_PER_S, PLANS_BURST = 2000.0, 128.0
"""Each changes a tree, which takes 0.1 ms and more."""
AT_A_TIME = 32
"""Groups of one node, before the next one has its turn."""
UNCHANGED = 1 / 16
"""The work of a look at a group for which nothing changes."""


class PrefixWork:
    """One node's, for all others. ``groups``: those from one position on up to another, in order."""

    def __init__(self, groups: Callable[[GroupPosition, GroupPosition], Iterator[GroupKey]]) -> None:
        self._groups = groups
        self._left: dict[NodeIndex, tuple[GroupPosition, GroupPosition]] = {}
        """The first and the last position that are left, the node whose turn is next first."""
        self._work = TokenBucket.full(PLANS_PER_S, PLANS_BURST, Instant(0.0))

    def __len__(self) -> int:
        """Nodes for which something is left."""
        return len(self._left)

    def put(self, node: NodeIndex, key: PrefixKey) -> None:
        """The node wants the prefix from now on, or no more."""
        first, last = positions(key)
        left = self._left.get(node)
        self._left[node] = (first, last) if left is None else (min(left[0], first), max(left[1], last))

    def pop(self, node: NodeIndex) -> list[GroupKey]:
        """The groups that are left of a node, which are none any more."""
        left = self._left.pop(node, None)
        return [] if left is None else list(self._groups(*left))

    def do(self, now: Instant, planned: Planned) -> None:
        """Plans as many groups as there is time for."""
        while self._left and self._work.has(now):
            node, (first, last) = next(iter(self._left.items()))
            del self._left[node]
            for count, group in enumerate(self._groups(first, last)):
                if count == AT_A_TIME or not self._work.has(now):
                    self._left[node] = (position(group), last)
                    break
                self._work.take(now, 1.0 if planned(node, group) else UNCHANGED)

    def next_deadline(self, now: Instant) -> Instant | None:
        """The time at which ``do`` has something."""
        return self._work.next(now) if self._left else None


def position(group: GroupKey) -> GroupPosition:
    vlan, address = group
    return vlan, address.version, int(address)


def positions(key: PrefixKey) -> tuple[GroupPosition, GroupPosition]:
    """The first and the last one that a prefix contains."""
    vlan, prefix = key
    first = int(prefix.network_address)
    return (vlan, prefix.version, first), (vlan, prefix.version, first | int(prefix.hostmask))
