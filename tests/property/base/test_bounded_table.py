"""A bounded table, with a plain list as its model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.bounded_table import BoundedTable

_STEPS = st.lists(st.tuples(st.sampled_from(["put", "remove", "look"]), st.integers(0, 7), st.integers()), max_size=40)


@given(st.integers(1, 5), _STEPS)
def test_the_entry_that_was_put_longest_ago_makes_room(most: int, steps: list[tuple[str, int, int]]) -> None:
    table: BoundedTable[int, int] = BoundedTable(most)
    model: list[tuple[int, int]] = []
    for step, key, value in steps:
        held = dict(model)
        if step == "look":
            assert table.get(key) == held.get(key)
            continue
        model = [entry for entry in model if entry[0] != key]
        if step == "remove":
            assert table.pop(key, None) == held.get(key)
        else:
            model.append((key, value))
            assert table.put(key, value) == (model.pop(0) if len(model) > most else None)
        assert list(table.items()) == model
        assert len(table) <= most


def test_a_table_without_a_place_is_none() -> None:
    with pytest.raises(ValueError, match="0 is no number"):
        BoundedTable(0)
