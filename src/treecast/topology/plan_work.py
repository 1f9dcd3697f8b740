"""Groups whose trees are to be planned anew for a node: its link came or went, or a prefix did, or a run of it ended.

That may be all groups that there are: some are planned at a time, nodes by turns. Of each node there is one range of
its own groups that are left and one of those in prefixes, so what happens to it next adds to that, and what it makes
happen over and over waits for its own turns. Groups that this node sends to wait for none (``topology``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
FIRST: GroupPosition = (0, 0, 0)


@dataclass(slots=True)
class _Left:
    """The work that is left of one node."""

    is_to_end: bool = False
    """Groups that an earlier run of it wanted."""
    own: GroupPosition | None = None
    """The first one that is left of the groups that it wants by themselves."""
    in_prefixes: tuple[GroupPosition, GroupPosition] | None = None
    """The first and the last one that are left of all groups, for what it wants by prefixes."""

    @property
    def is_something(self) -> bool:
        return self.is_to_end or self.own is not None or self.in_prefixes is not None


class PlanWork:
    """One node's, for all others."""

    def __init__(
        self,
        groups: Callable[[GroupPosition, GroupPosition], Iterator[GroupKey]],
        own: Callable[[NodeIndex, GroupPosition], Iterator[GroupKey]],
        end: Callable[[Instant, NodeIndex], int],
    ) -> None:
        """``groups``: those from one position on up to another, in order; ``own``: a node's from a position on.
        ``end``: ends some of those that an earlier run of a node wanted; returns how many, 0 where none are left.
        """
        self._groups, self._own, self._end = groups, own, end
        self._left: dict[NodeIndex, _Left] = {}
        """The node whose turn is next first."""
        self._work = TokenBucket.full(PLANS_PER_S, PLANS_BURST, Instant(0.0))

    def __len__(self) -> int:
        """Nodes for which something is left."""
        return len(self._left)

    def __contains__(self, node: NodeIndex) -> bool:
        return node in self._left

    def nodes(self) -> tuple[NodeIndex, ...]:
        """Nodes for which something is left."""
        return tuple(self._left)

    def put_prefix(self, node: NodeIndex, key: PrefixKey) -> None:
        """The groups of a prefix are to be planned for the node."""
        first, last = positions(key)
        left = self._left.setdefault(node, _Left())
        before = left.in_prefixes
        left.in_prefixes = (first, last) if before is None else (min(before[0], first), max(before[1], last))

    def put_own(self, node: NodeIndex) -> None:
        """The groups that the node wants by themselves are to be planned for it."""
        self._left.setdefault(node, _Left()).own = FIRST

    def put_ended(self, node: NodeIndex) -> None:
        """There are groups of an earlier run of the node to be ended."""
        self._left.setdefault(node, _Left()).is_to_end = True

    def do(self, now: Instant, planned: Planned) -> None:
        """Plans as many groups as there is time for."""
        while self._left and self._work.has(now):
            node, left = next(iter(self._left.items()))
            del self._left[node]
            self._turn(now, node, left, planned)
            if left.is_something:
                self._left[node] = left

    def _turn(self, now: Instant, node: NodeIndex, left: _Left, planned: Planned) -> None:
        count = 0
        while left.is_to_end:
            if self._is_over(now, count):
                return
            ended = self._end(now, node)
            left.is_to_end = ended > 0
            count += ended
            self._work.take(now, ended)
        for group in self._own(node, left.own) if left.own is not None else ():
            if self._is_over(now, count):
                left.own = position(group)
                return
            count += 1
            self._plan(now, node, group, planned)
        left.own = None
        first, last = left.in_prefixes or (FIRST, FIRST)
        for group in self._groups(first, last):
            if self._is_over(now, count):
                left.in_prefixes = (position(group), last)
                return
            count += 1
            self._plan(now, node, group, planned)
        left.in_prefixes = None

    def _is_over(self, now: Instant, count: int) -> bool:
        """Whether the next one's turn has come, or all have to wait."""
        return count >= AT_A_TIME or not self._work.has(now)

    def _plan(self, now: Instant, node: NodeIndex, group: GroupKey, planned: Planned) -> None:
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
