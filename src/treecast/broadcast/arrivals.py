"""Arrivals: advertisements of other nodes that wait for their turn, so that bulk of one delays nobody else's.

Decides how many are taken in one turn of the engine, by what they hold, and whose is next: neighbours by turns, and of
each the origins that it brings. What waits is not acknowledged yet. Never looks at a signature.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_WAITING_ADVERTISEMENTS
from treecast.base.shares import Shares
from treecast.base.time import Instant, after
from treecast.base.token_bucket import TokenBucket
from treecast.broadcast.store import RecordKey
from treecast.wire.advertisement import Body, Signed

QUEUE_FULL = "advertisement_queue_full"
LOOKED_AT_PER_S, LOOKED_AT_BURST = 5.0, 10.0
"""Signatures that are looked at of those that find no room: enough to say whose they are."""
WORK_OF_EACH = 2
"""A signature and an entry cost as much as two groups that are listed anew: each changes a tree, and takes 0.1 ms."""
WORK_OF_PREFIX = 40
"""All prefixes are planned anew, of which there may be a thousand, and groups that are in this one."""
LITTLE_WORK = 8
"""A host, or a group that is joined: what people wait for. More at a time is bulk."""
LITTLE_PER_S, LITTLE_BURST = 1000.0, 128.0
"""Little work is taken as it comes, up to this rate."""
WORK_PER_S, WORK_BURST = 2000.0, 32.0
"""The rest, and what is beyond: a third of the time, in turns of some milliseconds. 4,096 hosts take 3 s."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An advertisement as a neighbour sent it. ``work``: what it costs, in groups that begin or end with it."""

    wire: bytes
    signed: Signed
    body: Body
    work: int = WORK_OF_EACH


@dataclass(slots=True)
class _NeighbourQueue:
    """Advertisements that one neighbour brought, by origin, and the origins' shares of them."""

    of: dict[NodeIndex, dict[RecordKey, Arrival]] = field(default_factory=dict)
    shares: Shares[RecordKey] = field(default_factory=Shares)
    count: int = 0


class Arrivals:
    """One node's. The order of each origin's stays, of each neighbour's."""

    def __init__(self) -> None:
        self._brought: dict[NodeIndex, _NeighbourQueue] = {}
        """The neighbours of which something waits, the next one first."""
        self._little = TokenBucket.full(LITTLE_PER_S, LITTLE_BURST, Instant(0.0))
        self._work = TokenBucket.full(WORK_PER_S, WORK_BURST, Instant(0.0))
        self.looked_at = TokenBucket.full(LOOKED_AT_PER_S, LOOKED_AT_BURST, Instant(0.0))
        """Signatures of those that find no room, for people: none is looked at else before its turn."""

    def __len__(self) -> int:
        return sum(brought.count for brought in self._brought.values())

    def is_taken_at_once(self, now: Instant, peer: NodeIndex, arrival: Arrival) -> bool:
        """Whether there is time for it now, which is then used. Bulk waits for bulk, little for its own only."""
        brought = self._brought.get(peer)
        if brought is not None and NodeIndex(arrival.body.origin) in brought.of:
            return False
        if arrival.work <= LITTLE_WORK and self._little.has(now):
            self._little.take(now, arrival.work)
            return True
        if self._brought or not self._work.has(now):
            return False
        self._work.take(now, arrival.work)
        return True

    def put(self, peer: NodeIndex, arrival: Arrival) -> Arrival | None:
        """Keep it for a later turn, in place of an older one of its key. MalformedError where the neighbour has brought
        too much; returns the one that was put out for it, of an origin with more.
        """
        brought = self._brought.setdefault(peer, _NeighbourQueue())
        origin, key = NodeIndex(arrival.body.origin), (arrival.body.kind, arrival.body.key)
        waiting = brought.of.get(origin, {})
        put_out: Arrival | None = None
        if key not in waiting and brought.count >= MAX_WAITING_ADVERTISEMENTS:
            evicted = brought.shares.to_evict(origin)
            if evicted is None:
                raise MalformedError(QUEUE_FULL)
            put_out = self._remove(brought, *evicted)
        if key not in waiting:
            brought.count += 1
            brought.shares.put(origin, key)
        brought.of.setdefault(origin, waiting)[key] = arrival
        return put_out

    def take(self, now: Instant) -> list[tuple[NodeIndex, Arrival]]:
        """The advertisements whose turn it is, with their neighbours. One may take more than there is time for: what
        comes after it waits for that.
        """
        taken: list[tuple[NodeIndex, Arrival]] = []
        while self._brought and self._work.has(now):
            peer, brought = next(iter(self._brought.items()))
            origin, waiting = next(iter(brought.of.items()))
            arrival = self._remove(brought, origin, next(iter(waiting)))
            if origin in brought.of:
                brought.of[origin] = brought.of.pop(origin)
            del self._brought[peer]
            if brought.count:
                self._brought[peer] = brought
            taken.append((peer, arrival))
            self._work.take(now, arrival.work)
        return taken

    def _remove(self, brought: _NeighbourQueue, origin: NodeIndex, key: RecordKey) -> Arrival:
        arrival = brought.of[origin].pop(key)
        if not brought.of[origin]:
            del brought.of[origin]
        brought.shares.remove(origin, key)
        brought.count -= 1
        return arrival

    def link_down(self, peer: NodeIndex) -> int:
        """Its neighbour is none any more; returns how many waited. Others have them, or send them on request."""
        brought = self._brought.pop(peer, None)
        return 0 if brought is None else brought.count

    def next_deadline(self) -> Instant | None:
        """The time at which ``take`` has something."""
        if not self._brought:
            return None
        return after(self._work.filled_at, max(1.0 - self._work.tokens, 0.0) / WORK_PER_S)
