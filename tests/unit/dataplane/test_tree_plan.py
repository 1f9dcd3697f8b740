"""A planner's answer is a tree as far as it can be: the rest are children of the root."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_TREE_CHILDREN
from treecast.base.tree_planner import star
from treecast.dataplane.tree_plan import STAR, TreePlan, plan_of

ROOT = NodeIndex(1)


def plan(members: tuple[int, ...], relays: tuple[int, ...], wanted: dict[int, int]) -> TreePlan:
    parents = {NodeIndex(node): NodeIndex(parent) for node, parent in wanted.items()}
    return plan_of(ROOT, set(map(NodeIndex, members)), set(map(NodeIndex, relays)), parents)


def test_a_star_has_no_branches() -> None:
    assert star(ROOT, [NodeIndex(2)], []) == {}
    assert plan((2, 3), (9,), {}) == plan((2, 3), (9,), {2: 1, 3: 1}) == STAR


def test_a_relay_sends_on_to_those_below_it_and_is_in_their_branch() -> None:
    made = plan((2, 3, 4), (9, 8), {2: 9, 3: 9})
    assert made.parents == {2: 9, 3: 9}
    assert made.children == {9: (2, 3)}
    assert made.branches == {9: (2, 3, 9)}
    assert made.branch_of == {2: 9, 3: 9, 9: 9}
    assert made.relays == {9}, "8 has nobody below"


def test_a_member_may_have_others_below_it_and_relays_may_be_below_relays() -> None:
    made = plan((2, 3, 4), (9, 8), {2: 3, 4: 8, 8: 9})
    assert made.branches == {3: (2, 3), 9: (4, 8, 9)}
    assert made.relays == {8, 9}


def test_circles_strangers_and_the_node_itself_lead_nowhere() -> None:
    assert plan((2, 3, 4, 5), (9,), {2: 3, 3: 2, 4: 4, 5: 77}) == STAR
    made = plan((2, 3, 4), (9,), {2: 9, 9: 77, 3: 9, 4: 3})
    assert made == STAR


def test_two_nodes_are_not_each_other_s_backup_nor_is_a_child_its_parent_s() -> None:
    """A state of a tree that names a node twice is taken by nobody."""
    parents = {NodeIndex(low): NodeIndex(high) for low, high in {2: 8, 3: 9, 4: 8, 5: 2}.items()}
    backups = {NodeIndex(low): NodeIndex(high) for low, high in {2: 3, 3: 2, 4: 9, 8: 4}.items()}
    made = plan_of(ROOT, set(map(NodeIndex, (2, 3, 4, 5))), set(map(NodeIndex, (8, 9))), parents, backups)
    assert made.backups == {4: 9}
    assert made.backup_children == {9: (4,)}


def test_a_node_has_no_more_children_than_a_state_has_room_for() -> None:
    members = tuple(range(10, 10 + MAX_TREE_CHILDREN + 2))
    made = plan(members, (9,), dict.fromkeys(members, 9))
    assert len(made.children[NodeIndex(9)]) == MAX_TREE_CHILDREN
    assert set(members) - set(made.parents) == {members[-1], members[-2]}
