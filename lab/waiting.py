"""Waiting for a condition: the one place of lab, tests and bench that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

DEFAULT_POLL_S = 0.01


def wait_until(condition: Callable[[], T], limit_s: float, what: str = "", *, poll_s: float = DEFAULT_POLL_S) -> T:
    """The first true value of ``condition()``; TimeoutError, naming ``what``, when there is none within ``limit_s``.

    The condition is asked at least once, and once more after the limit has passed, so that a slow machine that
    reached the condition during the last pause is not called late.
    """
    deadline = time.monotonic() + limit_s
    while True:
        late = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        if late:
            raise TimeoutError(f"not within {limit_s:g} s: {what or 'the condition'}")
        time.sleep(poll_s)


def pause_until(end_s: float) -> None:
    """Lets time pass until this instant (``time.monotonic``); for what has no condition but the time."""
    time.sleep(max(0.0, end_s - time.monotonic()))


def paced(items: Iterable[T], interval_s: float) -> Iterator[T]:
    """The items, the first at once, the others each ``interval_s`` after the one before was due."""
    due = time.monotonic()
    for item in items:
        pause_until(due)
        due += interval_s
        yield item
