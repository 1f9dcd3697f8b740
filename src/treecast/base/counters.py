"""Named drop reasons: nothing vanishes without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Drops:
    """Counts discarded frames and messages by reason. Reasons are code constants, so the table is bounded."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, reason: str, amount: int = 1) -> None:
        self._counts[reason] += amount

    def snapshot(self) -> Mapping[str, int]:
        return dict(sorted(self._counts.items()))
