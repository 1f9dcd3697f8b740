from __future__ import annotations

import time

import pytest

from lab import waiting
from lab.waiting import paced, wait_until


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, "", 7])
    assert wait_until(lambda: next(values), 5.0, poll_s=0.0) == 7


def test_a_condition_that_stays_false_is_named() -> None:
    with pytest.raises(TimeoutError, match="the link is up"):
        wait_until(lambda: False, 0.0, "the link is up")


def test_the_condition_is_asked_even_without_time() -> None:
    assert wait_until(lambda: True, 0.0)


def test_items_come_at_their_pace_the_first_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    due: list[float] = []
    monkeypatch.setattr(waiting, "pause_until", due.append)
    began = time.monotonic()
    assert list(paced(range(3), 0.05)) == [0, 1, 2]
    assert began <= due[0] <= time.monotonic()
    assert [at - due[0] for at in due] == pytest.approx([0.0, 0.05, 0.1])
