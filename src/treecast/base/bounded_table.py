"""A table that never grows beyond a number of entries: what was put into it longest ago makes room."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedTable(OrderedDict[K, V]):
    """A table of at most ``most`` entries, the last put at the end. To look one up moves nothing; ``put`` does."""

    def __init__(self, most: int) -> None:
        """ValueError for a table without a place."""
        if most < 1:
            raise ValueError(f"{most} is no number of entries")
        super().__init__()
        self.most = most

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        """The entry is the last one from now on; returns the first one where that has made room."""
        self[key] = value
        self.move_to_end(key)
        return self.popitem(last=False) if len(self) > self.most else None
