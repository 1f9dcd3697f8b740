"""Shares: the entries of a table by the nodes that have them there.

A full table makes room for another entry with the newest one of the node that has the most. So nodes that fill it
together keep nobody from it who has fewer entries than its even share.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from treecast.base.ids import NodeIndex

K = TypeVar("K", bound=Hashable)


class Shares(Generic[K]):
    """Entries of each node, the oldest first. Each step takes as long in a full table as in an empty one."""

    def __init__(self) -> None:
        self._of: dict[NodeIndex, dict[K, None]] = {}
        self._with: dict[int, dict[NodeIndex, None]] = {}
        """The nodes with so many entries."""
        self._most = 0

    def put(self, node: NodeIndex, key: K) -> None:
        """The node has this entry; one that it has already stays as old as it is."""
        entries = self._of.setdefault(node, {})
        if key not in entries:
            entries[key] = None
            self._counts(node, len(entries) - 1, len(entries))

    def remove(self, node: NodeIndex, key: K) -> None:
        """The node has this entry no more, if it had it."""
        entries = self._of.get(node, {})
        if key in entries:
            del entries[key]
            if not entries:
                del self._of[node]
            self._counts(node, len(entries) + 1, len(entries))

    def count(self, node: NodeIndex) -> int:
        return len(self._of.get(node, ()))

    def of(self, node: NodeIndex) -> Iterable[K]:
        """The node's entries, the oldest first."""
        return self._of.get(node, ())

    def largest(self) -> tuple[NodeIndex, int] | None:
        """A node with most entries, and how many; None in an empty table."""
        return (next(reversed(self._with[self._most])), self._most) if self._most else None

    def to_evict(self, node: NodeIndex) -> tuple[NodeIndex, K] | None:
        """The newest entry of a node with the most, where this node would have fewer than that one with one more."""
        if self.count(node) + 1 >= self._most:
            return None
        most = next(reversed(self._with[self._most]))
        return most, next(reversed(self._of[most]))

    def _counts(self, node: NodeIndex, before: int, now: int) -> None:
        nodes = self._with.get(before, {})
        nodes.pop(node, None)
        if before and not nodes:
            del self._with[before]
        if now:
            self._with.setdefault(now, {})[node] = None
        self._most = max(now, self._most if self._with.get(self._most) else self._most - 1)
