"""The model of states that wait: none takes the place of another that was judged."""

from __future__ import annotations

from random import Random

import pytest

from tests.unit.sim.test_relaying_in_the_model import endpoint
from treecast.base.downstream_commands import AcceptTree
from treecast.base.events import CommandRefusalReason, CommandRefused
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.sim.datagrams import TreeState
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.pending_states import PendingStates
from treecast.sim.sessions import ModelSession
from treecast.sim.underlay import Underlay

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


def test_a_place_without_children_makes_no_stream_for_who_has_no_key() -> None:
    underlay = Underlay(Random(1), delay=0.0)
    model = ModelForwarder(
        me=NodeIndex(2), endpoint=endpoint(NodeIndex(2)), underlay=underlay, raise_event=lambda _: None
    )
    model.sessions.install(1, ModelSession(ROOT, 2, endpoint(ROOT), True, Instant(0.0), Instant(0.0)))
    accept = AcceptTree(*TREE, model.pending_states.add(ROOT, state()), b"")
    assert model.carry_out([accept]) == [CommandRefused(accept, CommandRefusalReason.UNKNOWN)]
    assert (model.streams, model.pending_states.of_trees) == ({}, {})
    relaying = AcceptTree(*TREE, model.pending_states.add(ROOT, state(3)), b"")
    assert model.carry_out([relaying]) == []
    assert list(model.streams) == [(ROOT, STREAM)]
