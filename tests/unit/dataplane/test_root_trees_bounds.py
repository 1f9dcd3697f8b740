"""State that members and groups make a root hold: bounded, and none by a message that is not true yet or no more."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from random import Random

import pytest

from tests.unit.dataplane.answers import take
from tests.unit.dataplane.test_keys_of_leavers import EPOCH, FLOW, TREE, Root
from treecast.base.commands import CreateTree, OfferKey, SetTreeMembers
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeModes
from treecast.dataplane import root_trees
from treecast.dataplane.root_trees import RootTrees

NOW = Instant(0.0)
MEMBER = NodeIndex(2)


def flow(number: int) -> Flow:
    return Flow(0, IPv4Address("239.2.0.0") + number, None)


def made(trees: RootTrees) -> int:
    commands, trees.commands = trees.commands, []
    return sum(isinstance(command, CreateTree) for command in commands)


def test_trees_are_bounded_and_one_that_had_no_room_is_made_when_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_trees, "MAX_ROOT_TREES", 2)
    drops = Drops()
    trees = RootTrees(EPOCH, drops, Random(1))
    for number in range(3):
        trees.want(NOW, flow(number), [MEMBER])
    assert (made(trees), drops.snapshot()) == (2, {"tree_table_full": 1})
    trees.want(NOW, flow(0), None)
    due = trees.next_deadline()
    assert due is not None
    trees.advance(due)
    assert made(trees) == 1


def acknowledged(epoch: TreeEpoch, key_id: int) -> SetTreeMembers | None:
    """The command of a root with one key and tree when a member acknowledges these."""
    trees = RootTrees(EPOCH, Drops(), Random(1))
    trees.want(NOW, FLOW, [MEMBER])
    trees.used(NOW, TREE)
    trees.commands.clear()
    trees.key_acknowledgement(NOW, MEMBER, TREE, KeyId(key_id))
    trees.tree_acknowledgement(NOW, MEMBER, TREE, epoch)
    trees.advance(NOW)
    members = [command for command in trees.commands if isinstance(command, SetTreeMembers)]
    return members[-1] if members else None


def test_key_and_tree_of_another_epoch_are_not_these() -> None:
    taken = acknowledged(EPOCH, 1)
    assert taken is not None and taken.next_hops == (MEMBER,)
    assert acknowledged(TreeEpoch(EPOCH + 1), 1) is None
    assert acknowledged(EPOCH, 2) is None


def test_a_key_that_is_not_made_yet_cannot_be_acknowledged() -> None:
    """A member would otherwise be sent what it cannot open, and be offered nothing."""
    root = Root(2)
    root.silent.add(MEMBER)
    root.until(1.0)
    take(root.trees, root.now, MEMBER, TREE, 2)
    root.leave()
    root.until(10.0)
    assert [key_id for _, key_id in root.used] == [2]
    assert root.next_hops == ()


def test_who_is_no_member_acknowledges_nothing() -> None:
    root = Root(2)
    take(root.trees, root.now, NodeIndex(99), TREE, 1)
    take(root.trees, root.now, MEMBER, StreamId(77), 1)
    root.trees.advance(root.now)
    assert root.trees.commands == []


def test_a_key_that_a_node_acknowledged_before_it_became_a_member_is_offered_to_it_all_the_same() -> None:
    """A late answer of an earlier membership: the node has dropped that key."""
    root, node = Root(2), NodeIndex(99)
    root.trees.key_acknowledgement(root.now, node, TREE, KeyId(EPOCH))
    root.trees.want(root.now, FLOW, [*root.members, node])
    root.turn()
    assert node in root.next_hops


def test_a_member_of_an_authenticated_group_gets_copies_whatever_it_acknowledges() -> None:
    trees = RootTrees(EPOCH, Drops(), Random(1), modes=TreeModes([IPv4Network("239.1.0.0/16")]))
    trees.want(NOW, FLOW, [MEMBER])
    trees.used(NOW, TREE)
    trees.advance(NOW)
    given = [command for command in trees.commands if isinstance(command, SetTreeMembers | OfferKey)]
    assert given == [SetTreeMembers(TREE, (), (MEMBER,))]
    trees.commands.clear()
    take(trees, NOW, MEMBER, TREE, EPOCH)
    trees.advance(NOW)
    assert trees.commands == []
