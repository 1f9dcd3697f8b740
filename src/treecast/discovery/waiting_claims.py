"""Waiting claims: nodes claim hosts for which the table is full; once there is space they are learned anew in turn."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after

PAUSE: Duration = 1.0
"""The time from one node that is learned anew to the next."""


class WaitingClaims:
    """Bounded by the nodes that are known."""

    def __init__(self) -> None:
        self._nodes: dict[NodeIndex, None] = {}
        """The one that has waited longest comes first."""
        self._not_before = Instant(0.0)

    def put(self, node: NodeIndex) -> None:
        """A claim of the node has found no room, or has lost its place."""
        self._nodes.setdefault(node)

    def discard(self, node: NodeIndex) -> None:
        """The node is gone."""
        self._nodes.pop(node, None)

    def take(self, now: Instant) -> NodeIndex | None:
        """The node that is to be learned anew now; to be called where there is room."""
        if not self._nodes or now < self._not_before:
            return None
        self._not_before = after(now, PAUSE)
        node = next(iter(self._nodes))
        del self._nodes[node]
        return node

    def next_deadline(self) -> Instant | None:
        """The time at which ``take`` has a node."""
        return self._not_before if self._nodes else None

    def __contains__(self, node: NodeIndex) -> bool:
        return node in self._nodes
