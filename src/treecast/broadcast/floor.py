"""The floor: below it nothing of this node is alive, so that nobody can repeat what it has withdrawn and all have
forgotten. ``docs/protocol.md`` section 7.

Decides how far it rises with each NODE advertisement, and what is published anew for that.
"""

from __future__ import annotations

from treecast.base.time import Duration, Instant, after
from treecast.broadcast.store import WITHDRAWN_LIFETIME, Origin, Record
from treecast.wire.advertisement import Kind

SETTLED_AFTER: Duration = 60.0
"""The time from a withdrawal to the floor that covers it: NODE comes twice, before anybody forgets the withdrawal."""
MAX_REFRESHED = 64
"""Records that are published anew for one NODE advertisement: an origin with many hosts costs others no storm."""


class Floor:
    """Follows the withdrawals of this node's own origin."""

    def __init__(self) -> None:
        self._withdrawn = 0
        """The highest sequence of a withdrawal that all have by now."""

    def stale(self, now: Instant, origin: Origin) -> tuple[list[Record], int]:
        """The records to publish anew, and the floor that is true once they are."""
        forgotten_by = after(now, WITHDRAWN_LIFETIME - SETTLED_AFTER)
        for key, until in origin.withdrawn_until.items():
            if until > forgotten_by:
                break  # in order of time
            self._withdrawn = max(self._withdrawn, origin.records[key].sequence)
        if self._withdrawn <= origin.floor:
            return [], origin.floor
        alive = (one for one in origin.records.values() if one.kind != Kind.NODE and not one.withdrawn)
        older = sorted((one for one in alive if one.sequence < self._withdrawn), key=lambda one: one.sequence)
        if len(older) <= MAX_REFRESHED:
            return older, self._withdrawn
        return older[:MAX_REFRESHED], max(origin.floor, older[MAX_REFRESHED].sequence - 1)
