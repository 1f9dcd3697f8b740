"""Tables as text of a given width. No word is ever broken: an address can be copied from any terminal.

Where the columns do not fit beside each other even with their words below each other, the first gets a line of its own
above the others; where that is too wide too, each cell gets one. Numbers (columns to the right) are never folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

Column = tuple[str, Literal["left", "right"]]
Cells = Sequence[str]

_INDENT = "  "
_LINE = "\u2500"
_TITLE_STYLE = Style(bold=True)


class TextTable:
    """A table with a line under its titles, as wide as it may be at most."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Cells]) -> None:
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        titles, lines = layout(self._columns, self._rows, options.max_width)
        for line in titles:
            yield Segment(line, _TITLE_STYLE)
            yield Segment.line()
        for line in lines:
            yield Segment(line)
            yield Segment.line()


def layout(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> tuple[list[str], Iterator[str]]:
    """The lines of the titles, and those of the rows: beside each other, the first above the others, or one by one."""
    widths = _fitting(columns, rows, width)
    if widths is not None:
        titles = list(_beside(columns, [title for title, _ in columns], widths))
        return [*titles, " ".join(_LINE * own for own in widths)], _rows_beside(columns, rows, widths)
    widths = _fitting(columns[1:], [row[1:] for row in rows], width - len(_INDENT))
    if widths is not None:
        titles = [_INDENT + line for line in _beside(columns[1:], [title for title, _ in columns[1:]], widths)]
        under = _LINE * (len(_INDENT) + sum(widths) + len(widths) - 1)
        return [columns[0][0], *titles, under], _rows_below(columns, rows, widths, width)
    return [], _one_by_one(columns, rows, width)


def _fitting(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> list[int] | None:
    """The width of each column; None where not even their longest words fit."""
    if not columns:
        return None
    gaps = len(columns) - 1
    natural, least = [], []
    for (title, justify), cells in zip(columns, zip(*rows, strict=True), strict=True):
        of_title = max(len(word) for word in title.split())
        longest = max(len(line) for cell in cells for line in cell.split("\n"))
        word = longest if justify == "right" else max(len(word) for cell in cells for word in _words(cell))
        natural.append(max(len(title), longest))
        least.append(max(of_title, word))
    spare = width - gaps - sum(least)
    if spare < 0:
        return None
    widths = list(least)
    smallest_first = sorted(range(len(widths)), key=lambda column: natural[column] - least[column])
    for count, column in enumerate(smallest_first):
        more = min(natural[column] - least[column], spare // (len(smallest_first) - count))
        widths[column] += more
        spare -= more
    return widths


def _words(cell: str) -> list[str]:
    """The parts that are never broken: other spaces than the usual one are within them."""
    return cell.replace("\n", " ").split(" ")


def _rows_beside(columns: Sequence[Column], rows: Sequence[Cells], widths: Sequence[int]) -> Iterator[str]:
    for row in rows:
        yield from _beside(columns, row, widths)


def _rows_below(columns: Sequence[Column], rows: Sequence[Cells], widths: Sequence[int], width: int) -> Iterator[str]:
    """Put above rows, once, what they all have in the first column."""
    above = None
    for row in rows:
        if row[0] != above:
            above = row[0]
            yield from _folded(above, width)
        for line in _beside(columns[1:], row[1:], widths):
            yield _INDENT + line


def _one_by_one(columns: Sequence[Column], rows: Sequence[Cells], width: int) -> Iterator[str]:
    names = max(len(title) for title, _ in columns)
    for number, row in enumerate(rows):
        if number:
            yield ""
        for (title, _), cell in zip(columns, row, strict=True):
            for at, line in enumerate(_folded(cell, width - names - 1)):
                yield f"{title if at == 0 else '':<{names}} {line}".rstrip()


def _beside(columns: Sequence[Column], cells: Cells, widths: Sequence[int]) -> Iterator[str]:
    folded = [_folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(len(lines) for lines in folded)):
        line = [lines[number] if number < len(lines) else "" for lines in folded]
        yield " ".join(
            text.rjust(width) if justify == "right" else text.ljust(width)
            for text, width, (_, justify) in zip(line, widths, columns, strict=True)
        ).rstrip()


def _folded(cell: str, width: int) -> list[str]:
    """Its lines, with what is too long for the width below, word by word."""
    if len(cell) <= width and "\n" not in cell:
        return [cell]
    lines = []
    for line in cell.split("\n"):
        filled = ""
        for word in line.split(" "):
            if filled and len(filled) + 1 + len(word) > width:
                lines.append(filled)
                filled = word
            else:
                filled = f"{filled} {word}" if filled else word
        lines.append(filled)
    return lines
