"""Plans of protected streams: two trees with disjoint interiors, who watches whom, and when there is one tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataplane.test_bounded_planning import EPOCH, ONE, ROOT, Root, Tree, children_of_root
from treecast.base.ids import KeyId, NodeIndex
from treecast.base.parent_failures import ParentFailure
from treecast.base.plan_causes import OneTreeReason
from treecast.base.relaying import Relaying
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeMode
from treecast.dataplane.bounded_planning import FULL_PLAN_INTERVAL
from treecast.dataplane.sender_key import SENDER_KEY, TREE_STATE, RootEvent, SenderKey
from treecast.dataplane.stragglers import WAIT
from treecast.dataplane.tree_plan import STAR, LostPlace, TreePlan, plan_of_two


def above(plan: TreePlan, node: NodeIndex) -> set[NodeIndex]:
    parents = {plan.parents.get(node, ROOT)}
    return parents | {plan.second_parents[node]} if node in plan.second_parents else parents


def reached(plan: TreePlan, dead: NodeIndex) -> set[NodeIndex]:
    """The nodes to which a way from the root leads past the dead one."""
    found = {ROOT}
    while more := {node for node in plan.branch_of if node != dead and above(plan, node) & found} - found:
        found |= more
    return found - {ROOT}


class Protected(Root):
    """A root whose stream is protected."""

    def __init__(self, nodes: int, most: int = 4, seed: int = 1) -> None:
        super().__init__(nodes, most, seed)
        self.tree = Tree(ONE, set(self.nodes), TreeMode.PROTECTED)

    def again(self) -> TreePlan:
        return self.planning.plan(self.now, self.tree)

    def why_one(self) -> OneTreeReason | None:
        decision = self.planning.decision(ONE)
        return None if decision is None else decision.why_one

    def use(self, plan: TreePlan, *silent: NodeIndex) -> SenderKey:
        """The plan's key is in use; all nodes but these have acknowledged it."""
        key = SenderKey(KeyId(1), EPOCH, RootEvent.TREE_CREATED)
        key.follow(plan)
        self.tree.keys = (key,)
        for node in self.nodes:
            if node not in silent:
                key.acknowledge(node, SENDER_KEY)
                key.acknowledge(node, TREE_STATE)
        return key


@settings(max_examples=60, deadline=None)
@given(nodes=st.integers(5, 24), most=st.integers(2, 8), seed=st.integers(0, 9), data=st.data())
def test_whoever_dies_all_others_are_reached_within_all_bounds(
    nodes: int, most: int, seed: int, data: st.DataObject
) -> None:
    root = Protected(nodes, most, seed)
    root.tree.members = set(data.draw(st.permutations(root.nodes))[: data.draw(st.integers(1, nodes))])
    plan = root.again()
    assert root.why_one() is None
    assert children_of_root(plan, root.tree.members) if plan == STAR else len(plan.root_children) <= most
    assert all(len(below) <= most for below in plan.children.values())
    members = root.tree.members if plan != STAR else set()
    assert members <= plan.branch_of.keys()
    for dead in root.nodes:
        assert reached(plan, dead) >= members - {dead}
    for node, parent in plan.parents.items():
        assert node in plan.children[parent]
    for node, second in plan.second_parents.items():
        assert second != plan.parents.get(node, ROOT)
        assert node in (plan.root_children if second == ROOT else plan.children[second])
    assert root.planning.own_children() == (len(plan.root_children) or len(root.tree.members))


def test_the_children_of_a_parent_are_dealt_out_so_that_somebody_watches_each() -> None:
    one, two, three, four, five, six = (NodeIndex(node) for node in range(2, 8))
    first = {one: ROOT, two: one, three: one, four: one, five: one, six: one}
    second = {six: ROOT, one: six, two: six, three: six, four: six, five: six}
    plan = plan_of_two(ROOT, {*first}, first, second)
    assert plan.parents[one] == six and plan.second_parents[one] == ROOT
    assert plan.watching(one) == (two, three, five, six)
    assert plan.watching(six) == (one, four)
    assert plan.root_children == (one, six)
    assert plan.first_hops(one) == (one, six)
    assert plan.copies_of_root({*first, NodeIndex(9)}) == 3
    assert plan_of_two(ROOT, {one, two}, {one: ROOT, two: ROOT}, {one: ROOT, two: ROOT}) == STAR


def test_who_joins_moves_nobody_and_a_much_better_plan_counts_after_ten_seconds() -> None:
    root = Protected(12)
    root.tree.members -= {root.nodes[-1]}
    before = root.again()
    root.tree.members.add(root.nodes[-1])
    after = root.again()
    for node in before.branch_of:
        assert above(after, node) == above(before, node)
    root.set_delays(7)
    root.now = Instant(FULL_PLAN_INTERVAL)
    assert root.planning.due(root.now) == [ONE]
    assert root.again() != after


def test_a_root_with_one_child_and_relays_without_places_have_one_tree_for_a_reason() -> None:
    root = Protected(6, most=1)
    plan = root.again()
    assert (root.why_one(), plan.second_parents) == (OneTreeReason.BOUND, {})
    root = Protected(9, most=2)
    for node in root.nodes[4:]:
        root.said[node] = Relaying(relays=False, max_children=0)
    assert root.again().second_parents == {}
    assert root.why_one() is OneTreeReason.PLACES
    (problem,) = (one for one in root.planning.problems() if one.kind == "not_protected")
    assert problem.text.startswith("1 streams that --protect names go by one tree")
    for node in root.nodes:
        root.said[node] = Relaying(max_children=4)
    root.planning.changed()
    root.now = Instant(FULL_PLAN_INTERVAL)
    assert root.planning.due(root.now) == [ONE]
    assert root.again().second_parents != {}
    assert root.why_one() is None
    assert not [one for one in root.planning.problems() if one.kind == "not_protected"]


def test_a_first_tree_of_all_members_is_no_protection_where_the_second_has_not_all() -> None:
    root = Protected(6, most=3)
    for number, node in enumerate(root.nodes):
        root.said[node] = Relaying(relays=number < 3, max_children=2 if number < 3 else 0)
    assert root.again().second_parents == {}
    assert root.why_one() is OneTreeReason.PLACES


def test_a_member_that_no_link_leads_to_ends_no_protection() -> None:
    root = Protected(12)
    far = NodeIndex(99)
    root.tree.members.add(far)
    plan = root.again()
    assert root.why_one() is None
    assert far not in plan.branch_of and plan.second_parents != {}
    assert plan.copies_of_root(root.tree.members) == len(plan.root_children) + 1


def test_a_relay_that_those_who_watch_it_take_for_dead_is_on_neither_tree_for_a_minute() -> None:
    root = Protected(12)
    plan = root.again()
    root.use(plan)
    dead = next(node for node, below in plan.children.items() if len(below) > len(plan.watching(node)) > 1)
    watching = plan.watching(dead)
    other = next(node for node in plan.children[dead] if node not in watching)
    said = [(other, False), *((node, False) for node in watching[: len(watching) // 2])]
    for node, counts in [*said, (watching[len(watching) // 2], True)]:
        place = LostPlace(ONE, EPOCH, node, dead, ParentFailure.SILENT)
        assert root.planning.parent_lost(root.now, root.tree, place) == counts
    again = root.again()
    assert dead not in again.branch_of and root.why_one() is None
    assert again.copies_of_root(root.tree.members) <= 5, "beyond the bound by the one that may be dead"


def test_trees_that_wait_for_a_node_for_long_wait_for_it_no_more() -> None:
    root = Protected(12)
    plan = root.again()
    late = root.nodes[3]
    key = root.use(plan, late)
    assert not any(map(key.serves, root.nodes))
    assert root.again() == plan
    assert root.planning.due(Instant(WAIT - 0.1)) == []
    root.now = Instant(WAIT)
    assert root.planning.next_deadline() == WAIT
    assert root.planning.due(root.now) == [ONE]
    assert late not in root.again().branch_of


def test_trees_for_which_nobody_waits_any_more_are_left_as_they_are() -> None:
    root = Protected(12)
    plan = root.again()
    key = root.use(plan, root.nodes[3])
    root.again()
    key.acknowledge(root.nodes[3], SENDER_KEY)
    key.acknowledge(root.nodes[3], TREE_STATE)
    assert root.again() == plan
    assert root.planning.due(Instant(WAIT)) == []
    assert root.planning.next_deadline() is None


@pytest.mark.parametrize("lost", [1, 2])
def test_both_trees_serve_all_until_a_second_relay_has_lost_its_link(lost: int) -> None:
    root = Protected(12)
    plan = root.again()
    key = root.use(plan)
    assert all(map(key.serves, root.nodes))
    for relay in sorted(plan.children)[:lost]:
        key.leave(relay)
        key.lose_relay(relay)
    assert all(key.serves(node) == (lost == 1) for node in root.nodes)
    assert key.awaited() == set()
