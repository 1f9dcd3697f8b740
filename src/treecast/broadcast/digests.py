"""Digests: what a node holds of a range of origins, and how two nodes find where they differ.

A range of many origins is described by fingerprints of its sub-ranges, one of few by each origin's hash. Who reads a
description answers with a finer one of the parts that differ. Decides what differs; when anybody compares, and how
often, is ``reconciliation``'s. Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, groupby

from treecast.base.ids import NodeIndex
from treecast.broadcast.store import MODULUS, Store
from treecast.wire.control import FINGERPRINT_BYTES, MAX_ORIGINS_PER_DIGEST, MAX_RANGES, Digest, Ranges

LAST_INDEX = 0xFFFF_FFFF
LISTED = 16
"""A range with so many origins, or fewer, is listed: it is hardly longer than fingerprints of its parts."""
MOSTLY = MAX_RANGES // 2
"""Where so many sub-ranges differ they are listed at once: finer fingerprints would differ, too."""


@dataclass(slots=True)
class Comparison:
    """A neighbour's digest, compared with what is held here."""

    lacking: list[NodeIndex] = field(default_factory=list)
    """Origins of which it holds less than this node, or something else."""
    wanted: list[NodeIndex] = field(default_factory=list)
    """Origins of which it holds more than this node, or something else."""
    newer: list[NodeIndex] = field(default_factory=list)
    """Origins among the wanted ones of which it holds a newer epoch."""


class Digests:
    """Describes what the store holds, and compares it with descriptions of neighbours."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sums: list[int] = [0]
        """The sums of the hashes of the first so many origins."""
        self._version = -1

    def of(self, index: NodeIndex) -> Digest:
        """The digest of one origin: a neighbour that holds more of it floods that."""
        return self._list(index, index, expects_reply=False)

    def whole(self) -> Digest | Ranges:
        """All that is held."""
        return self._describe(0, LAST_INDEX)

    def compare(self, theirs: Digest) -> Comparison:
        """A neighbour's digest with what is held of its range."""
        compared = Comparison()
        listed = {origin: (epoch, digest_hash) for origin, epoch, digest_hash in theirs.origins}
        for origin, epoch, digest_hash in self._entries(theirs.first, theirs.last):
            index = NodeIndex(origin)
            if index not in listed:
                compared.lacking.append(index)
                continue
            their_epoch, their_hash = listed.pop(index)
            if their_hash == digest_hash:
                continue
            if their_epoch <= epoch:
                compared.lacking.append(index)
            if their_epoch >= epoch:
                compared.wanted.append(index)
            if their_epoch > epoch:
                compared.newer.append(index)
        compared.wanted += (NodeIndex(origin) for origin in listed if theirs.first <= origin <= theirs.last)
        return compared

    def finer(self, theirs: Ranges) -> Iterator[Digest | Ranges]:
        """Describe the sub-ranges that differ more finely than the neighbour does."""
        firsts = [theirs.first, *(last + 1 for last, _ in theirs.ranges[:-1])]
        parts = [
            (first, last, self._fingerprint(first, last) != fingerprint)
            for first, (last, fingerprint) in zip(firsts, theirs.ranges, strict=True)
        ]
        is_mostly = sum(differs for _, _, differs in parts) >= MOSTLY
        for differs, run in groupby(parts, key=lambda part: part[2]):
            if differs:
                together = list(run)
                first, last = together[0][0], together[-1][1]
                yield from self._lists(first, last, expects_reply=True) if is_mostly else (self._describe(first, last),)

    def request(self, wanted: list[NodeIndex]) -> Iterator[Digest]:
        """Describe these origins: the neighbour floods what it holds more."""
        wanted = sorted(wanted)
        for first, last in self._parts(wanted[0], wanted[-1]) if wanted else ():
            if bisect_left(wanted, first) < bisect_right(wanted, last):
                yield self._list(first, last, expects_reply=False)

    def _describe(self, first: int, last: int) -> Digest | Ranges:
        start, end = self._positions(first, last)
        if end - start <= LISTED:
            return self._list(first, last, expects_reply=True)
        held = self._store.indices()
        cuts = [start + (end - start) * number // MAX_RANGES for number in range(1, MAX_RANGES)]
        lasts = [*(held[cut] - 1 for cut in cuts), last]
        firsts = [first, *(last + 1 for last in lasts[:-1])]
        return Ranges(
            first, tuple((end, self._fingerprint(begin, end)) for begin, end in zip(firsts, lasts, strict=True))
        )

    def _lists(self, first: int, last: int, *, expects_reply: bool) -> Iterator[Digest]:
        """Digests of a range, as many as needed, each complete for its part."""
        for begin, end in self._parts(first, last):
            yield self._list(begin, end, expects_reply=expects_reply)

    def _parts(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Parts of a range of which a digest each has room."""
        start, end = self._positions(first, last)
        held = self._store.indices()
        for cut in range(start + MAX_ORIGINS_PER_DIGEST, end, MAX_ORIGINS_PER_DIGEST):
            yield first, held[cut] - 1
            first = held[cut]
        yield first, last

    def _list(self, first: int, last: int, *, expects_reply: bool) -> Digest:
        return Digest(first, last, tuple(self._entries(first, last)), expects_reply)

    def _entries(self, first: int, last: int) -> Iterator[tuple[int, int, bytes]]:
        start, end = self._positions(first, last)
        for index in self._store.indices()[start:end]:
            origin = self._store.get(index)
            if origin is not None:
                yield index, origin.epoch, _shortened(origin.hash)

    def _positions(self, first: int, last: int) -> tuple[int, int]:
        held = self._store.indices()
        return bisect_left(held, first), bisect_right(held, last)

    def _fingerprint(self, first: int, last: int) -> bytes:
        if self._version != self._store.version:
            hashes = map(self._store.hash_of, self._store.indices())
            self._sums, self._version = [*accumulate(hashes, initial=0)], self._store.version
        start, end = self._positions(first, last)
        return _shortened(self._sums[end] - self._sums[start])


def _shortened(total: int) -> bytes:
    return (total % MODULUS).to_bytes(16, "big")[-FINGERPRINT_BYTES:]
