"""Addresses at which something was noticed, for a while: hints for people, which decide nothing."""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.addresses import Endpoint
from treecast.base.time import Duration, Instant

NOTICED_LIFETIME: Duration = 30.0
MAX_NOTICED = 256


class Noticed:
    """The addresses at which one kind of thing was noticed; at most MAX_NOTICED, the oldest makes room."""

    def __init__(self, lifetime: Duration = NOTICED_LIFETIME) -> None:
        self._lifetime = lifetime
        self._at: dict[Endpoint, Instant] = {}

    def note(self, now: Instant, endpoint: Endpoint) -> None:
        self._at.pop(endpoint, None)
        self._at[endpoint] = now
        if len(self._at) > MAX_NOTICED:
            del self._at[next(iter(self._at))]

    def last(self, now: Instant, endpoint: Endpoint) -> Instant | None:
        """When it was last noticed there; None when that is long ago."""
        then = self._at.get(endpoint)
        return then if then is not None and now - then < self._lifetime else None

    def recent(self, now: Instant) -> Iterator[Endpoint]:
        """Newest first."""
        for endpoint in reversed(self._at):
            if self.last(now, endpoint) is None:
                return
            yield endpoint
