"""How full the bounded tables are, and the problem of one that is nearly full."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem

NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class TableUse:
    """``what``: the entries, as people call them; ``advice``: what to do before the table is full; ``largest``: the
    node with most of them, and how many; ``wants_most``: the one that wants most groups, where they are made for these.
    """

    what: str
    used: int
    most: int
    advice: str
    largest: tuple[NodeIndex, int] | None = None
    wants_most: tuple[NodeIndex, int] | None = None


def nearly_full(tables: Iterable[TableUse], name: Callable[[NodeIndex], str] = str) -> Iterator[Problem]:
    """One for each table of which nine tenths are in use. ``name``: of a node."""
    for table in tables:
        if table.used >= NEARLY_FULL * table.most:
            left = "there is no room for more" if table.used >= table.most else f"there is room for {table.most} only"
            yield Problem(
                "table_nearly_full",
                table.what,
                f"{table.used} {table.what}{_whose(table, name)}: {left}: {table.advice}",
            )


def _whose(table: TableUse, name: Callable[[NodeIndex], str]) -> str:
    if table.wants_most is not None:
        return f", {name(table.wants_most[0])} wants most: {table.wants_most[1]} groups"
    if table.largest is None or not table.used:
        return ""
    node, count = table.largest
    return f", {count} of them ({100 * count // table.used} %) of {name(node)}"
