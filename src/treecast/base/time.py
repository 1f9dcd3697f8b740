"""Time values. Nobody below ``adapters`` reads a clock: ``now`` is always an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NewType

Instant = NewType("Instant", float)
"""Seconds on a monotonic clock whose zero means nothing."""

Duration = float
"""Seconds."""


def after(now: Instant, duration: Duration) -> Instant:
    """The instant ``duration`` seconds after ``now``."""
    return Instant(now + duration)


def earliest(*instants: Instant | None) -> Instant | None:
    """The first of several deadlines; None where there is none."""
    first: Instant | None = None
    for instant in instants:
        if instant is not None and (first is None or instant < first):
            first = instant
    return first


def clock_offset_s(wall_clock_ms: int, now: Instant) -> float:
    """A wall clock, as it is now, minus the monotonic one."""
    return wall_clock_ms / 1000 - now


def iso_date(unix_s: int) -> str:
    """A time of the calendar as ISO 8601 writes it: UTC, to the second."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_time(seconds: Duration) -> str:
    """A duration in its two largest units."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
