"""How often something moves, and when that is too often: MACs (RFC 7432 section 15.1), IPs (RFC 9161 section 3.7).

A thing that moved ``max_moves`` times within ``move_window`` is in two places at once. It is a duplicate from then on
for ``duplicate_hold``: who would take it, leaves it where it is, and notes what was refused. When the hold ends, what
was refused last counts; it is restless until it has moved no more for a while. The MACs of virtual routers (``Pace``)
are made to move: they are only kept from storms.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from treecast.base.limits import MAX_MOVERS
from treecast.base.time import Duration, Instant, after, earliest
from treecast.discovery.limits import Pace

REPORT_INTERVAL: Duration = 180.0
"""One thing is reported as a duplicate no oftener."""
RESTLESS_TIME: Duration = 60.0
"""A host that is in two places is seen in both within this time: neighbours solicit it (RFC 1122 section 2.3.2.1)."""

K = TypeVar("K")
R = TypeVar("R")


@dataclass(slots=True)
class _Mover(Generic[R]):
    moves: int = 0
    recent: deque[Instant] = field(default_factory=deque)
    held_until: Instant | None = None
    reported_at: Instant | None = None
    refused: R | None = None


class Mobility(Generic[K, R]):
    """The movers of the last minutes. Bounded: what moves least lately is forgotten for a new mover.

    ``pace``: how often a thing may move; R is what the caller notes of a refusal.
    """

    def __init__(self, pace: Callable[[K], Pace]) -> None:
        self._pace = pace
        self._movers: OrderedDict[K, _Mover[R]] = OrderedDict()
        self._held: dict[Duration, OrderedDict[K, None]] = {}
        """Held keys by the time that they are held, the first to be free first."""
        self._restless: OrderedDict[K, Instant] = OrderedDict()
        """The end of the time in which a thing that was held is restless: the next to be at rest first."""

    def moved(self, now: Instant, key: K) -> bool:
        """One move more; whether that is to be reported as a duplicate. What was refused before counts no more."""
        mover = self._movers.setdefault(key, _Mover())
        self._movers.move_to_end(key)
        if len(self._movers) > MAX_MOVERS:
            self._forget(now, next(iter(self._movers)))
        if mover.held_until is not None and mover.held_until <= now:
            self._release(now, key, mover)
        mover.moves += 1
        mover.refused = None
        mover.recent.append(now)
        if now < self._restless.get(key, Instant(0.0)):
            self._set_restless(now, key)
        pace = self._pace(key)
        _forget_old(now, mover, pace)
        if len(mover.recent) < pace.max_moves or mover.held_until is not None:
            return False
        mover.held_until = after(now, pace.hold)
        self._held.setdefault(pace.hold, OrderedDict())[key] = None
        if mover.reported_at is not None and now < after(mover.reported_at, REPORT_INTERVAL):
            return False
        mover.reported_at = now
        return True

    def is_duplicate(self, now: Instant, key: K) -> bool:
        mover = self._movers.get(key)
        return mover is not None and mover.held_until is not None and now < mover.held_until

    def in_two_places(self, now: Instant) -> list[K]:
        """The duplicates, the first to be free first, and those that moved again since they were, or may do so yet."""
        held = [key for held in self._held.values() for key in held]
        return held + [key for key, until in self._restless.items() if now < until and not self.is_duplicate(now, key)]

    def refuse(self, key: K, what: R) -> None:
        """A move of a duplicate was refused: it counts when the hold ends, unless the duplicate has moved since."""
        mover = self._movers.get(key)
        if mover is not None and mover.held_until is not None:
            mover.refused = what

    def refused(self, key: K) -> R | None:
        mover = self._movers.get(key)
        return mover.refused if mover else None

    def take_refused(self, key: K) -> R | None:
        """Takes what was refused of it, once."""
        mover = self._movers.get(key)
        if mover is None:
            return None
        refused, mover.refused = mover.refused, None
        return refused

    def drop_refused(self, drops: Callable[[R], bool]) -> None:
        """Forget those that count no more."""
        for mover in self._movers.values():
            if mover.refused is not None and drops(mover.refused):
                mover.refused = None

    def moves(self, key: K) -> int:
        """Moves since it began to move."""
        mover = self._movers.get(key)
        return mover.moves if mover else 0

    def recent_moves(self, now: Instant, key: K) -> int:
        """Moves within the window."""
        mover = self._movers.get(key)
        if mover is None:
            return 0
        _forget_old(now, mover, self._pace(key))
        return len(mover.recent)

    def advance(self, now: Instant) -> list[tuple[K, R | None]]:
        """Release those whose hold ends, with what was refused last; forget what has come to rest."""
        released: list[tuple[K, R | None]] = []
        for held in self._held.values():
            while held and self._held_until(next(iter(held))) <= now:
                key = next(iter(held))
                mover = self._movers[key]
                released.append((key, mover.refused))
                self._release(now, key, mover)
        while self._restless and next(iter(self._restless.values())) <= now:
            self._restless.popitem(last=False)
        while self._movers and self._is_at_rest(now, next(iter(self._movers))):
            self._movers.popitem(last=False)
        return released

    def next_deadline(self) -> Instant | None:
        """The time at which the next hold ends."""
        return earliest(*(self._held_until(next(iter(held))) for held in self._held.values() if held))

    def _held_until(self, key: K) -> Instant:
        held_until = self._movers[key].held_until
        if held_until is None:
            raise RuntimeError("a mover among the held is not held")
        return held_until

    def _is_at_rest(self, now: Instant, key: K) -> bool:
        mover = self._movers[key]
        reported = mover.reported_at is not None and now < after(mover.reported_at, REPORT_INTERVAL)
        is_known = reported or mover.held_until is not None or key in self._restless
        return not is_known and not self.recent_moves(now, key)

    def _release(self, now: Instant, key: K, mover: _Mover[R]) -> None:
        if mover.held_until is not None:
            del self._held[self._pace(key).hold][key]
            if now < after(mover.held_until, RESTLESS_TIME):
                self._set_restless(mover.held_until, key)
        mover.held_until = mover.refused = None
        mover.recent.clear()

    def _set_restless(self, since: Instant, key: K) -> None:
        self._restless[key] = after(since, RESTLESS_TIME)
        self._restless.move_to_end(key)

    def _forget(self, now: Instant, key: K) -> None:
        self._release(now, key, self._movers.pop(key))
        self._restless.pop(key, None)


def _forget_old(now: Instant, mover: _Mover[R], pace: Pace) -> None:
    while mover.recent and after(mover.recent[0], pace.window) <= now:
        mover.recent.popleft()
    while len(mover.recent) > pace.max_moves:
        mover.recent.popleft()
