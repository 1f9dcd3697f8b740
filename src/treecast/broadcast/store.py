"""The store of advertisements: those of all origins, the newest of each key.

Decides when each ends, and keeps the fingerprint of all; what is news is ``acceptance``'s. Bounded in origins, and per
origin by its quota; every record ends with its origin.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite

from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_ORIGINS
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.base.token_bucket import TokenBucket
from treecast.broadcast.quotas import DEFAULT_QUOTA, NOTHING, Usage, usage_of
from treecast.wire.advertisement import Kind
from treecast.wire.revocation import CA_ORIGIN

NODE_LIFETIME: Duration = 60.0
"""Three NODE advertisements may be lost before an origin is forgotten (docs/protocol.md section 7)."""

WITHDRAWN_LIFETIME: Duration = 120.0
"""Longer than NODE_LIFETIME: who missed a withdrawal that long has forgotten the origin."""

MODULUS = 2**128
"""Fingerprints are sums modulo this of the hashes of origins: a change costs the same however many there are."""

RecordKey = tuple[int, bytes]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Record:
    """One verified advertisement, with the bytes its origin signed."""

    origin: NodeIndex
    epoch: int
    sequence: int
    kind: int
    key: bytes
    content: bytes
    wire: bytes
    body_hash: int
    """The hash of the bytes that are signed (``hash_of_body``)."""

    @property
    def withdrawn(self) -> bool:
        return not self.content

    @property
    def record_key(self) -> RecordKey:
        return (self.kind, self.key)


@dataclass(slots=True)
class Origin:
    """All that one node advertises, in its present epoch."""

    epoch: int
    signing_key: bytes
    expires_at: Instant
    pace: TokenBucket
    """How much more it may publish now; a new epoch goes on with it."""
    records: dict[RecordKey, Record] = field(default_factory=dict)
    withdrawn_until: dict[RecordKey, Instant] = field(default_factory=dict)
    floor: int = 0
    """Nothing but NODE that has this sequence or a lower one, and is not held, is alive."""
    link_keys: set[bytes] = field(default_factory=set)
    """The keys of its LINKS advertisements."""
    quota: Usage = DEFAULT_QUOTA
    usage: Usage = NOTHING
    """Sums over its advertisements but NODE."""
    hash: int = 0
    """Its part of the fingerprint, once it has begun in the store."""
    _live: int = 0
    """Sum of the hashes of its live records but NODE."""

    def rehash(self, index: NodeIndex) -> int:
        """Its hash as it is now: SHA-256 of index, epoch and live records but NODE, 16 bytes."""
        packed = index.to_bytes(4, "big") + self.epoch.to_bytes(8, "big") + self._live.to_bytes(16, "big")
        self.hash = int.from_bytes(hashlib.sha256(packed).digest()[:16], "big")
        return self.hash

    def put(self, record: Record, now: Instant) -> None:
        before = self.records.get(record.record_key)
        self._live = (self._live - _counted(before) + _counted(record)) % MODULUS
        self.records[record.record_key] = record
        if record.kind == Kind.LINKS:
            self.link_keys.add(record.key)
        self.withdrawn_until.pop(record.record_key, None)
        if record.withdrawn:
            self.withdrawn_until[record.record_key] = after(now, WITHDRAWN_LIFETIME)

    def forget_withdrawn(self, now: Instant) -> None:
        """Withdrawals that every node has by now."""
        for record_key, until in list(self.withdrawn_until.items()):
            if until > now:
                break  # in order of insertion, hence of time
            del self.withdrawn_until[record_key]
            gone = self.records.pop(record_key, None)
            if gone is not None:
                self.usage = self.usage.minus(usage_of(None, len(gone.wire)))
            if record_key[0] == Kind.LINKS:
                self.link_keys.discard(record_key[1])

    def link_records(self) -> Iterator[Record]:
        """Its LINKS advertisements, withdrawn ones too."""
        return (self.records[(Kind.LINKS, key)] for key in self.link_keys)


def hash_of_body(body: bytes) -> int:
    """The hash of an advertisement's signed bytes: of two with the same sequence the greater counts."""
    return int.from_bytes(hashlib.sha256(body).digest()[:16], "big")


def _counted(record: Record | None) -> int:
    """The part of a record in its origin's hash: none of NODE, which is repeated, nor of what is withdrawn."""
    is_counted = record is not None and record.kind != Kind.NODE and not record.withdrawn
    return record.body_hash if record is not None and is_counted else 0


class Store:
    """All origins, ordered by node index when walked."""

    def __init__(self) -> None:
        self._origins: dict[NodeIndex, Origin] = {}
        self._order: list[NodeIndex] = []
        self._ended: BoundedTable[NodeIndex, Record] = BoundedTable(MAX_ORIGINS)
        """Tombstones: the last NODE advertisement of each origin that fell silent. The oldest makes room."""
        self._expiries: Timers[NodeIndex] = Timers()
        """The time at which each origin is forgotten, unless a NODE advertisement of it comes before."""
        self._withdrawals: Timers[NodeIndex] = Timers()
        """The time at which the oldest withdrawal of each origin has reached all."""
        self.fingerprint = 0
        """The sum of the hashes of all origins: two nodes that hold the same have the same."""
        self.version = 0
        """Another one when the fingerprint may be another."""

    def get(self, origin: NodeIndex) -> Origin | None:
        return self._origins.get(origin)

    def begin(self, index: NodeIndex, origin: Origin) -> None:
        """A new origin, or a new epoch of one: nothing of an older epoch remains."""
        before = self._origins.get(index)
        if before is None:
            insort(self._order, index)
        self._origins[index] = origin
        self._count(before.hash if before is not None else 0, origin.rehash(index))
        self._ended.pop(index, None)
        self._withdrawals.cancel(index)
        if isfinite(origin.expires_at):
            self._expiries.set(index, origin.expires_at)

    def _count(self, hash_before: int, hash_now: int) -> None:
        self.fingerprint = (self.fingerprint - hash_before + hash_now) % MODULUS
        self.version += 1

    def keep(self, index: NodeIndex, until: Instant) -> None:
        """The origin is alive: nothing of it ends before then."""
        self._origins[index].expires_at = until
        self._expiries.set(index, until)

    def put(self, record: Record, now: Instant) -> None:
        """The newest record of its key, of an origin that has begun."""
        origin = self._origins[record.origin]
        origin.put(record, now)
        if record.kind != Kind.NODE:
            self._count(origin.hash, origin.rehash(record.origin))
        if record.withdrawn and record.origin not in self._withdrawals:
            self._withdrawals.set(record.origin, after(now, WITHDRAWN_LIFETIME))

    def forget_withdrawn(self, now: Instant) -> None:
        """Withdrawals that every node has by now."""
        for index in self._withdrawals.due(now):
            origin = self._origins[index]
            origin.forget_withdrawn(now)
            following = next(iter(origin.withdrawn_until.values()), None)
            if following is not None:
                self._withdrawals.set(index, following)

    def __len__(self) -> int:
        """How many nodes: the CA, whose records are held too, is none."""
        return len(self._origins) - (CA_ORIGIN in self._origins)

    @property
    def is_full(self) -> bool:
        return len(self) >= MAX_ORIGINS

    def forget(self, index: NodeIndex) -> list[Record]:
        """Drop an origin; returns what it had live, so that it can be unlearned."""
        origin = self._origins.pop(index, None)
        if origin is None:
            return []
        del self._order[bisect_left(self._order, index)]
        self._expiries.cancel(index)
        self._withdrawals.cancel(index)
        self._count(origin.hash, 0)
        return [record for record in origin.records.values() if not record.withdrawn]

    def expire(self, index: NodeIndex) -> list[Record]:
        """Forget an origin that fell silent: what is known of it has ended too, but a tombstone."""
        self._ended.put(index, self._origins[index].records[(Kind.NODE, b"")])
        return self.forget(index)

    def tombstone(self, index: NodeIndex) -> Record | None:
        """The last NODE advertisement of an origin that was held to its end, and has not begun again."""
        return self._ended.get(index)

    def origins(self) -> list[tuple[NodeIndex, Origin]]:
        """All, by node index."""
        return [(index, self._origins[index]) for index in self._order]

    def indices(self) -> Sequence[NodeIndex]:
        """All that are held, in order."""
        return self._order

    def hash_of(self, index: NodeIndex) -> int:
        """The part of an origin that is held in the fingerprint."""
        return self._origins[index].hash

    def expired(self, now: Instant) -> list[NodeIndex]:
        """Origins that fell silent, each once; the caller expires them."""
        return sorted(self._expiries.due(now))

    def next_expiry(self) -> Instant | None:
        return self._expiries.next()

    def records_of(self, index: NodeIndex) -> Iterator[Record]:
        """An origin's records, withdrawn ones too, its NODE first: it is needed to verify the others."""
        origin = self._origins.get(index)
        if origin is not None:
            yield from sorted(origin.records.values(), key=lambda record: (record.kind, record.key))
