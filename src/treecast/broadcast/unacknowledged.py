"""Records that a neighbour has not acknowledged: repeated less and less often, a bounded number of times.

Decides when a record is sent, when it is sent again, and when it is given up. Of many that come at once a window is on
the way, which halves when some are not acknowledged in time and grows with each that is. A neighbour may refuse a
record for good (its table is full, its clock refuses a certificate), or never acknowledge anything: neither costs more
than a few datagrams a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from random import Random

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.broadcast.store import Record, RecordKey
from treecast.wire.advertisement import Kind
from treecast.wire.revocation import CA_ORIGIN

FIRST_REPEAT: Duration = 0.2
"""The time to the first repetition, or twice as long as acknowledgements take here, where that is more."""
LAST_REPEAT: Duration = 2.0
JITTER = (0.8, 1.0)
"""Repetitions come a little earlier each time, so that nodes that began together do not go on together."""
MAX_SENDS = 10
"""They take 12 to 15 s: longer than a dead neighbour has a link."""
FIRST_PAUSE: Duration = 60.0
LAST_PAUSE: Duration = 600.0
"""Digests offer an origin again of which a record was given up, after this time, doubling."""
MIN_WINDOW, MAX_WINDOW = 16, 192
"""Records that are on the way at a time. A smaller first window costs more where many nodes start at once: what comes
after a node's first links is passed on over them.
"""
MAX_REPEATS_PER_TURN = 64
SILENT_AFTER: Duration = 5.0
"""A neighbour that acknowledges nothing for so long, while records wait, gets a few at a time."""
SILENT_FLOODS = 4

FloodKey = tuple[NodeIndex, RecordKey]
RecordVersion = tuple[int, int, int]
"""Origin, epoch, sequence."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Records that were sent together and are due together: one deadline for all that are still ``waiting`` in it."""

    at: Instant
    records: list[_Waiting]
    waiting: int


@dataclass(slots=True)
class _Waiting:
    record: Record
    batch: _Batch | None = None
    """The one that it is repeated with; None until it is sent."""
    interval: Duration = 0.0
    sends: int = 0
    sent_at: Instant | None = None
    """The time of the first sending."""
    is_on_the_way: bool = False
    """Sent once, and not overdue: it takes a place in the window."""


@dataclass(slots=True)
class _GivenUp:
    until: Instant
    pause: Duration
    with_node: bool = False
    """Its NODE advertisement, too: once that is taken, the others are worth another try."""


class Unacknowledged:
    """The records that one neighbour has not acknowledged."""

    __slots__ = (
        "_answered_at",
        "_given_up",
        "_halved_at",
        "_not_before",
        "_on_the_way",
        "_repeats",
        "_rng",
        "_round_trip",
        "_unsent",
        "_versions",
        "_waiting",
        "_window",
    )

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._waiting: dict[FloodKey, _Waiting] = {}
        self._versions: dict[RecordVersion, FloodKey] = {}
        self._repeats: Timers[_Batch] = Timers()
        """The time at which those that were sent together are sent again, or given up."""
        self._unsent: dict[FloodKey, Instant] = {}
        """Records that were not sent yet, in their order, and since when they wait."""
        self._on_the_way = 0
        self._window = MAX_WINDOW
        self._halved_at = Instant(0.0)
        self._round_trip: Duration = 0.0
        """The time from a record's first sending to its acknowledgement, smoothed (RFC 6298)."""
        self._given_up: dict[NodeIndex, _GivenUp] = {}
        self._answered_at = Instant(0.0)
        """The time at which the neighbour last acknowledged something, or the first record began to wait."""
        self._not_before = Instant(0.0)

    def __len__(self) -> int:
        return max(len(self._waiting), len(self._versions))

    def put(self, now: Instant, record: Record) -> None:
        """Send this record until it is acknowledged; supersedes an older one of its key."""
        key, version = _key(record), _version(record)
        same_version = self._versions.get(version)
        if same_version == key and self._waiting[key].record.body_hash == record.body_hash:
            return  # it waits already
        if same_version is not None:
            self._forget(same_version)  # its origin lies: an acknowledgement could mean either
        self._forget(key)
        if not self._waiting:
            self._answered_at, self._window = now, MAX_WINDOW
        self._waiting[key] = _Waiting(record)
        self._unsent[key] = now
        if record.origin == CA_ORIGIN:
            self._unsent = {key: now, **self._unsent}
        self._versions[version] = key

    def acknowledged(self, now: Instant, version: RecordVersion) -> bool:
        """The neighbour holds this version; whether it waited."""
        key = self._versions.get(version)
        if key is None:
            return False
        waiting = self._waiting[key]
        if waiting.sent_at is not None:
            self._round_trip += (min(now - waiting.sent_at, LAST_REPEAT) - self._round_trip) / 8
        if waiting.is_on_the_way:
            self._window = min(self._window + 1, MAX_WINDOW)
        self._forget(key)
        self._answered_at, self._not_before = now, Instant(0.0)
        given_up = self._given_up.get(key[0])
        if given_up is not None and given_up.with_node and key[1][0] == Kind.NODE:
            del self._given_up[key[0]]
        return True

    def is_given_up(self, now: Instant, origin: NodeIndex) -> bool:
        """Whether digests are not to offer this origin again for a while: the neighbour does not take all of it."""
        given_up = self._given_up.get(origin)
        return given_up is not None and now < given_up.until

    def forget_origin(self, origin: NodeIndex) -> None:
        """The origin is gone, or has a new epoch."""
        for key in [key for key in self._waiting if key[0] == origin]:
            self._forget(key)
        self._given_up.pop(origin, None)

    def next(self) -> Instant | None:
        """The time at which ``take_due`` has something."""
        is_open = self._unsent and self._on_the_way < self._window
        due = earliest(self._repeats.next(), next(iter(self._unsent.values())) if is_open else None)
        return None if due is None else max(due, self._not_before)

    def take_due(self, now: Instant) -> tuple[list[Record], int]:
        """The records to send now, and how many were given up."""
        if now < self._not_before:
            return [], 0
        is_silent = bool(self._waiting) and now - self._answered_at >= SILENT_AFTER
        due = self._take_repeats(now, SILENT_FLOODS if is_silent else MAX_REPEATS_PER_TURN)
        self._overdue(now, due)
        free = SILENT_FLOODS - len(due) if is_silent else self._window - self._on_the_way
        due += map(self._waiting.__getitem__, islice(self._unsent, max(free, 0)))
        jitter = self._rng.uniform(*JITTER) if due else 1.0
        if due and is_silent:
            self._not_before = after(now, LAST_REPEAT * jitter)
        records: list[Record] = []
        first_interval = self._first_interval()
        sent: dict[Duration, list[_Waiting]] = {}
        for waiting in due:
            if waiting.sends >= MAX_SENDS:
                self._give_up(now, waiting.record)
                continue
            records.append(waiting.record)
            if waiting.sent_at is None:
                del self._unsent[_key(waiting.record)]
                waiting.sent_at, waiting.is_on_the_way, waiting.interval = now, True, first_interval
                self._on_the_way += 1
            sent.setdefault(waiting.interval, []).append(waiting)
            waiting.interval = min(2 * waiting.interval, LAST_REPEAT)
            waiting.sends += 1
        for interval, together in sent.items():
            self._repeat(after(now, interval * jitter), together)
        # Without NODE the others are refused; records of the CA may be about them.
        records.sort(key=lambda record: (record.origin != CA_ORIGIN, record.kind != Kind.NODE))
        return records, len(due) - len(records)

    def _first_interval(self) -> Duration:
        return min(max(FIRST_REPEAT, 2 * self._round_trip), LAST_REPEAT)

    def _repeat(self, at: Instant, together: list[_Waiting]) -> None:
        batch = _Batch(at, together, len(together))
        for waiting in together:
            waiting.batch = batch
        self._repeats.set(batch, at)

    def _take_repeats(self, now: Instant, limit: int) -> list[_Waiting]:
        """Take the records whose repetition is due, at most ``limit``; the others of a batch stay due."""
        taken: list[_Waiting] = []
        while len(taken) < limit:
            batch = next(iter(self._repeats.due(now, 1)), None)
            if batch is None:
                break
            together = [waiting for waiting in batch.records if waiting.batch is batch]
            free = limit - len(taken)
            taken += together[:free]
            if together[free:]:
                self._repeat(batch.at, together[free:])
        return taken

    def _overdue(self, now: Instant, due: list[_Waiting]) -> None:
        """Records that are not acknowledged in time are lost, or refused; others may go instead, fewer at a time."""
        overdue = [waiting for waiting in due if waiting.is_on_the_way]
        for waiting in overdue:
            waiting.is_on_the_way = False
        self._on_the_way -= len(overdue)
        if overdue and now - self._halved_at >= self._first_interval():
            self._window, self._halved_at = max(self._window // 2, MIN_WINDOW), now

    def _give_up(self, now: Instant, record: Record) -> None:
        key = _key(record)
        self._forget(key)
        given_up = self._given_up.get(key[0])
        if given_up is None:
            given_up = self._given_up[key[0]] = _GivenUp(after(now, FIRST_PAUSE), FIRST_PAUSE)
        elif now >= given_up.until:
            given_up.pause = min(2 * given_up.pause, LAST_PAUSE)
            given_up.until = after(now, given_up.pause)
        given_up.with_node = given_up.with_node or key[1][0] == Kind.NODE

    def _forget(self, key: FloodKey) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._versions.pop(_version(waiting.record), None)
            self._on_the_way -= waiting.is_on_the_way
            if waiting.batch is None:
                self._unsent.pop(key, None)
            else:
                waiting.batch.waiting -= 1
                if not waiting.batch.waiting:
                    self._repeats.cancel(waiting.batch)
                    waiting.batch.records.clear()
                waiting.batch = None


def _key(record: Record) -> FloodKey:
    return (record.origin, record.record_key)


def _version(record: Record) -> RecordVersion:
    return (record.origin, record.epoch, record.sequence)
