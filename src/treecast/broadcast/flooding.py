"""What each neighbour still lacks: floods to repeat until acknowledged, acknowledgements and digests to send.

Decides when a message leaves; what is news is ``store``'s. The mechanism is OSPF's (RFC 2328 section 13).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.broadcast.store import Record, RecordKey
from treecast.wire.control import MAX_CONTROL_BYTES, Acknowledge, Flood

FIRST_REPEAT: Duration = 0.2
LAST_REPEAT: Duration = 2.0
DIGEST_DELAYS: tuple[Duration, ...] = (0.0, 1.0, 4.0)
DIGEST_INTERVAL: Duration = 30.0
JITTER = (0.8, 1.0)
"""What repeats does so a little earlier each time, so that nodes that began together do not go on together."""
MAX_FLOODS_PER_TURN = 512
MAX_ACKNOWLEDGEMENTS_PER_MESSAGE = 48
FLOOD_BYTES = MAX_CONTROL_BYTES - 16


@dataclass(slots=True)
class _Unacknowledged:
    record: Record
    interval: Duration


@dataclass(slots=True)
class Neighbour:
    """One link, as flooding sees it.

    ``wake``: of all neighbours, when each has a message to send; ``digest_due``: when the next Digest is.
    """

    peer: NodeIndex
    digest_due: Instant
    wake: Timers[NodeIndex]
    rng: Random
    digests_sent: int = 0
    acknowledgements: list[tuple[int, int, int]] = field(default_factory=list)
    _unacknowledged: dict[tuple[NodeIndex, RecordKey], _Unacknowledged] = field(default_factory=dict)
    _versions: dict[tuple[int, int, int], tuple[NodeIndex, RecordKey]] = field(default_factory=dict)
    _repeats: Timers[tuple[NodeIndex, RecordKey]] = field(default_factory=Timers)
    """When each record that is not acknowledged is sent again."""

    def __post_init__(self) -> None:
        self._set_wake()

    @property
    def unsent(self) -> int:
        """Records that are not acknowledged, and acknowledgements that are due."""
        return max(len(self._unacknowledged), len(self._versions)) + len(self.acknowledgements)

    def offer(self, record: Record, now: Instant) -> None:
        """Flood this record until it is acknowledged; supersedes an older one of its key."""
        key = (record.origin, record.record_key)
        self._forget(key)
        same_version = self._versions.get(_version(record))
        if same_version is not None:
            self._forget(same_version)  # its origin lies: an acknowledgement could mean either
        self._unacknowledged[key] = _Unacknowledged(record, FIRST_REPEAT)
        self._repeats.set(key, now)
        self._versions[_version(record)] = key
        self._set_wake()

    def acknowledged(self, origin: NodeIndex, epoch: int, sequence: int) -> None:
        """The neighbour holds this version, or said so itself by flooding it to us."""
        key = self._versions.get((origin, epoch, sequence))
        if key is not None:
            self._forget(key)
            self._set_wake()

    def acknowledge(self, now: Instant, origin: int, epoch: int, sequence: int) -> None:
        """Acknowledge this version with the next message."""
        self.acknowledgements.append((origin, epoch, sequence))
        self.wake.set(self.peer, now)

    def compare(self, at: Instant) -> None:
        """Send a Digest then, or before."""
        self.digest_due = min(self.digest_due, at)
        self._set_wake()

    def _set_wake(self) -> None:
        if not self.acknowledgements:  # else it is set to when the first of them came
            repeat_due = self._repeats.next()
            self.wake.set(self.peer, self.digest_due if repeat_due is None else min(self.digest_due, repeat_due))

    def withdraw_offers_of(self, origin: NodeIndex) -> None:
        for key in [key for key in self._unacknowledged if key[0] == origin]:
            self._forget(key)
        self._set_wake()

    def _forget(self, key: tuple[NodeIndex, RecordKey]) -> None:
        waiting = self._unacknowledged.pop(key, None)
        if waiting is not None:
            self._versions.pop(_version(waiting.record), None)
            self._repeats.cancel(key)

    def digest_sent(self, now: Instant) -> None:
        self.digests_sent += 1
        following = self.digests_sent
        if following < len(DIGEST_DELAYS):
            self.digest_due = after(now, DIGEST_DELAYS[following] - DIGEST_DELAYS[following - 1])
        else:
            self.digest_due = after(now, DIGEST_INTERVAL * self.rng.uniform(*JITTER))

    def messages(self, now: Instant) -> Iterator[Acknowledge | Flood]:
        """What is due, in messages that fit a datagram."""
        while self.acknowledgements:
            batch = self.acknowledgements[:MAX_ACKNOWLEDGEMENTS_PER_MESSAGE]
            del self.acknowledgements[:MAX_ACKNOWLEDGEMENTS_PER_MESSAGE]
            yield Acknowledge(tuple(batch))
        yield from self._floods(now)
        self._set_wake()

    def _floods(self, now: Instant) -> Iterator[Flood]:
        batch: list[bytes] = []
        size = 0
        due = self._repeats.due(now, MAX_FLOODS_PER_TURN)
        jitter = self.rng.uniform(*JITTER) if due else 1.0
        for key in due:
            waiting = self._unacknowledged[key]
            self._repeats.set(key, after(now, waiting.interval * jitter))
            waiting.interval = min(2 * waiting.interval, LAST_REPEAT)
            wire = waiting.record.wire
            if batch and size + len(wire) + 3 > FLOOD_BYTES:
                yield Flood(tuple(batch))
                batch, size = [], 0
            batch.append(wire)
            size += len(wire) + 3
        if batch:
            yield Flood(tuple(batch))


def _version(record: Record) -> tuple[int, int, int]:
    return (record.origin, record.epoch, record.sequence)
