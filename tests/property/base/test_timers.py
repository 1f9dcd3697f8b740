"""Timers against the obvious version: a dict of deadlines, scanned."""

from __future__ import annotations

from random import Random
from sys import getrefcount

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from treecast.base.time import Instant
from treecast.base.timers import STALE_ENTRIES, Timers

keys = st.integers(0, 9)
instants = st.integers(0, 20).map(lambda number: Instant(float(number)))


class TimersAgainstADict(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.timers: Timers[int] = Timers()
        self.model: dict[int, tuple[Instant, int]] = {}
        self.order = 0

    @rule(key=keys, at=instants)
    def set(self, key: int, at: Instant) -> None:
        self.timers.set(key, at)
        self.order += 1
        if key not in self.model or self.model[key][0] != at:
            self.model[key] = (at, self.order)

    @rule(key=keys)
    def cancel(self, key: int) -> None:
        self.timers.cancel(key)
        self.model.pop(key, None)

    @rule(now=instants, limit=st.none() | st.integers(0, 4))
    def due(self, now: Instant, limit: int | None) -> None:
        expected = sorted((at, order, key) for key, (at, order) in self.model.items() if at <= now)[:limit]
        assert self.timers.due(now, limit) == [key for _, _, key in expected]
        for _, _, key in expected:
            del self.model[key]

    @invariant()
    def the_rest_is_equal(self) -> None:
        assert self.timers.next() == min((at for at, _ in self.model.values()), default=None)
        assert len(self.timers) == len(self.model)
        for key in range(10):
            assert (key in self.timers) == (key in self.model)
            assert self.timers.deadline(key) == (self.model[key][0] if key in self.model else None)


TestTimersAgainstADict = TimersAgainstADict.TestCase


class Subject:
    """A key whose references are counted."""


def test_deadlines_that_are_moved_again_and_again_leave_a_bounded_number_of_entries() -> None:
    timers: Timers[Subject] = Timers()
    rng, subjects = Random(1), [Subject() for _ in range(10)]

    def references() -> int:
        return sum(getrefcount(subject) for subject in subjects)

    before = references()
    for _ in range(2_000):
        timers.set(rng.choice(subjects), Instant(float(rng.randrange(20))))
        entries = references() - before - len(timers)  # the deadline that counts refers to its key, too
        assert len(timers) <= entries <= 2 * len(timers) + STALE_ENTRIES


def test_what_is_set_while_others_are_taken_is_due_the_next_time() -> None:
    timers: Timers[str] = Timers()
    timers.set("repeat", Instant(1.0))
    for key in timers.due(Instant(2.0)):
        timers.set(key, Instant(1.5))
    assert timers.due(Instant(2.0)) == ["repeat"]
    assert timers.next() is None
