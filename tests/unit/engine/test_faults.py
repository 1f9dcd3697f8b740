"""Bugs as values: so many of a turn are shown, all are counted."""

from __future__ import annotations

from treecast.base.counters import Drops
from treecast.engine.faults import MAX_WAITING, Faults


def test_of_very_many_faults_the_first_are_shown_and_all_are_counted() -> None:
    drops = Drops()
    faults = Faults(drops)
    errors = [RuntimeError(str(number)) for number in range(MAX_WAITING + 5)]
    for error in errors:
        faults.note("a room", error)
    assert [fault.error for fault in faults.take()] == errors[:MAX_WAITING]
    assert drops.snapshot() == {"internal_error": MAX_WAITING + 5}
    assert faults.take() == []
