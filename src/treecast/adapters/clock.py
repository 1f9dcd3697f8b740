"""The clocks."""

from __future__ import annotations

import time

from treecast.base.time import Instant


def monotonic() -> Instant:
    """Seconds on the system's monotonic clock."""
    return Instant(time.monotonic())


def unix_s() -> float:
    """Seconds since 1970."""
    return time.time()
