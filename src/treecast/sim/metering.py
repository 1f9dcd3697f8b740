"""Costs of engines: processor time per node and virtual second."""

from __future__ import annotations

from collections.abc import Callable

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant


class Meter:
    """Sums what the engines of a world take of a clock, which the caller chooses."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.total_s = 0.0
        self._of_node_second: dict[tuple[NodeIndex, int], float] = {}

    def add(self, node: NodeIndex, now: Instant, taken_s: float) -> None:
        self.total_s += taken_s
        key = (node, int(now))
        self._of_node_second[key] = self._of_node_second.get(key, 0.0) + taken_s

    @property
    def busiest_s(self) -> float:
        """The most that one node took within one virtual second."""
        return max(self._of_node_second.values(), default=0.0)

    def reset(self) -> None:
        self.total_s = 0.0
        self._of_node_second.clear()
