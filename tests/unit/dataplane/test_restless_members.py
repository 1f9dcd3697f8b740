"""Members that leave one tree again and again are noted as those for whom its keys are made anew."""

from __future__ import annotations

from ipaddress import ip_address

from treecast.base.counters import KEYS_MADE_ANEW, Drops
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex, TreeEpoch
from treecast.base.limits import MAX_RESTLESS_MEMBERS
from treecast.base.time import Instant
from treecast.dataplane.restless_members import USUAL, RestlessMembers
from treecast.dataplane.root_trees import RootTrees

FLOWS = [Flow(0, ip_address(f"239.1.0.{number}"), None) for number in range(USUAL + 2)]
ONE, TWO = NodeIndex(1), NodeIndex(2)


def test_a_member_that_comes_back_and_leaves_is_noted_whether_it_is_the_only_one_or_not() -> None:
    for others in ([], [TWO]):
        drops = Drops()
        trees = RootTrees(TreeEpoch(1), drops)
        for number in range(USUAL + 3):
            trees.want(Instant(float(number)), FLOWS[0], [ONE, *others])
            noted = 0 if number <= USUAL else number if number == USUAL + 1 else 1
            assert drops.take_refusals() == ([(ONE, KEYS_MADE_ANEW, noted)] if noted else [])
            trees.want(Instant(number + 0.5), FLOWS[0], others or None)


def test_who_leaves_many_trees_once_or_one_now_and_then_is_not_noted() -> None:
    drops = Drops()
    members = RestlessMembers(drops)
    for flow in FLOWS:
        members.left(Instant(0.0), flow, ONE)
    for number in range(30):
        members.left(Instant(100.0 + 10 * number), FLOWS[0], TWO)
    assert drops.take_refusals() == []


def test_so_many_are_remembered_at_most_and_the_one_of_longest_ago_makes_room() -> None:
    drops = Drops()
    members = RestlessMembers(drops)
    for _ in range(USUAL):
        members.left(Instant(0.0), FLOWS[0], ONE)
    for number in range(MAX_RESTLESS_MEMBERS):
        members.left(Instant(1.0), FLOWS[0], NodeIndex(10 + number))
    members.left(Instant(2.0), FLOWS[0], ONE)
    assert drops.take_refusals() == []
