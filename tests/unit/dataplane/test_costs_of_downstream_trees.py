"""The cost of a turn for a node that is on many trees of others: counted, not timed."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.unit.counting import steps_of, times_the_work
from treecast.base.counters import Drops
from treecast.base.downstream_commands import LeaveStream
from treecast.base.events import KeyOffered
from treecast.base.flows import Flow, GroupKey
from treecast.base.ids import KeyId, NodeIndex, StreamId
from treecast.base.membership import ANY_SOURCE, NO_SOURCE
from treecast.base.time import Instant
from treecast.dataplane.downstream_trees import LINGER, DownstreamTrees
from treecast.wire.key_context import emit_context


def left(count: int) -> DownstreamTrees:
    """The trees of as many groups, which all hosts left at 0 s: this node is on them yet."""
    trees, now = DownstreamTrees(Drops()), Instant(0.0)
    groups: list[GroupKey] = [(0, IPv4Address("239.1.0.0") + number) for number in range(count)]
    for number, group in enumerate(groups):
        trees.want(now, group, ANY_SOURCE)
        context = emit_context(Flow(*group, None))
        trees.offered(now, KeyOffered(NodeIndex(2), StreamId(number + 1), KeyId(1), context))
    for group in groups:
        trees.want(now, group, NO_SOURCE)
    trees.commands.clear()
    assert len(trees.trees()) == count
    return trees


def idle_turn(trees: DownstreamTrees) -> None:
    trees.advance(Instant(1.0))
    assert trees.commands == []
    assert trees.next_deadline() == LINGER


def test_an_idle_turn_touches_as_much_with_1000_trees_that_linger_as_with_100() -> None:
    few, many = left(100), left(1_000)
    assert steps_of(idle_turn, many) <= 1.1 * steps_of(idle_turn, few)
    assert times_the_work(lambda: idle_turn(many), of=lambda: idle_turn(few)) <= 1.5  # as list() of one would be


def test_trees_that_lingered_are_left_all_at_once() -> None:
    trees = left(100)
    trees.advance(Instant(LINGER))
    assert trees.commands == [LeaveStream(NodeIndex(2), StreamId(1 + n)) for n in range(100)]
    assert trees.trees() == ()
