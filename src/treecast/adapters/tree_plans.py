"""Plans of trees by ``crates/plan``; plain Python that gives the same plans: ``sim/tree_plans.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from treecast import _native
from treecast.base.ids import NodeIndex
from treecast.base.planned_tree import PairParents, PlannedPair, PlannedTree, TreeRequest
from treecast.wire.link_delays import DELAYS_US

__all__ = ["LinkGraph"]


class LinkGraph:
    """A ``LinkPlanner``."""

    def __init__(self) -> None:
        self._graph = _native.LinkGraph(DELAYS_US)

    def __len__(self) -> int:
        """Entries of LINKS that are held."""
        return len(self._graph)

    def set_links(self, node: NodeIndex, chunk: int, links: Sequence[tuple[int, int, int]]) -> None:
        """A chunk lists these links from now on."""
        self._graph.set_links(node, chunk, list(links))

    def plan(self, request: TreeRequest) -> PlannedTree:
        """ValueError for places that are not ascending, or without the root."""
        kept = None if request.kept is None else _pairs(request.kept)
        return _planned(self._graph.plan(request.root, list(request.nodes), kept))

    def plan_pair(self, request: TreeRequest, kept: PairParents | None = None) -> PlannedPair:
        """The same."""
        pairs = None if kept is None else (_pairs(kept[0]), _pairs(kept[1]))
        one, other = self._graph.plan_pair(request.root, list(request.nodes), pairs)
        return _planned(one), _planned(other)


def _planned(answer: tuple[list[tuple[int, int]], int, int, list[tuple[int, int]]]) -> PlannedTree:
    parents, mean_us, missed, backups = answer
    return PlannedTree(_by_index(parents), mean_us, missed, _by_index(backups))


def _pairs(parents: Mapping[NodeIndex, NodeIndex]) -> list[tuple[int, int]]:
    return [(int(low), int(high)) for low, high in parents.items()]


def _by_index(pairs: Iterable[tuple[int, int]]) -> dict[NodeIndex, NodeIndex]:
    return {NodeIndex(node): NodeIndex(other) for node, other in pairs}
