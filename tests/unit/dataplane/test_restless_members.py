"""Members that leave one tree again and again are noted as those for whom its keys are made anew."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from treecast.base.commands import CreateTree, MakeKey
from treecast.base.counters import KEYS_MADE_ANEW, Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.last_minute import MINUTE
from treecast.base.limits import MAX_RESTLESS_MEMBERS, MAX_RESTLESS_TREES
from treecast.base.time import Instant
from treecast.dataplane.restless_members import RETURNS, USUAL, USUAL_TOGETHER, RestlessMembers
from treecast.dataplane.root_tree import RootTree
from treecast.dataplane.root_trees import RootTrees
from treecast.dataplane.sender_key import RootEvent, SenderKey

FLOWS = [Flow(0, ip_address(f"239.1.0.{number}"), None) for number in range(MAX_RESTLESS_TREES + 2)]
ONE, TWO = NodeIndex(1), NodeIndex(2)


def tree_of(flow: Flow | None, *, used: bool = True) -> RootTree:
    key = SenderKey(KeyId(1), TreeEpoch(1), RootEvent.TREE_CREATED)
    return RootTree(StreamId(1), flow, key, Instant(0.0), Instant(0.0), used=used)


TREES = [tree_of(flow) for flow in FLOWS]


def texts(members: RestlessMembers, now: float) -> dict[str, str]:
    found = list(members.problems(Instant(now), lambda node: f"n{node}"))
    assert {problem.kind for problem in found} <= {"keys_made_anew"}
    return {problem.subject: problem.text for problem in found}


def test_a_member_that_comes_back_and_leaves_is_noted_whether_it_is_the_only_one_or_not() -> None:
    for others in ([], [TWO]):
        drops = Drops()
        trees = RootTrees(TreeEpoch(1), drops, Random(1))
        for number in range(USUAL + 3):
            trees.want(Instant(float(number)), FLOWS[0], [ONE, *others])
            use_new_trees(trees, float(number))
            noted = 0 if number <= USUAL else number if number == USUAL + 1 else 1
            assert drops.take_refusals() == ([(ONE, KEYS_MADE_ANEW, noted)] if noted else [])
            trees.want(Instant(number + 0.5), FLOWS[0], others or None)


def use_new_trees(trees: RootTrees, now: float) -> int:
    """Each tree's first frame comes; the number of keys that were made for trees that are there."""
    commands, trees.commands = trees.commands, []
    for command in commands:
        if isinstance(command, CreateTree):
            trees.used(Instant(now), command.stream)
    return sum(isinstance(command, MakeKey) for command in commands)


def test_who_leaves_many_trees_once_or_one_now_and_then_is_not_noted() -> None:
    drops = Drops()
    members = RestlessMembers(drops)
    for tree in TREES:
        members.left(Instant(0.0), tree, ONE)
    for number in range(30):
        members.left(Instant(100.0 + 10 * number), TREES[0], TWO)
    assert drops.take_refusals() == []
    assert texts(members, 400.0) == {}


def test_who_leaves_a_tree_that_has_handed_out_no_key_is_not_counted() -> None:
    drops = Drops()
    members, unused = RestlessMembers(drops), tree_of(FLOWS[0], used=False)
    for number in range(5 * USUAL):
        members.left(Instant(float(number)), unused, ONE)
    assert drops.take_refusals() == []


def test_so_many_are_remembered_at_most_and_the_one_of_longest_ago_makes_room() -> None:
    drops = Drops()
    members = RestlessMembers(drops)
    for _ in range(USUAL):
        members.left(Instant(0.0), TREES[0], ONE)
    for number in range(MAX_RESTLESS_MEMBERS):
        members.left(Instant(1.0), TREES[0], NodeIndex(10 + number))
    members.left(Instant(2.0), TREES[0], ONE)
    assert drops.take_refusals() == []


@pytest.mark.parametrize(("number_of_members", "pause"), [(2, 3.1), (3, 2.0), (6, 1.0), (12, 1.5)])
def test_members_that_take_turns_are_named_each_though_none_leaves_more_often_than_is_usual(
    number_of_members: int, pause: float
) -> None:
    drops = Drops()
    trees = RootTrees(TreeEpoch(1), drops, Random(1))
    restless = [NodeIndex(10 + number) for number in range(number_of_members)]
    now, end, keys = 0.0, 65.0, 0
    while now < end:
        for node in restless:
            trees.want(Instant(now), FLOWS[0], [ONE, *restless])
            keys += use_new_trees(trees, now)
            trees.want(Instant(now + pause / 2), FLOWS[0], [ONE, *(other for other in restless if other != node)])
            now += pause
            trees.advance(Instant(now))
    assert drops.take_refusals() == [], "none by itself"
    (text,) = texts(trees.restless, now).values()
    assert sum(f"n{node} " in text for node in restless) == min(number_of_members, 8)
    assert ("4 more" in text) == (number_of_members == 12)
    assert keys <= end, "one a second"
    for later in range(10):
        assert list(texts(trees.restless, now + later)) == ["group 239.1.0.0"], "without a break"
    assert texts(trees.restless, now + MINUTE) == {}


@pytest.mark.parametrize("leaves", [1, RETURNS - 1])
def test_an_audience_that_goes_elsewhere_is_not_named(leaves: int) -> None:
    members = RestlessMembers(Drops())
    for second in range(40):
        for number in range(leaves):
            members.left(Instant(second + 10.0 * number), TREES[0], NodeIndex(10 + second))
    for _ in range(RETURNS):
        members.left(Instant(50.0), TREES[0], ONE)
    assert texts(members, 50.0) == {}, "nor is one among them that comes back"


def test_who_is_named_by_itself_is_not_named_with_those_who_take_turns() -> None:
    drops = Drops()
    members = RestlessMembers(drops)
    for second in range(USUAL_TOGETHER + 3):
        members.left(Instant(float(second)), TREES[0], ONE, NodeIndex(10 + second % 2))
    (text,) = texts(members, USUAL_TOGETHER + 3.0).values()
    assert "n1 " not in text and "n10 9 times, n11 9 times" in text
    assert {node for node, _, _ in drops.take_refusals()} == {ONE}


def test_leaves_of_one_second_cost_one_change_of_keys_and_count_as_one() -> None:
    members = RestlessMembers(Drops())
    for second in range(USUAL):
        members.left(Instant(6.0 * second), TREES[0], *(NodeIndex(10 + number) for number in range(50)))
    assert texts(members, 6.0 * USUAL) == {}


def test_so_many_trees_are_followed_at_most_each_with_its_vlan_and_source() -> None:
    members = RestlessMembers(Drops())
    flow = Flow(7, ip_address("239.9.9.9"), ip_address("10.0.0.1"))

    def take_turns(tree: RootTree) -> None:
        for second in range(20):
            members.left(Instant(float(second)), tree, NodeIndex(10 + second % 2))

    for tree in TREES[: MAX_RESTLESS_TREES + 1]:
        take_turns(tree)
    take_turns(tree_of(flow))
    found = texts(members, 20.0)
    assert len(found) == MAX_RESTLESS_TREES
    assert "group 239.1.0.0" not in found and "group 239.9.9.9 from 10.0.0.1 in VLAN 7" in found
