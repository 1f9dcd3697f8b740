"""How full the bounded tables are, and the problem of one that is nearly full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from treecast.base.problems import Problem

NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class TableUse:
    """``what``: the entries, as people call them; ``advice``: what to do before the table is full."""

    what: str
    used: int
    most: int
    advice: str


def nearly_full(tables: Iterable[TableUse]) -> Iterator[Problem]:
    """One for each table of which nine tenths are in use."""
    for table in tables:
        if table.used >= NEARLY_FULL * table.most:
            left = "there is no room for more" if table.used >= table.most else f"there is room for {table.most} only"
            yield Problem("table_nearly_full", table.what, f"{table.used} {table.what}: {left}: {table.advice}")
