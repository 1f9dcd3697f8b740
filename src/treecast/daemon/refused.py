"""Datagrams and frames that interfaces refuse as too big: how many, while that goes on."""

from __future__ import annotations

from treecast.base.time import Duration, Instant

TOO_BIG_TIME: Duration = 15.0
"""The time without a refusal after which they are over."""
ON_THE_WAY_TIME: Duration = 1.0
"""Datagrams that were made before the MTU fell are refused yet."""


class TooBigCount:
    """The count of one drop reason. What was refused before the longest datagram became shorter counts no more."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._fell_at: Instant | None = None
        self._before = count
        self._grew_at: Instant | None = None

    def note(self, now: Instant, count: int, *, fell: bool) -> None:
        """``count``: so far; ``fell``: no datagram from now on is as long as those were."""
        if fell:
            self._fell_at = now
        if self._fell_at is not None and now - self._fell_at < ON_THE_WAY_TIME:
            self._before, self._grew_at = count, None
        elif count > self.count:
            self._grew_at = now
        self.count = count

    def lately(self, now: Instant) -> int:
        """How many, while that goes on; 0 when it is over."""
        if self._grew_at is None:
            return 0
        if now - self._grew_at >= TOO_BIG_TIME:
            self._before, self._grew_at = self.count, None
            return 0
        return self.count - self._before
