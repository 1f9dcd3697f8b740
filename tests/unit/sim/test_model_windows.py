"""The model's replay window against a set of all counters that were taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from treecast.sim.datagrams import ReplayWindow

SIZE = 16


@given(st.lists(st.integers(1, 64), max_size=60))
def test_a_counter_is_taken_once_and_only_within_the_window(counters: list[int]) -> None:
    window, taken = ReplayWindow(SIZE), set[int]()
    for counter in counters:
        fresh = counter not in taken and counter > max(taken, default=0) - SIZE
        assert window.take(counter) == fresh
        if fresh:
            taken.add(counter)
