"""Looks of several intervals that are due together."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.adapters import clock
from treecast.base.time import Instant
from treecast.daemon.periodic_timer import TOO_SOON, expiry, until_expiry


@given(now=st.floats(0.0, 1e7), interval=st.sampled_from((0.5, 1.0, 5.0)))
def test_an_expiry_is_an_interval_away_at_most_and_not_the_one_that_just_was(now: float, interval: float) -> None:
    assert TOO_SOON < until_expiry(Instant(now), interval) <= interval + TOO_SOON


@given(now=st.floats(0.0, 1e7))
def test_the_expiries_of_longer_intervals_are_expiries_of_shorter_ones(now: float) -> None:
    for longer, shorter in ((1.0, 0.5), (5.0, 0.5), (5.0, 1.0)):
        at = Instant(now + until_expiry(Instant(now), longer))
        just_before = Instant(at - 2 * TOO_SOON)
        assert until_expiry(just_before, shorter) == pytest.approx(2 * TOO_SOON, abs=1e-6)


def test_a_timer_that_fires_a_little_early_does_not_fire_twice() -> None:
    now = clock.monotonic()
    at = Instant(now + until_expiry(now, 1.0))
    assert until_expiry(Instant(at - 0.001), 1.0) == pytest.approx(1.001)
    assert until_expiry(Instant(at + 0.001), 1.0) == pytest.approx(0.999)


def test_a_task_waits_for_the_expiry() -> None:
    began = clock.monotonic()
    wait = until_expiry(began, 0.1)
    asyncio.run(expiry(0.1))
    assert clock.monotonic() - began >= wait - 0.001
