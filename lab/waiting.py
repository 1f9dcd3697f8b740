"""Waiting for a condition: the one place of lab, tests and bench that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
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
