"""Bugs as values: so many of a turn are shown, all are counted."""

from __future__ import annotations

from treecast.base.counters import Drops
from treecast.base.limits import MAX_FAULTS_PER_TURN
from treecast.engine.faults import Faults


def test_of_very_many_faults_the_first_are_shown_and_all_are_counted() -> None:
    drops = Drops()
    faults = Faults(drops)
    errors = [RuntimeError(str(number)) for number in range(MAX_FAULTS_PER_TURN + 5)]
    for error in errors:
        faults.note("a room", error)
    assert [fault.error for fault in faults.take()] == errors[:MAX_FAULTS_PER_TURN]
    assert drops.snapshot() == {"internal_error": MAX_FAULTS_PER_TURN + 5}
    assert faults.take() == []
