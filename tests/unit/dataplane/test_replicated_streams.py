"""Replicated streams within bounds: the root sends to all members itself, and so to fewer on its other trees."""

from __future__ import annotations

from tests.unit.dataplane.test_bounded_planning import ONE, TWO, Root, Tree, children_of_root
from treecast.base.tree_modes import TreeMode
from treecast.dataplane.tree_plan import STAR


def test_a_replicated_stream_is_a_star_whose_children_leave_less_to_the_other_trees() -> None:
    root = Root(9, most=4)
    tree = Tree(ONE, set(root.nodes[:3]), TreeMode.REPLICATED)
    assert root.planning.plan(root.now, tree) == STAR
    assert root.planning.decision(ONE) is None
    assert root.planning.own_children() == 3
    assert children_of_root(root.plan(*root.nodes, stream=TWO), set(root.nodes)) == 1
    root.planning.plan(root.now, Tree(ONE, {root.nodes[0]}, TreeMode.REPLICATED))
    assert root.planning.own_children() == 2
    root.planning.forget(ONE)
    assert root.planning.own_children() == 1
