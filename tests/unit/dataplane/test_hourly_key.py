"""The key of a tree in use is replaced each hour and when it is worn, whether its members answer or not."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

import pytest

from tests.unit.dataplane.answers import take
from treecast.base.commands import MakeKey, OfferKey, UseKey
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.dataplane.key_times import KEY_LIFETIME, ROTATION_LIMIT
from treecast.dataplane.root_trees import RootTrees
from treecast.dataplane.tree_offers import FIRST_OFFER_INTERVAL

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
MEMBER = NodeIndex(2)
TREE = StreamId(1)


@pytest.mark.parametrize("answers", [True, False])
def test_an_hour_old_key_is_replaced_once(answers: bool) -> None:
    trees = RootTrees(TreeEpoch(1), Drops(), Random(1))
    trees.want(Instant(0.0), FLOW, [MEMBER])
    trees.used(Instant(0.0), TREE)
    take(trees, Instant(0.1), MEMBER, TREE, 1)
    trees.advance(Instant(0.1))
    trees.commands.clear()
    due = Instant(KEY_LIFETIME)
    trees.advance(due)
    assert [c.key_id for c in trees.commands if isinstance(c, MakeKey)] == [2]
    assert [c.key_id for c in trees.commands if isinstance(c, OfferKey)] == [2]
    deadline = trees.next_deadline()
    assert deadline is not None and deadline > due
    trees.commands.clear()
    if answers:
        take(trees, Instant(due + 0.1), MEMBER, TREE, 2)
    trees.advance(Instant(due + (0.1 if answers else ROTATION_LIMIT)))
    assert [c.key_id for c in trees.commands if isinstance(c, UseKey)] == [2]
    assert not [c for c in trees.commands if isinstance(c, MakeKey)]


def test_a_worn_key_is_replaced_once_however_often_it_is_reported() -> None:
    trees = RootTrees(TreeEpoch(1), Drops(), Random(1))
    trees.want(Instant(0.0), FLOW, [MEMBER])
    trees.used(Instant(0.0), TREE)
    take(trees, Instant(0.1), MEMBER, TREE, 1)
    trees.advance(Instant(0.1))
    trees.commands.clear()
    now = Instant(60.0)
    for key_id in (KeyId(1), KeyId(1), KeyId(7)):
        trees.key_worn(TREE, key_id)
        trees.advance(now)
    assert [c.key_id for c in trees.commands if isinstance(c, MakeKey)] == [2]
    take(trees, now, MEMBER, TREE, 2)
    trees.key_worn(TREE, KeyId(1))
    trees.advance(now)
    trees.key_worn(TREE, KeyId(1))
    trees.advance(Instant(now + 10.0))
    assert [c.key_id for c in trees.commands if isinstance(c, UseKey)] == [2]
    assert [c.key_id for c in trees.commands if isinstance(c, MakeKey)] == [2]


def test_a_member_whose_offer_is_due_when_the_next_key_begins_is_offered_that_once() -> None:
    trees = RootTrees(TreeEpoch(1), Drops(), Random(1))
    trees.want(Instant(0.0), FLOW, [MEMBER])
    trees.used(Instant(0.0), TREE)
    trees.advance(Instant(0.0))
    trees.commands.clear()
    due = Instant(FIRST_OFFER_INTERVAL)
    trees.key_worn(TREE, KeyId(1))
    trees.advance(due)
    assert [c.key_id for c in trees.commands if isinstance(c, OfferKey)] == [2]
