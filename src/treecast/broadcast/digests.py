"""Digests: a summary of what a node holds of a range of origins, and how two of them are compared.

Decides to whom the first whole digest of a new link goes at once. Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.broadcast.store import Store
from treecast.wire.control import MAX_ORIGINS_PER_DIGEST, Digest

AT_ONCE_INTERVAL: Duration = 1.0
"""The first of the links that come up within it is compared at once: a node that joins takes all from one neighbour."""
LATER: tuple[Duration, Duration] = (1.0, 4.0)
"""When the others are, by chance: what the first one gave has been learned by then."""
LAST_INDEX = 0xFFFF_FFFF


@dataclass(slots=True)
class Comparison:
    """A neighbour's digest, compared with what is held here."""

    lacking: list[NodeIndex] = field(default_factory=list)
    """Origins of which it holds less than this node, or something else."""
    newer: list[NodeIndex] = field(default_factory=list)
    """Origins of which it holds a newer epoch."""
    is_equal: bool = True


class Digests:
    """Sends and compares a node's digests."""

    def __init__(self, store: Store, rng: Random) -> None:
        self._store = store
        self._rng = rng
        self._built: list[Digest] = []
        self._version = -1
        self._next_at_once = Instant(0.0)

    def first_due(self, now: Instant, peer: NodeIndex) -> Instant:
        """When the first digest of all goes over a link that comes up now. A node that is new has the first word."""
        is_peer_new = len(self._store) > 1 and self._store.get(peer) is None
        if now < self._next_at_once or is_peer_new:
            return after(now, self._rng.uniform(*LATER))
        self._next_at_once = after(now, AT_ONCE_INTERVAL)
        return now

    def current(self) -> list[Digest]:
        """Digests of all that is held, as many as needed: built once for all neighbours until something changes."""
        if self._version != self._store.version:
            self._built, self._version = self._build(), self._store.version
        return self._built

    def of(self, index: NodeIndex) -> Digest:
        """The digest of one origin: a neighbour that holds more of it floods that."""
        return Digest(index, index, self._entries(index, index))

    def compare(self, theirs: Digest) -> Comparison:
        """A neighbour's digest with what is held of its range."""
        if self._version == self._store.version and theirs in self._built:
            return Comparison()
        listed = {origin: (epoch, digest_hash) for origin, epoch, digest_hash in theirs.origins}
        held = self._store.origins_in(theirs.first, theirs.last)
        compared = Comparison(is_equal=len(listed) == len(held))
        for index, origin in held:
            entry = listed.get(index)
            if entry == (origin.epoch, origin.digest()):
                continue
            compared.is_equal = False
            is_newer = entry is not None and entry[0] > origin.epoch
            (compared.newer if is_newer else compared.lacking).append(index)
        return compared

    def _entries(self, first: int, last: int) -> tuple[tuple[int, int, bytes], ...]:
        return tuple((index, origin.epoch, origin.digest()) for index, origin in self._store.origins_in(first, last))

    def _build(self) -> list[Digest]:
        """Sorted by origin, each complete for its range."""
        held = [index for index, _ in self._store.origins()]
        ends = [*held[MAX_ORIGINS_PER_DIGEST - 1 : -1 : MAX_ORIGINS_PER_DIGEST], LAST_INDEX]
        firsts = [0, *(end + 1 for end in ends[:-1])]
        return [Digest(first, last, self._entries(first, last)) for first, last in zip(firsts, ends, strict=True)]
