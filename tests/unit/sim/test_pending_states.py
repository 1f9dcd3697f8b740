"""The model of states that wait: none takes the place of another that was judged."""

from __future__ import annotations

import pytest

from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.sim.datagrams import TreeState
from treecast.sim.pending_states import PendingStates

ROOT, STREAM, EPOCH = NodeIndex(1), StreamId(5), TreeEpoch(7)
TREE = (ROOT, STREAM, EPOCH)


def state(*children: int) -> TreeState:
    return TreeState(STREAM, EPOCH, KeyId(1), ROOT, NO_NODE, tuple(NodeIndex(child) for child in children))


def test_the_state_that_was_judged_is_taken_and_one_that_is_repeated_is_one() -> None:
    pending = PendingStates()
    assert [pending.add(ROOT, one) for one in (state(), state(), state(3), state())] == [1, 1, 2, 3]
    assert pending.take(*TREE, 1) == state()
    assert pending.take(*TREE, 2) == state(3)
    pending.discard(*TREE, 3)
    assert pending.of_trees == {}


def test_a_state_that_nobody_judged_goes_with_a_later_one_of_its_tree() -> None:
    pending = PendingStates()
    pending.add(ROOT, state(3))
    number = pending.add(ROOT, state())
    assert pending.take(*TREE, number) == state()
    with pytest.raises(KeyError):
        pending.take(*TREE, 1)
    pending.add(ROOT, state())
    pending.forget(ROOT)
    assert pending.of_trees == {}
