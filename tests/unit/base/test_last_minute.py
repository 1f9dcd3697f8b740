"""Counts of the last minute: what is older is forgotten, second by second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from treecast.base.last_minute import MINUTE, LastMinute
from treecast.base.time import Instant


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(1, 1000)), max_size=80))
def test_the_total_is_that_of_the_last_minute_and_few_numbers_are_kept(steps: list[tuple[float, int]]) -> None:
    counts, came, now = LastMinute(), [], 0.0
    for pause, count in steps:
        now += pause
        counts.add(Instant(now), count)
        came.append((int(now), count))
        recent = [(second, many) for second, many in came if now - second < MINUTE]
        assert counts.total == sum(many for _, many in recent)
        assert counts.seconds == len({second for second, _ in recent}) <= MINUTE + 1
    counts.expire(Instant(now + MINUTE))
    assert (counts.total, counts.seconds) == (0, 0)
