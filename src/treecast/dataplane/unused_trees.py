"""Unused trees: those that no frame has taken yet, by the members that they were made for.

A full table makes room for another tree with one of these, of the member that has the most: what one member subscribes
to, or several together, keeps the groups of nobody else from their trees.
"""

from __future__ import annotations

from collections.abc import Collection

from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.shares import Shares


class UnusedTrees:
    """A root's. Each counts for one of its members: the one with the fewest then."""

    def __init__(self) -> None:
        self._shares: Shares[Flow] = Shares()
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
            self._shares.put(member, flow)
            self._member[flow] = member

    def remove(self, flow: Flow | None) -> None:
        """The tree is used, or there is none any more."""
        member = self._member.pop(flow, None) if flow is not None else None
        if flow is not None and member is not None:
            self._shares.remove(member, flow)

    def to_evict(self, members: Collection[NodeIndex]) -> Flow | None:
        """The newest of the member with the most, where one of these members would still have fewer than that one."""
        evicted = self._shares.to_evict(min(members, key=self._rank)) if members else None
        return None if evicted is None else evicted[1]

    def _rank(self, member: NodeIndex) -> tuple[int, int]:
        return (self._shares.count(member), member)
