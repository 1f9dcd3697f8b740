"""Nodes of two trees that acknowledge nothing for long, while the trees serve nobody before all of them have."""

from __future__ import annotations

from collections.abc import Collection

from treecast.base.ids import NodeIndex, StreamId
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers

WAIT: Duration = 2.0
"""A node has been offered its place five times by then; the others get copies meanwhile."""


class Stragglers:
    """The streams whose trees wait for nodes, and until when. One entry for each tree of a root."""

    def __init__(self) -> None:
        self._until: dict[StreamId, Instant] = {}
        self._timers: Timers[StreamId] = Timers()

    def of(self, now: Instant, stream: StreamId, awaited: Collection[NodeIndex]) -> Collection[NodeIndex]:
        """The trees of a stream that is in use wait for these: those that they wait for no longer."""
        if not awaited:
            self.forget(stream)
            return ()
        until = self._until.get(stream)
        if until is None:
            self._until[stream] = until = after(now, WAIT)
            self._timers.set(stream, until)
        if now < until:
            return ()
        self.forget(stream)
        return awaited

    def forget(self, stream: StreamId) -> None:
        """The trees of the stream wait for nobody."""
        if self._until.pop(stream, None) is not None:
            self._timers.cancel(stream)

    def due(self, now: Instant) -> list[StreamId]:
        """The streams whose trees have waited long enough."""
        return self._timers.due(now)

    def next_deadline(self) -> Instant | None:
        """The time at which ``due`` has any."""
        return self._timers.next()
