from __future__ import annotations

import time

import pytest

from lab.waiting import paced, wait_until


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, "", 7])
    assert wait_until(lambda: next(values), 5.0, poll_s=0.0) == 7


def test_a_condition_that_stays_false_is_named() -> None:
    with pytest.raises(TimeoutError, match="the link is up"):
        wait_until(lambda: False, 0.0, "the link is up")


def test_the_condition_is_asked_even_without_time() -> None:
    assert wait_until(lambda: True, 0.0)


def test_items_come_at_their_pace_the_first_at_once() -> None:
    began = time.monotonic()
    at = [time.monotonic() - began for _ in paced(range(3), 0.05)]
    assert at[0] < 0.05
    assert at[1] >= 0.05
    assert at[2] >= 0.1
