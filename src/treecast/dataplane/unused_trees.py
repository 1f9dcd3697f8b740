"""Unused trees: those that no frame has taken yet, by the members that they were made for.

A full table makes room for another tree with one of these, of the member that has the most: what one member subscribes
to, or several together, keeps the groups of nobody else from their trees.
"""

from __future__ import annotations

from collections.abc import Collection

from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex


class UnusedTrees:
    """A root's. Each counts for one of its members: the one with the fewest then."""

    def __init__(self) -> None:
        self._of: dict[NodeIndex, dict[Flow, None]] = {}
        """Flows of each member, the oldest first."""
        self._member: dict[Flow, NodeIndex] = {}

    def __len__(self) -> int:
        return len(self._member)

    def put(self, flow: Flow, members: Collection[NodeIndex]) -> None:
        """The tree of the flow has these members, and no frame has taken it."""
        before = self._member.get(flow)
        if before in members:
            return
        self.remove(flow)
        if members:
            member = min(members, key=self._rank)
            self._of.setdefault(member, {})[flow] = None
            self._member[flow] = member

    def remove(self, flow: Flow | None) -> None:
        """The tree is used, or there is none any more."""
        member = self._member.pop(flow, None) if flow is not None else None
        if flow is not None and member is not None:
            del self._of[member][flow]
            if not self._of[member]:
                del self._of[member]

    def that_makes_room(self, members: Collection[NodeIndex]) -> Flow | None:
        """The newest of the member with the most, where one of these members would still have fewer than that one."""
        most = max(self._of, key=self._rank, default=None)
        if most is None or not members or self._count(min(members, key=self._rank)) + 1 >= self._count(most):
            return None
        return next(reversed(self._of[most]))

    def _count(self, member: NodeIndex) -> int:
        return len(self._of.get(member, ()))

    def _rank(self, member: NodeIndex) -> tuple[int, int]:
        return (self._count(member), member)
