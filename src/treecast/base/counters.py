"""Named drop reasons: nothing vanishes without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_NAMED_REFUSED

SESSION_BEGUN = "session_begun"
"""Noted of a node, no drop: it has begun a session here, or would have."""
QUEUE_FULL_AS_OF = "advertisement_queue_full_as_of"
"""Some advertisements above a queue, noted of the origin that has signed them."""
QUEUE_FULL_FORGED = "advertisement_queue_full_forged"
"""The same, noted of the neighbour that brought one which its origin has not signed."""
KEYS_MADE_ANEW = "keys_made_anew"
"""Noted of a node, no drop: it has left one tree of this node more often than is usual."""


class Drops:
    """Counts discarded frames and messages by reason. Reasons are code constants, so the table is bounded."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._of: Counter[tuple[NodeIndex, str]] = Counter()

    def count(self, reason: str, amount: int = 1) -> None:
        self._counts[reason] += amount

    def snapshot(self) -> Mapping[str, int]:
        return dict(sorted(self._counts.items()))

    def note_of(self, node: NodeIndex, reason: str, amount: int = 1) -> None:
        """Note a node as the one that drops of this reason are of, for people. Counts nothing."""
        if (node, reason) in self._of or len(self._of) < MAX_NAMED_REFUSED:
            self._of[node, reason] += amount

    def take_refusals(self) -> list[tuple[NodeIndex, str, int]]:
        """Nodes, reasons and amounts that were noted since the last call."""
        taken, self._of = self._of, Counter()
        return [(node, reason, amount) for (node, reason), amount in taken.items()]
