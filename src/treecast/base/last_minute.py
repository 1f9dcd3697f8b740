"""Counts of the last minute, so that people read how many there were of late and not since the start."""

from __future__ import annotations

from collections import deque

from treecast.base.time import Duration, Instant

MINUTE: Duration = 60.0


class LastMinute:
    """The counts of each second of the last minute: at most 61 of them."""

    __slots__ = ("_seconds", "total")

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque()
        """Seconds and their counts, oldest first."""
        self.total = 0

    def add(self, now: Instant, count: int) -> None:
        """Counts so many more."""
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            count_before = self._seconds.pop()[1]
            self._seconds.append((second, count_before + count))
        else:
            self._seconds.append((second, count))
        self.total += count
        self.expire(now)

    def expire(self, now: Instant) -> None:
        """Forget what was before the last minute."""
        while self._seconds and now - self._seconds[0][0] >= MINUTE:
            self.total -= self._seconds.popleft()[1]

    @property
    def seconds(self) -> int:
        """The number of seconds in which something came."""
        return len(self._seconds)
