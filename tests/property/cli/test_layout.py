"""Tables of any width: no word is broken, none is lost, and lines are no longer than they have to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from treecast.cli.layout import Cells, Column, layout

_WORD = st.text("0123456789abcdef:.", min_size=1, max_size=39)
_CELL = st.lists(st.lists(_WORD, min_size=1, max_size=4).map(" ".join), min_size=1, max_size=3).map("\n".join)
_NUMBER = st.integers(0, 10**12).map(str)


@st.composite
def any_table(draw: st.DrawFn) -> tuple[list[Column], list[Cells]]:
    columns: list[Column] = [
        (draw(st.sampled_from(["GROUP", "RX PACKETS", "OUR HOSTS' GROUP"])), draw(st.sampled_from(["left", "right"])))
        for _ in range(draw(st.integers(1, 8)))
    ]
    row = st.tuples(*(_CELL if justify == "left" else _NUMBER for _, justify in columns))
    return columns, list(draw(st.lists(row, min_size=1, max_size=5)))


@given(any_table(), st.integers(60, 200))
def test_every_word_of_every_row_is_whole_and_lines_fit(table: tuple[list[Column], list[Cells]], width: int) -> None:
    columns, rows = table
    titles, lines = layout(columns, rows, width)
    shown = list(lines)
    assert all(len(line) <= width for line in [*titles, *shown])
    words = " ".join(shown).split()
    once = {cells[0] for cells in rows}  # in the layout with the first column above the others
    for cells in rows:
        for cell in cells[1:]:
            assert set(cell.split()) <= set(words)
    for cell in once:
        assert set(cell.split()) <= set(words)


@given(any_table())
def test_a_table_with_room_has_a_line_for_each_line_of_its_cells(table: tuple[list[Column], list[Cells]]) -> None:
    columns, rows = table
    titles, lines = layout(columns, rows, 8 * 4 * 40)
    assert len(titles) == 2
    assert len(list(lines)) == sum(max(cell.count("\n") + 1 for cell in row) for row in rows)
