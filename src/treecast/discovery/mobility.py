"""How often something moves, and when that is too often: MACs (RFC 7432 section 15.1), IPs (RFC 9161 section 3.7).

A thing that moved ``max_moves`` times within ``move_window`` is in two places at once. It is a duplicate from then on
for ``duplicate_hold``: who would take it, leaves it where it is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from treecast.base.time import Instant, after
from treecast.discovery.limits import DiscoveryConfig

MAX_MOVERS = 4096

K = TypeVar("K")


@dataclass(slots=True)
class _Mover:
    moves: int = 0
    recent: deque[Instant] = field(default_factory=deque)
    frozen_until: Instant | None = None


class Mobility(Generic[K]):
    """The movers of the last minutes. Bounded: what moves least lately is forgotten for a new mover."""

    def __init__(self, config: DiscoveryConfig) -> None:
        self._config = config
        self._movers: OrderedDict[K, _Mover] = OrderedDict()

    def moved(self, now: Instant, key: K) -> bool:
        """One move more; whether that made it a duplicate."""
        mover = self._movers.setdefault(key, _Mover())
        self._movers.move_to_end(key)
        if len(self._movers) > MAX_MOVERS:
            self._movers.popitem(last=False)
        mover.moves += 1
        mover.recent.append(now)
        self._forget_old(now, mover)
        if len(mover.recent) < self._config.max_moves or mover.frozen_until is not None:
            return False
        mover.frozen_until = after(now, self._config.duplicate_hold)
        return True

    def is_duplicate(self, now: Instant, key: K) -> bool:
        mover = self._movers.get(key)
        if mover is None or mover.frozen_until is None:
            return False
        if mover.frozen_until <= now:
            mover.frozen_until = None
            mover.recent.clear()
            return False
        return True

    def moves(self, key: K) -> int:
        """Moves since it began to move."""
        mover = self._movers.get(key)
        return mover.moves if mover else 0

    def recent_moves(self, now: Instant, key: K) -> int:
        """Moves within the window."""
        mover = self._movers.get(key)
        if mover is None:
            return 0
        self._forget_old(now, mover)
        return len(mover.recent)

    def advance(self, now: Instant) -> None:
        """Forget what has come to rest."""
        for key in list(self._movers):
            if self.recent_moves(now, key):
                break  # in order of the last move
            if not self.is_duplicate(now, key):
                del self._movers[key]

    def _forget_old(self, now: Instant, mover: _Mover) -> None:
        while mover.recent and after(mover.recent[0], self._config.move_window) <= now:
            mover.recent.popleft()
        while len(mover.recent) > self._config.max_moves:
            mover.recent.popleft()
