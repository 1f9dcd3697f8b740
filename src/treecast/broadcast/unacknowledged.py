"""Records that a neighbour has not acknowledged: repeated less and less often, a bounded number of times.

Decides when a record is sent again and when it is given up. A neighbour may refuse a record for good (its table is
full, its clock refuses a certificate), or never acknowledge anything: neither costs more than a few datagrams a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.broadcast.store import Record, RecordKey
from treecast.wire.advertisement import Kind

FIRST_REPEAT: Duration = 0.2
LAST_REPEAT: Duration = 2.0
JITTER = (0.8, 1.0)
"""Repetitions come a little earlier each time, so that nodes that began together do not go on together."""
MAX_SENDS = 10
"""In 12 to 15 s: longer than a dead neighbour has a link."""
FIRST_PAUSE: Duration = 60.0
LAST_PAUSE: Duration = 600.0
"""Digests offer an origin again of which a record was given up, after this time, doubling."""
MAX_FLOODS_PER_TURN = 512
SILENT_AFTER: Duration = 5.0
"""A neighbour that acknowledges nothing for so long, while records wait, gets a few at a time."""
SILENT_FLOODS = 4

Key = tuple[NodeIndex, RecordKey]
Version = tuple[int, int, int]
"""Origin, epoch, sequence."""


@dataclass(slots=True)
class _Waiting:
    record: Record
    interval: Duration = FIRST_REPEAT
    sends: int = 0


@dataclass(slots=True)
class _GivenUp:
    until: Instant
    pause: Duration
    with_node: bool = False
    """Its NODE advertisement, too: once that is taken, the others are worth another try."""


class Unacknowledged:
    """Of one neighbour."""

    __slots__ = ("_answered_at", "_given_up", "_not_before", "_repeats", "_rng", "_versions", "_waiting")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._waiting: dict[Key, _Waiting] = {}
        self._versions: dict[Version, Key] = {}
        self._repeats: Timers[Key] = Timers()
        """When each is sent, or given up."""
        self._given_up: dict[NodeIndex, _GivenUp] = {}
        self._answered_at = Instant(0.0)
        """When the neighbour last acknowledged something, or the first record began to wait."""
        self._not_before = Instant(0.0)

    def __len__(self) -> int:
        return max(len(self._waiting), len(self._versions))

    def put(self, now: Instant, record: Record) -> None:
        """Send this record until it is acknowledged; supersedes an older one of its key."""
        key, version = (record.origin, record.record_key), _version(record)
        if self._versions.get(version) == key:
            return  # it waits already
        self._forget(key)
        same_version = self._versions.get(version)
        if same_version is not None:
            self._forget(same_version)  # its origin lies: an acknowledgement could mean either
        if not self._waiting:
            self._answered_at = now
        self._waiting[key] = _Waiting(record)
        self._repeats.set(key, now)
        self._versions[version] = key

    def acknowledged(self, now: Instant, version: Version) -> bool:
        """The neighbour holds this version; whether it waited."""
        key = self._versions.get(version)
        if key is None:
            return False
        self._forget(key)
        self._answered_at, self._not_before = now, Instant(0.0)
        given_up = self._given_up.get(key[0])
        if given_up is not None and given_up.with_node and key[1][0] is Kind.NODE:
            del self._given_up[key[0]]
        return True

    def is_given_up(self, now: Instant, origin: NodeIndex) -> bool:
        """Whether digests are not to offer this origin again for a while: the neighbour does not take all of it."""
        given_up = self._given_up.get(origin)
        return given_up is not None and now < given_up.until

    def forget_origin(self, origin: NodeIndex) -> None:
        """The origin is gone, or has a new life."""
        for key in [key for key in self._waiting if key[0] == origin]:
            self._forget(key)
        self._given_up.pop(origin, None)

    def next(self) -> Instant | None:
        """When ``take_due`` has something."""
        due = self._repeats.next()
        return None if due is None else max(due, self._not_before)

    def take_due(self, now: Instant) -> tuple[list[Record], int]:
        """The records to send now, and how many were given up."""
        if now < self._not_before:
            return [], 0
        is_silent = bool(self._waiting) and now - self._answered_at >= SILENT_AFTER
        due = self._repeats.due(now, SILENT_FLOODS if is_silent else MAX_FLOODS_PER_TURN)
        jitter = self._rng.uniform(*JITTER) if due else 1.0
        if due and is_silent:
            self._not_before = after(now, LAST_REPEAT * jitter)
        records: list[Record] = []
        for key in due:
            waiting = self._waiting[key]
            if waiting.sends >= MAX_SENDS:
                self._give_up(now, key)
                continue
            records.append(waiting.record)
            self._repeats.set(key, after(now, waiting.interval * jitter))
            waiting.interval = min(2 * waiting.interval, LAST_REPEAT)
            waiting.sends += 1
        records.sort(key=lambda record: record.kind is not Kind.NODE)  # without that the others are refused
        return records, len(due) - len(records)

    def _give_up(self, now: Instant, key: Key) -> None:
        self._forget(key)
        given_up = self._given_up.get(key[0])
        if given_up is None:
            given_up = self._given_up[key[0]] = _GivenUp(after(now, FIRST_PAUSE), FIRST_PAUSE)
        elif now >= given_up.until:
            given_up.pause = min(2 * given_up.pause, LAST_PAUSE)
            given_up.until = after(now, given_up.pause)
        given_up.with_node = given_up.with_node or key[1][0] is Kind.NODE

    def _forget(self, key: Key) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._versions.pop(_version(waiting.record), None)
            self._repeats.cancel(key)


def _version(record: Record) -> Version:
    return (record.origin, record.epoch, record.sequence)
