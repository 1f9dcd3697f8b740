"""The times since which each link is up, and each node is reached as it is. For people: nothing is decided by it."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant


class LinkHistory:
    """One entry for each linked node."""

    def __init__(self) -> None:
        self._up: dict[NodeIndex, Instant] = {}
        self._routed: dict[NodeIndex, Instant] = {}

    def link_up(self, now: Instant, node: NodeIndex) -> None:
        """A link has come up."""
        self._up[node] = self._routed[node] = now

    def route_changed(self, now: Instant, node: NodeIndex) -> None:
        """The node is reached by its path again, or by another node."""
        self._routed[node] = now

    def link_down(self, node: NodeIndex) -> None:
        """A link has ended."""
        self._up.pop(node, None)
        self._routed.pop(node, None)

    def of(self, node: NodeIndex) -> tuple[Instant | None, Instant | None]:
        """The times since which it is linked, and since which it is reached as it is."""
        return self._up.get(node), self._routed.get(node)
