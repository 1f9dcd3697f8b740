"""Entries that the data plane refused, waiting to be tried again: a few at first, more while it takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from treecast.base.time import Duration, Instant, after

FIRST_PAUSE: Duration = 1.0
LAST_PAUSE: Duration = 16.0
"""The time between tries of which something was refused each time."""

NEXT_PAUSE: Duration = 1.0
"""The time after a try of which nothing was refused."""

CALM: Duration = 60.0
"""The time without a refusal after which the next one is a first one."""

FIRST_BATCH = 16
LAST_BATCH = 4096

K = TypeVar("K")


class Retries(Generic[K]):
    """Keys, the oldest first. As bounded as the table that they are of."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._due: Instant | None = None
        self._batch = FIRST_BATCH
        self._pause = FIRST_PAUSE
        self._refused = False
        """Whether something was refused since the last try."""
        self._refused_at: Instant | None = None

    def add(self, now: Instant, key: K) -> None:
        """The entry was refused."""
        self._waiting.pop(key, None)
        self._waiting[key] = None
        if self._refused_at is not None and now - self._refused_at > CALM:
            self._pause = FIRST_PAUSE
        self._refused_at = now
        if self._refused and self._due is not None:
            return
        self._refused, self._batch = True, FIRST_BATCH
        self._due = after(now, self._pause)
        self._pause = min(2 * self._pause, LAST_PAUSE)

    def discard(self, key: K) -> None:
        """The entry is not wanted any more, or has been made."""
        self._waiting.pop(key, None)

    def take(self, now: Instant) -> list[K]:
        """The entries to try now; the caller adds again what is refused again."""
        if self._due is None or now < self._due:
            return []
        if not self._refused:
            self._pause, self._batch = FIRST_PAUSE, min(2 * self._batch, LAST_BATCH)
        self._refused = False
        taken = list(self._waiting)[: self._batch]
        for key in taken:
            del self._waiting[key]
        self._due = after(now, NEXT_PAUSE) if self._waiting else None
        return taken

    def next_deadline(self) -> Instant | None:
        """The time at which ``take`` has something."""
        return self._due

    def __iter__(self) -> Iterator[K]:
        return iter(self._waiting)

    def __contains__(self, key: K) -> bool:
        return key in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)
