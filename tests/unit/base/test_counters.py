"""Counts of drops, and whose they are."""

from __future__ import annotations

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_NAMED_REFUSED


def test_whose_they_are_is_taken_once_and_counts_nothing() -> None:
    drops = Drops()
    for node, amount in ((1, 2), (2, 1), (1, 3)):
        drops.note_of(NodeIndex(node), "control_malformed", amount)
    assert drops.snapshot() == {}
    assert drops.take_refusals() == [(1, "control_malformed", 5), (2, "control_malformed", 1)]
    assert drops.take_refusals() == []


def test_so_many_are_remembered_between_two_looks_and_those_go_on() -> None:
    drops = Drops()
    for node in range(2 * MAX_NAMED_REFUSED):
        drops.note_of(NodeIndex(node), "control_malformed")
    drops.note_of(NodeIndex(0), "control_malformed")
    taken = drops.take_refusals()
    assert (len(taken), taken[0]) == (MAX_NAMED_REFUSED, (0, "control_malformed", 2))
