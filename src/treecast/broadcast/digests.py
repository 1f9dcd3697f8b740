"""Digests of all that is held, in as many messages as needed: built once for all neighbours until something changes."""

from __future__ import annotations

from treecast.broadcast.store import Store
from treecast.wire.control import MAX_ORIGINS_PER_DIGEST, Digest

_LAST_INDEX = 0xFFFF_FFFF


class Digests:
    """One node's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._built: list[Digest] = []
        self._version = -1

    def current(self) -> list[Digest]:
        """Sorted by origin, each complete for its range."""
        if self._version != self._store.version:
            self._built, self._version = self._build(), self._store.version
        return self._built

    def _build(self) -> list[Digest]:
        held = self._store.origins()
        chunks = [held[i : i + MAX_ORIGINS_PER_DIGEST] for i in range(0, len(held), MAX_ORIGINS_PER_DIGEST)]
        digests: list[Digest] = []
        first = 0
        for number, chunk in enumerate(chunks or [[]], start=1):
            last = _LAST_INDEX if number >= len(chunks) else chunk[-1][0]
            entries = tuple((index, origin.epoch, origin.digest()) for index, origin in chunk)
            digests.append(Digest(first, last, entries))
            first = last + 1
        return digests
