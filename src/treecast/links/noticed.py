"""Addresses at which something was noticed, for a while: hints for people, which decide nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
class _Sighting:
    """``since``: the end of the last break; ``lasting``: noticed for so long without one."""

    since: Instant
    last: Instant
    lasting: bool = False


class Noticed:
    """The addresses at which one kind of thing was noticed; at most MAX_NOTICED_ENDPOINTS, the oldest makes room."""

    def __init__(self, lifetime: Duration = NOTICED_LIFETIME) -> None:
        self._lifetime = lifetime
        self._sightings: BoundedTable[Endpoint, _Sighting] = BoundedTable(MAX_NOTICED_ENDPOINTS)

    def note(self, now: Instant, endpoint: Endpoint) -> None:
        sighting = self._sightings.get(endpoint)
        if sighting is None or now - sighting.last >= self._lifetime:
            sighting = _Sighting(now, now)
        elif now - sighting.last >= BREAK:
            sighting.since = now
        sighting.last = now
        sighting.lasting = sighting.lasting or now - sighting.since >= LASTING_AFTER
        self._sightings.put(endpoint, sighting)

    def forget(self, endpoints: Iterable[Endpoint]) -> None:
        """Nothing counts that was noticed there. Where nothing was noticed at all, nobody looks at these."""
        for endpoint in endpoints if self._sightings else ():
            self._sightings.pop(endpoint, None)

    def last(self, now: Instant, endpoint: Endpoint) -> Instant | None:
        """The time at which it was last noticed there; None when that is long ago."""
        sighting = self._sightings.get(endpoint)
        return sighting.last if sighting is not None and now - sighting.last < self._lifetime else None

    def lasting(self, now: Instant) -> Iterator[Endpoint]:
        """Where it was noticed again and again without a break, until it has not been for a while. Newest first."""
        for endpoint, sighting in reversed(self._sightings.items()):
            if self.last(now, endpoint) is None:
                return
            if sighting.lasting:
                yield endpoint
