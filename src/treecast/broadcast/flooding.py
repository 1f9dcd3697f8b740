"""Flooding to each neighbour: records repeated until acknowledged, acknowledgements and requests to send.

Decides when a message leaves; what is news is ``acceptance``'s. The mechanism is OSPF's (RFC 2328 section 13).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REQUESTED_ORIGINS
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.broadcast.store import Record
from treecast.broadcast.unacknowledged import JITTER, RecordVersion, Unacknowledged
from treecast.wire.control import MAX_CONTROL_BYTES, Acknowledge, Flood

REQUEST_AGAIN: Duration = 0.5
MAX_ACKNOWLEDGEMENTS_PER_MESSAGE = 48
FLOOD_BYTES = MAX_CONTROL_BYTES - 16


@dataclass(slots=True)
class Neighbour:
    """One link, as flooding sees it. ``wake``: of all neighbours, when each has a message to send."""

    peer: NodeIndex
    wake: Timers[NodeIndex]
    rng: Random
    drops: Drops
    linked_at: Instant
    _requested: Timers[tuple[NodeIndex, bool]] = field(default_factory=Timers)
    """The time at which a digest of an origin is sent to the neighbour, to get what it holds more of it."""
    acknowledgements: list[RecordVersion] = field(default_factory=list)
    _unacknowledged: Unacknowledged = field(init=False)

    def __post_init__(self) -> None:
        self._unacknowledged = Unacknowledged(self.rng)

    @property
    def unsent(self) -> int:
        """Records that are not acknowledged, and acknowledgements that are due."""
        return len(self._unacknowledged) + len(self.acknowledgements)

    def offer(self, now: Instant, *records: Record) -> None:
        """Flood these records, each until it is acknowledged; supersedes an older one of its key."""
        for record in records:
            self._unacknowledged.put(now, record)
        wake = self.wake.deadline(self.peer)
        if wake is None or wake > now:
            self._set_wake()

    def wants(self, now: Instant, origin: NodeIndex) -> bool:
        """Whether to offer what its digest lacks of this origin: not while it does not take all of it."""
        return not self._unacknowledged.is_given_up(now, origin)

    def acknowledged(self, now: Instant, *versions: RecordVersion) -> None:
        """The neighbour holds these versions: it has acknowledged or flooded them."""
        waited = [version for version in versions if self._unacknowledged.acknowledged(now, version)]
        if waited:
            self._set_wake()

    def acknowledge(self, now: Instant, version: RecordVersion) -> None:
        """Acknowledge this version with the next message."""
        if not self.acknowledgements:  # else it wakes already
            self.wake.set(self.peer, now)
        self.acknowledgements.append(version)

    def request(self, now: Instant, origin: NodeIndex) -> None:
        """Get what the neighbour holds of this origin that is not held here: now, and again in case that is lost.

        Of too many at once fingerprints find what is not requested.
        """
        if (origin, False) not in self._requested and len(self._requested) >= MAX_REQUESTED_ORIGINS:
            return
        self._requested.set((origin, False), now)
        self._requested.set((origin, True), after(now, REQUEST_AGAIN * self.rng.uniform(*JITTER)))
        self._set_wake()

    def take_requested(self, now: Instant) -> list[NodeIndex]:
        """The origins to send a digest of."""
        due = self._requested.due(now)
        return sorted({origin for origin, _ in due}) if due else []

    def _set_wake(self) -> None:
        if self.acknowledgements:
            return  # it is set to when the first of them came
        due = earliest(self._unacknowledged.next(), self._requested.next())
        if due is None:
            self.wake.cancel(self.peer)
        else:
            self.wake.set(self.peer, due)

    def withdraw_offers_of(self, origin: NodeIndex) -> None:
        self._unacknowledged.forget_origin(origin)
        self._set_wake()

    def messages(self, now: Instant) -> Iterator[Acknowledge | Flood]:
        """Messages that are due, each in a datagram's size."""
        while self.acknowledgements:
            batch = self.acknowledgements[:MAX_ACKNOWLEDGEMENTS_PER_MESSAGE]
            del self.acknowledgements[:MAX_ACKNOWLEDGEMENTS_PER_MESSAGE]
            yield Acknowledge(tuple(batch))
        yield from self._floods(now)
        self._set_wake()

    def _floods(self, now: Instant) -> Iterator[Flood]:
        batch: list[bytes] = []
        size = 0
        records, given_up = self._unacknowledged.take_due(now)
        if given_up:
            self.drops.count("advertisement_unacknowledged", given_up)
        for record in records:
            if batch and size + len(record.wire) + 3 > FLOOD_BYTES:
                yield Flood(tuple(batch))
                batch, size = [], 0
            batch.append(record.wire)
            size += len(record.wire) + 3
        if batch:
            yield Flood(tuple(batch))
