"""Addresses at which something was noticed, for a while: hints for people, which decide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from treecast.base.addresses import Endpoint
from treecast.base.bounded_table import BoundedTable
from treecast.base.limits import MAX_NOTICED_ENDPOINTS
from treecast.base.time import Duration, Instant

NOTICED_LIFETIME: Duration = 30.0
BREAK: Duration = 4.5
"""A node that is only remembered from an earlier run is sought for ten seconds, with breaks of five and more
(``targets``); one that is configured, every two seconds with shorter breaks (``attempts``).
"""
LASTING_AFTER: Duration = 11.0


@dataclass(slots=True)
class _Place:
    """``since``: the end of the last break; ``lasting``: noticed for so long without one."""

    since: Instant
    last: Instant
    lasting: bool = False


class Noticed:
    """The addresses at which one kind of thing was noticed; at most MAX_NOTICED_ENDPOINTS, the oldest makes room."""

    def __init__(self, lifetime: Duration = NOTICED_LIFETIME) -> None:
        self._lifetime = lifetime
        self._places: BoundedTable[Endpoint, _Place] = BoundedTable(MAX_NOTICED_ENDPOINTS)

    def note(self, now: Instant, endpoint: Endpoint) -> None:
        place = self._places.get(endpoint)
        if place is None or now - place.last >= self._lifetime:
            place = _Place(now, now)
        elif now - place.last >= BREAK:
            place.since = now
        place.last = now
        place.lasting = place.lasting or now - place.since >= LASTING_AFTER
        self._places.put(endpoint, place)

    def last(self, now: Instant, endpoint: Endpoint) -> Instant | None:
        """When it was last noticed there; None when that is long ago."""
        place = self._places.get(endpoint)
        return place.last if place is not None and now - place.last < self._lifetime else None

    def lasting(self, now: Instant) -> Iterator[Endpoint]:
        """Where it was noticed again and again without a break, until it has not been for a while. Newest first."""
        for endpoint, place in reversed(self._places.items()):
            if self.last(now, endpoint) is None:
                return
            if place.lasting:
                yield endpoint
