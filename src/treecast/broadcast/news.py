"""News: advertisements of other nodes that this turn brought, on their way to the neighbours that may lack them.

Decides which neighbours get each, and when. How a neighbour gets it, and how often, is ``flooding``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from random import Random

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.link_state import LinkStateDatabase, ListedBy
from treecast.broadcast.store import Record, RecordKey, Store
from treecast.wire.revocation import CA_ORIGIN

YOUNG_FOR: Duration = 0.5
"""The time after which both ends of a link have advertised in LINKS which others they have."""


@dataclass(slots=True)
class _NewsItem:
    """A record that was news, and the neighbours that sent it in the same turn."""

    record: Record
    sender: NodeIndex
    begins: bool
    """Whether it is the first of its origin, or of a new epoch of it."""
    also_from: set[NodeIndex] = field(default_factory=set)
    waiting_for: Set[NodeIndex] = frozenset()
    """Neighbours whose links were young."""


class News:
    """The news of one turn, by origin and key."""

    def __init__(self, store: Store, link_state: LinkStateDatabase, listed_by: ListedBy, rng: Random) -> None:
        self._store = store
        self._link_state = link_state
        self._listed_by = listed_by
        self._rng = rng
        self._brought: dict[tuple[NodeIndex, RecordKey], _NewsItem] = {}
        self._held_back: dict[tuple[NodeIndex, RecordKey], _NewsItem] = {}
        """Each is of a record that is held: bounded as these are."""
        self._release: Instant | None = None

    def add(self, record: Record, sender: NodeIndex, *, begins: bool) -> None:
        """A neighbour sent a record that was not held. ``begins``: nothing was, of this epoch of its origin, or its
        origin is the CA.
        """
        self._brought[(record.origin, record.record_key)] = _NewsItem(record, sender, begins)

    def sent_again(self, origin: NodeIndex, key: RecordKey, wire: bytes, sender: NodeIndex) -> None:
        """A neighbour sent what was not newer: one that sent the same news as another needs it no more."""
        brought = self._brought.get((origin, key))
        if brought is not None and brought.record.wire == wire:
            brought.also_from.add(sender)

    def take(self, now: Instant, neighbours: Mapping[NodeIndex, Neighbour]) -> dict[NodeIndex, list[Record]]:
        """The records for each of the neighbours, but those that it gets from their origin, or from their sender.

        At the end of the turn: by then all chunks of an origin's LINKS are there that came together. Neighbours whose
        links are young are judged when their own LINKS have come: of many nodes that start at once each would send all
        of all to all. The first record of an origin, from itself, goes to them at once: that introduces it.
        """
        for_neighbour: dict[NodeIndex, list[Record]] = {}
        if self._release is not None and now >= self._release:
            released, self._held_back, self._release = self._held_back, {}, None
            for brought in _by_origin(released):
                for peer in self._left(brought, brought.waiting_for & neighbours.keys()):
                    for_neighbour.setdefault(peer, []).append(brought.record)
        if not self._brought:
            return for_neighbour
        news, self._brought = self._brought, {}
        young = {peer for peer, neighbour in neighbours.items() if now < after(neighbour.linked_at, YOUNG_FOR)}
        for brought in _by_origin(news):
            left = self._left(brought, neighbours.keys())
            introduces = brought.begins and brought.record.origin in (brought.sender, CA_ORIGIN)
            if young and not introduces:
                brought.waiting_for = left & young
                left -= young
            if brought.waiting_for:
                self._held_back[(brought.record.origin, brought.record.record_key)] = brought
                self._release = self._release or after(now, YOUNG_FOR)
            for peer in sorted(left):
                for_neighbour.setdefault(peer, []).append(brought.record)
        return for_neighbour

    def next_deadline(self) -> Instant | None:
        """The time at which ``take`` has something that was held back."""
        return self._release

    def _left(self, brought: _NewsItem, neighbours: Set[NodeIndex]) -> Set[NodeIndex]:
        """The neighbours among these that may lack it."""
        record = brought.record
        origin = self._store.get(record.origin)
        if origin is None or origin.records.get(record.record_key) is not record:
            return frozenset()  # the origin has begun anew since, or has published another
        left = neighbours - self._link_state.of(record.origin) - {brought.sender, record.origin}
        left -= brought.also_from
        if left and not brought.begins:
            left = self._without_those_that_list(record.origin, left)
        if left and record.origin != CA_ORIGIN:  # else a node that is revoked could keep it, with links it has not
            left = left - self._linked_with(brought.sender, left)
        return left

    def _linked_with(self, sender: NodeIndex, neighbours: Set[NodeIndex]) -> Set[NodeIndex]:
        """The neighbours that get it from the sender: both list their link, for a member may list whom it likes."""
        return self._listed_by.select(sender, neighbours & self._link_state.of(sender))

    def _without_those_that_list(self, origin: NodeIndex, neighbours: Set[NodeIndex]) -> Set[NodeIndex]:
        """A neighbour that lists an origin has a link with it, whatever that one lists: all but one are left to it.

        One is not: the origin may have lost those neighbours just now, and they do not know yet.
        """
        listing = sorted(self._listed_by.select(origin, neighbours))
        if not listing:
            return neighbours
        return neighbours - set(listing) | {self._rng.choice(listing)}


def _by_origin(news: Mapping[tuple[NodeIndex, RecordKey], _NewsItem]) -> Iterable[_NewsItem]:
    return sorted(news.values(), key=lambda brought: brought.record.origin)
