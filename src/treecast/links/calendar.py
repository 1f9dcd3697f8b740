"""Wall clocks as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def in_words(unix_s: float) -> str:
    """``2026-01-31 12:00:05 UTC``; seconds since 1970 that no calendar has are shown as a number."""
    try:
        return f"{datetime.fromtimestamp(int(unix_s), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{int(unix_s)} s since 1970"


def day_of(unix_s: float) -> str:
    """``2026-01-31``."""
    return in_words(unix_s)[:10]
