"""Copies make replays of their tree datagrams in the model, too, and a path that is not in use is none of a parent."""

from __future__ import annotations

from random import Random

import pytest

from tests.unit.sim.test_relaying_in_the_model import endpoint
from treecast.base import commands as c
from treecast.base.downstream_commands import AcceptKey
from treecast.base.events import CommandRefusalReason
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.sim.datagrams import ServedFrom, TreeDatagram, TreeState
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.root_tree import LAST_RANGE, RootTree
from treecast.sim.sessions import ModelSession
from treecast.sim.underlay import Underlay

ROOT, ME, BETWEEN = map(NodeIndex, (1, 2, 3))
STREAM, EPOCH, KEY = StreamId(7), TreeEpoch(1), KeyId(1)


def member() -> ModelForwarder:
    """A member holds the key of a tree whose root is its parent."""
    underlay = Underlay(Random(1), delay=0.0)
    model = ModelForwarder(me=ME, endpoint=endpoint(ME), underlay=underlay, raise_event=lambda _: None)
    for peer in (ROOT, BETWEEN):
        model.sessions.install(peer, ModelSession(peer, ME, endpoint(peer), True, Instant(0.0), Instant(0.0)))
    model.accept_tree(ROOT, STREAM, TreeState(STREAM, EPOCH, KEY, ROOT, NodeIndex(0), ()))
    model.streams[ROOT, STREAM].accept_key(KEY, None)
    return model


def come(model: ModelForwarder, *counters: int) -> list[object]:
    """Frames that are delivered of tree datagrams under the root's address."""
    model.delivered.clear()
    for counter in counters:
        datagram = TreeDatagram(ROOT, STREAM, EPOCH, KEY, counter, f"frame {counter}")
        model.underlay.send(endpoint(ROOT), endpoint(ME), datagram)
    model.underlay.run_until(model.underlay.now)
    return model.delivered[:]


def test_who_had_copies_takes_nothing_by_the_tree_while_it_has_a_route_until_its_root_says_so() -> None:
    model = member()
    assert come(model, 1) == ["frame 1"]
    model.carry_out([c.SetNodeRoute(ROOT, BETWEEN)])
    assert come(model, 2, 3) == []
    assert model.drops["tree_rpf"] == 2
    model._receive_served(ROOT, ServedFrom(STREAM, KEY, 4))
    assert come(model, 2, 3, 4) == ["frame 4"]
    assert model.drops["tree_replay"] == 2
    model.carry_out([c.SetNodeRoute(ROOT, NodeIndex(4))])
    assert come(model, 5) == []
    model.carry_out([c.RemoveNodeRoute(ROOT)])
    assert come(model, 3, 6) == ["frame 6"]


def test_copies_under_a_key_end_the_one_before() -> None:
    model = member()
    model.streams[ROOT, STREAM].accept_key(KeyId(2), None)
    model._receive_served(ROOT, ServedFrom(STREAM, KeyId(2), 1))
    assert come(model, 1) == ["frame 1"]
    model._receive_served(ROOT, ServedFrom(STREAM, KeyId(2), 2))
    assert come(model, 2) == []


@pytest.mark.parametrize(
    ("held", "is_used", "is_taken"), [((2, 3), False, False), ((2,), True, False), ((2,), False, True)]
)
def test_a_key_that_is_older_than_those_that_are_held_is_neither_taken_nor_acknowledged(
    held: tuple[int, ...], is_used: bool, is_taken: bool
) -> None:
    """The same as in late_keys.rs and seal.rs."""
    model, acknowledged = member(), list[object]()
    stream = model.streams[ROOT, STREAM]
    stream.keys.clear()
    stream.trees[EPOCH] = TreeState(STREAM, EPOCH, KeyId(2), ROOT, NodeIndex(0), ())
    for key_id in held:
        assert stream.accept_key(KeyId(key_id), None)
    if is_used:
        model.underlay.send(endpoint(ROOT), endpoint(ME), TreeDatagram(ROOT, STREAM, EPOCH, KeyId(2), 1, "frame"))
        model.underlay.run_until(model.underlay.now)
        assert model.delivered == ["frame"]
    model.underlay.attach(endpoint(ROOT), lambda _, datagram: acknowledged.append(datagram))
    model.pending_offers.add((ROOT, STREAM, KEY))
    refused = model.carry_out([AcceptKey(ROOT, STREAM, KEY, None, b"acknowledgement")])
    model.underlay.run_until(model.underlay.now)
    assert (KEY in stream.keys) is is_taken
    assert [one.reason for one in refused] == ([] if is_taken else [CommandRefusalReason.UNKNOWN])
    assert len(acknowledged) == is_taken


def test_who_is_served_anew_is_told_its_first_counter_again_and_again_and_not_for_ever() -> None:
    tree, told = RootTree(EPOCH, KEY), []
    for sealed in range(3 * LAST_RANGE):
        tree.sealed = sealed
        firsts = tree.newly_served((ROOT, ME) if sealed >= 100 else (ROOT,))
        told += [(sealed, peer, first) for peer, first in firsts]
    again = [(100 + gone, ME, 101) for gone in (0, 1, 3, 7, 15, 31, 63)]
    assert told == [(0, ROOT, 1), *again]
