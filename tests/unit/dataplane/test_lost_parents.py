"""Words of children that their parent is silent: how many it takes, and how often one counts."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.dataplane.lost_parents import DOUBTED_AGAIN, DOUBTED_FOR, ONE_PARENT_IN, LostParents

PARENT, OTHER = NodeIndex(100), NodeIndex(101)
ONE, TWO, THREE = CHILDREN = tuple(map(NodeIndex, (1, 2, 3)))


def test_an_only_child_is_believed() -> None:
    assert LostParents().report(Instant(0.0), ONE, PARENT, (ONE,))


def test_more_than_half_of_the_children_say_so() -> None:
    lost = LostParents()
    assert not lost.report(Instant(0.0), ONE, PARENT, CHILDREN)
    assert not lost.report(Instant(0.1), ONE, PARENT, CHILDREN), "twice is no more than once"
    assert lost.report(Instant(0.2), TWO, PARENT, CHILDREN)
    two = LostParents()
    assert not two.report(Instant(0.0), ONE, PARENT, (ONE, TWO))
    assert two.report(Instant(0.1), TWO, PARENT, (ONE, TWO))


def test_words_that_are_long_ago_count_no_more() -> None:
    lost = LostParents()
    lost.report(Instant(0.0), ONE, PARENT, CHILDREN)
    assert not lost.report(Instant(ONE_PARENT_IN), TWO, PARENT, CHILDREN)


def test_a_child_has_one_parent_in_a_minute() -> None:
    lost = LostParents()
    assert lost.report(Instant(0.0), ONE, PARENT, (ONE,))
    assert not lost.report(Instant(ONE_PARENT_IN - 1), ONE, OTHER, (ONE,))
    assert lost.report(Instant(ONE_PARENT_IN), ONE, OTHER, (ONE,))


def test_who_has_just_named_its_own_parent_has_three_seconds_and_no_more_by_saying_it_again() -> None:
    lost = LostParents()
    assert not lost.has_just_named(Instant(0.0), ONE)
    for at in (0.0, 1.0, 2.9):
        lost.report(Instant(at), ONE, PARENT, CHILDREN)
        assert lost.has_just_named(Instant(at), ONE)
    assert not lost.has_just_named(Instant(3.0), ONE)


def test_the_word_of_who_is_gone_does_not_count() -> None:
    lost = LostParents()
    lost.report(Instant(0.0), ONE, PARENT, CHILDREN)
    lost.forget(ONE)
    assert not lost.report(Instant(0.1), TWO, PARENT, CHILDREN)


def test_a_doubt_counts_when_it_comes_again_later_and_of_the_same_parent() -> None:
    lost = LostParents()
    again = DOUBTED_AGAIN
    assert not lost.doubt(Instant(0.0), ONE, PARENT)
    assert not lost.doubt(Instant(again / 2), ONE, PARENT)
    assert lost.doubt(Instant(again), ONE, PARENT)
    assert not lost.doubt(Instant(again), ONE, OTHER)
    assert not lost.doubt(Instant(2 * again), ONE, PARENT)
    assert not lost.doubt(Instant(2 * again + DOUBTED_FOR + 0.1), ONE, PARENT), "that was long ago"
    lost.forget(ONE)
    assert not lost.doubt(Instant(4 * again + DOUBTED_FOR), ONE, PARENT)
