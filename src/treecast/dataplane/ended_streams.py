"""Streams of this node that have ended while nodes subscribed to them: these learn it, and take nothing more of them.

Somebody who has left a stream before it ended may hold the last key of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from treecast.base.bounded_table import BoundedTable
from treecast.base.commands import Command, SendControl
from treecast.base.ids import NodeIndex, StreamId
from treecast.base.limits import MAX_ENDED_STREAMS
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers
from treecast.wire.control import StreamEnd, emit_control

REPEATED_AFTER: tuple[Duration, ...] = (0.1, 0.2, 0.4, 0.8)
"""The pauses before the word is repeated: all is said after 1.5 s, as with offers of keys."""


class EndedStreams:
    """The word goes to each node five times. ``give``: takes each command."""

    def __init__(self, give: Callable[[Command], None]) -> None:
        self._give = give
        self._nodes: BoundedTable[StreamId, tuple[tuple[NodeIndex, ...], int]] = BoundedTable(MAX_ENDED_STREAMS)
        """The nodes of each that has ended, and how often they were sent that again."""
        self._timers: Timers[StreamId] = Timers()
        """The time at which the end of each stream is repeated to its nodes."""

    def end(self, now: Instant, stream: StreamId, nodes: Iterable[NodeIndex]) -> None:
        """The stream has ended. Of too many at once the oldest is repeated no more."""
        self._send(now, stream, tuple(sorted(nodes)), 0)

    def advance(self, now: Instant) -> None:
        """Repeat what is due."""
        for stream in self._timers.due(now):
            found = self._nodes.pop(stream, None)
            if found is not None:
                nodes, repeated = found
                self._send(now, stream, nodes, repeated + 1)

    def next_deadline(self) -> Instant | None:
        return self._timers.next()

    def _send(self, now: Instant, stream: StreamId, nodes: tuple[NodeIndex, ...], repeated: int) -> None:
        message = emit_control(StreamEnd(stream))
        for node in nodes:
            self._give(SendControl(node, message))
        if nodes and repeated < len(REPEATED_AFTER):
            self._nodes.put(stream, (nodes, repeated))
            self._timers.set(stream, after(now, REPEATED_AFTER[repeated]))
