"""Looks of several intervals that are due together."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.adapters import clock
from treecast.base.time import Instant
from treecast.daemon.ticks import TOO_SOON, tick, until_tick


@given(now=st.floats(0.0, 1e7), interval=st.sampled_from((0.5, 1.0, 5.0)))
def test_a_tick_is_an_interval_away_at_most_and_not_the_one_that_just_was(now: float, interval: float) -> None:
    assert TOO_SOON < until_tick(Instant(now), interval) <= interval + TOO_SOON


@given(now=st.floats(0.0, 1e7))
def test_the_ticks_of_longer_intervals_are_ticks_of_shorter_ones(now: float) -> None:
    for longer, shorter in ((1.0, 0.5), (5.0, 0.5), (5.0, 1.0)):
        at = Instant(now + until_tick(Instant(now), longer))
        just_before = Instant(at - 2 * TOO_SOON)
        assert until_tick(just_before, shorter) == pytest.approx(2 * TOO_SOON, abs=1e-6)


def test_a_timer_that_fires_a_little_early_does_not_fire_twice() -> None:
    now = clock.monotonic()
    at = Instant(now + until_tick(now, 1.0))
    assert until_tick(Instant(at - 0.001), 1.0) == pytest.approx(1.001)
    assert until_tick(Instant(at + 0.001), 1.0) == pytest.approx(0.999)


def test_a_task_waits_for_the_tick() -> None:
    began = clock.monotonic()
    wait = until_tick(began, 0.1)
    asyncio.run(tick(0.1))
    assert clock.monotonic() - began >= wait - 0.001
