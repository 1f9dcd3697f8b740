"""Sorting in slices."""

from __future__ import annotations

from random import Random

from treecast.base.sorting import SLICE, sorted_in_slices


def test_the_order_is_that_of_sorted_and_equal_items_keep_theirs() -> None:
    rng = Random(3)
    items = [(rng.randrange(500), number) for number in range(3 * SLICE + 7)]
    found = [item for item in sorted_in_slices(items, lambda item: item[0]) if item is not None]
    assert found == sorted(items, key=lambda item: item[0])
    assert list(sorted_in_slices([], lambda item: item)) == []


def test_no_step_looks_at_more_keys_than_a_slice_has() -> None:
    looked_at = 0

    def key(item: int) -> int:
        nonlocal looked_at
        looked_at += 1
        return -item

    steps = sorted_in_slices(range(40 * SLICE), key)
    most = before = 0
    for _ in steps:
        most, before = max(most, looked_at - before), looked_at
    assert most == SLICE
