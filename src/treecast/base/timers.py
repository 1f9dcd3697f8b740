"""Deadlines of many keys in one heap: what waits costs nothing until it is due.

A cancelled or moved deadline leaves its entry in the heap, which is skipped when it comes up (lazy deletion); the heap
is made anew when most of it is such entries. A key names its timer: a member of an enum whose entries explain what each
is for, or a subject where there is one timer only.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from treecast.base.time import Instant

STALE_ENTRIES = 64
"""Stale entries that are kept before the heap is made anew."""

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """One deadline for each key. Deadlines at one instant are due in the order in which they were set."""

    def __init__(self) -> None:
        self._live: dict[K, tuple[Instant, int]] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._order = 0

    def set(self, key: K, at: Instant) -> None:
        """Set the key's deadline, in place of an earlier or later one. Nothing happens when it is the same."""
        live = self._live.get(key)
        if live is not None and live[0] == at:
            return
        self._order += 1
        self._live[key] = (at, self._order)
        heappush(self._heap, (at, self._order, key))
        if len(self._heap) > 2 * len(self._live) + STALE_ENTRIES:
            self._heap = [(at, order, key) for key, (at, order) in self._live.items()]
            heapify(self._heap)

    def cancel(self, key: K) -> None:
        """The key has no deadline any more, if it had one."""
        self._live.pop(key, None)

    def deadline(self, key: K) -> Instant | None:
        """The key's deadline."""
        live = self._live.get(key)
        return live[0] if live is not None else None

    def due(self, now: Instant, limit: int | None = None) -> list[K]:
        """Take the keys whose deadline has come, the earliest first and at most ``limit``; each is cancelled by it."""
        taken: list[K] = []
        if not self._heap or self._heap[0][0] > now:  # nearly always: nothing is due, be the first entry stale or not
            return taken
        while limit is None or len(taken) < limit:
            at = self.next()
            if at is None or at > now:
                break
            _, _, key = heappop(self._heap)
            del self._live[key]
            taken.append(key)
        return taken

    def next(self) -> Instant | None:
        """The earliest deadline of all."""
        while self._heap:
            at, order, key = self._heap[0]
            if self._live.get(key) == (at, order):
                return at
            heappop(self._heap)
        return None

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: K) -> bool:
        return key in self._live
