"""The model's ``LinkPlanner``: plans of trees in plain Python over the links that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from treecast.base.ids import NodeIndex
from treecast.base.planned_tree import PairParents, PlannedPair, PlannedTree, TreeRequest
from treecast.sim.disjoint_plans import plan_pair
from treecast.sim.tree_plans import PlanRequest, Tree, backups, improve, keep, plan
from treecast.wire.link_delays import delay_us


class LinkGraph:
    """A ``LinkPlanner``, as ``adapters.tree_plans`` has one."""

    def __init__(self) -> None:
        self._listed: dict[NodeIndex, dict[int, Sequence[tuple[int, int, int]]]] = {}

    def set_links(self, node: NodeIndex, chunk: int, links: Sequence[tuple[int, int, int]]) -> None:
        """A chunk of the node's LINKS lists these from now on."""
        self._listed.setdefault(node, {})[chunk] = links

    def _classes(self, node: NodeIndex) -> dict[int, tuple[int, int]]:
        chunks = sorted(self._listed.get(node, {}).items())
        return {peer: (rtt, loss) for _, links in chunks for peer, rtt, loss in links}

    def plan(self, request: TreeRequest) -> PlannedTree:
        """The tree of ``plan`` and ``improve``, or of ``keep``."""
        numbered = _Numbered(request)
        wanted = self._wanted(request, numbered)
        if request.kept is None:
            tree = plan(wanted)
            improve(tree, len(request.nodes))
        else:
            tree = keep(wanted, numbered.by_number(request.kept))
        return numbered.planned(tree, backups(tree))

    def plan_pair(self, request: TreeRequest, kept: PairParents | None = None) -> PlannedPair:
        """The trees of ``disjoint_plans``."""
        numbered = _Numbered(request)
        before = None if kept is None else (numbered.by_number(kept[0]), numbered.by_number(kept[1]))
        one, other = plan_pair(self._wanted(request, numbered), before)
        return numbered.planned(one, {}), numbered.planned(other, {})

    def _wanted(self, request: TreeRequest, numbered: _Numbered) -> PlanRequest:
        number, root = numbered.number, numbered.number[request.root]
        classes = [self._classes(node) for node in numbered.nodes]
        links = [
            {
                number[NodeIndex(peer)]: max(delay_us(*map(max, mine, classes[number[NodeIndex(peer)]][node])), 1)
                for peer, mine in of.items()
                if peer != node and peer in number and node in classes[number[NodeIndex(peer)]]
            }
            for node, of in zip(numbered.nodes, classes, strict=True)
        ]
        others = [(at, each) for at, each in enumerate(request.nodes) if at != root]
        return PlanRequest(
            links,
            root,
            [at for at, each in others if each.is_member],
            [at for at, each in others if not each.is_member and each.most_children],
            [each.most_children for each in request.nodes],
            [each.copy_us for each in request.nodes],
        )


class _Numbered:
    """The nodes of a request, by their places in it."""

    def __init__(self, request: TreeRequest) -> None:
        self.nodes = [each.node for each in request.nodes]
        self.number = {node: at for at, node in enumerate(self.nodes)}

    def by_number(self, parents: Mapping[NodeIndex, NodeIndex]) -> dict[int, int]:
        """The parents of those nodes that are there."""
        known = {low: high for low, high in parents.items() if low in self.number and high in self.number}
        return {self.number[low]: self.number[high] for low, high in known.items()}

    def planned(self, tree: Tree, chosen: Mapping[int, int]) -> PlannedTree:
        """The tree by the nodes' indices. ``chosen``: backups."""
        parents = {self.nodes[low]: self.nodes[high] for low, high in sorted(tree.parents.items())}
        named = {self.nodes[node]: self.nodes[backup] for node, backup in sorted(chosen.items())}
        return PlannedTree(parents, tree.mean_us(), len(tree.missed()), named)
