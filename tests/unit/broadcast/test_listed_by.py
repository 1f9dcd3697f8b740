"""ListedBy: which neighbours list an origin, with a bit for each neighbour."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.broadcast.link_state import ListedBy

NONE = frozenset[int]()


def test_a_neighbour_that_comes_after_one_that_went_is_not_taken_for_it() -> None:
    listed_by = ListedBy()
    for neighbour in (1, 2, 3):
        listed_by.link_up(NodeIndex(neighbour), {9})
    listed_by.link_down(NodeIndex(2))
    listed_by.link_up(NodeIndex(4), NONE)
    listed_by.link_up(NodeIndex(5), {8})
    neighbours = [NodeIndex(number) for number in range(1, 6)]
    assert listed_by.select(NodeIndex(9), neighbours) == {1, 3}
    assert listed_by.select(NodeIndex(8), neighbours) == {5}


def test_a_link_that_comes_up_again_is_one_neighbour() -> None:
    listed_by = ListedBy()
    listed_by.link_up(NodeIndex(1), {9})
    listed_by.link_up(NodeIndex(1), {8})
    listed_by.link_up(NodeIndex(2), NONE)
    assert listed_by.select(NodeIndex(9), [NodeIndex(1), NodeIndex(2)]) == set()
    assert listed_by.select(NodeIndex(8), [NodeIndex(1), NodeIndex(2)]) == {1}


def test_what_a_chunk_lists_still_stays_listed() -> None:
    listed_by = ListedBy()
    listed_by.link_up(NodeIndex(1), {7, 8})
    listed_by.changed(NodeIndex(1), {7, 8}, {8, 9})
    assert [bool(listed_by.select(NodeIndex(origin), [NodeIndex(1)])) for origin in (7, 8, 9)] == [False, True, True]
