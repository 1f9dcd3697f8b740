"""A stream that ends while nodes subscribe to it: they learn it five times, and their keys of it are soon over."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from treecast.base.commands import Command, CreateTree, SendControl
from treecast.base.counters import Drops
from treecast.base.downstream_commands import ConfirmStream, LeaveStream
from treecast.base.events import KeyOffered
from treecast.base.flows import BROADCAST, Flow
from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.limits import MAX_ENDED_STREAMS
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.ended_streams import EndedStreams
from treecast.dataplane.key_times import KEY_OVERLAP
from treecast.dataplane.root_trees import RootTrees
from treecast.wire.control import StreamEnd, parse_control
from treecast.wire.key_context import emit_context

GROUP = (0, ip_address("239.1.1.1"))
FLOW, OF_SOURCE = Flow(*GROUP, None), Flow(*GROUP, ip_address("10.77.0.1"))
EVERYTHING = SourceFilter(FilterMode.EXCLUDE, frozenset())
ONE, TWO, ROOT, STREAM = NodeIndex(1), NodeIndex(2), NodeIndex(3), StreamId(5)


def ends(commands: list[Command]) -> list[tuple[NodeIndex, StreamId]]:
    """The nodes that learn of the end of a stream."""
    sent = [(command.peer, parse_control(command.data)) for command in commands if isinstance(command, SendControl)]
    commands.clear()
    return [(peer, StreamId(message.stream)) for peer, message in sent if isinstance(message, StreamEnd)]


@pytest.mark.parametrize("used", [True, False])
def test_members_of_a_tree_that_is_no_more_learn_it_five_times_where_they_may_have_its_key(used: bool) -> None:
    trees = RootTrees(TreeEpoch(1), Drops(), Random(1))
    trees.want(Instant(1.0), OF_SOURCE, [ONE, TWO])
    (stream,) = [command.stream for command in trees.commands if isinstance(command, CreateTree)]
    if used:
        trees.used(Instant(1.0), stream)
    trees.commands.clear()
    trees.want(Instant(9.0), OF_SOURCE, None)
    found = {9.0: ends(trees.commands)}
    while (due := trees.next_deadline()) is not None and due < 100.0:
        trees.advance(due)
        found[round(due, 3)] = ends(trees.commands)
    both = [(ONE, stream), (TWO, stream)]
    assert found == (dict.fromkeys([9.0, 9.1, 9.3, 9.7, 10.5], both) if used else {9.0: []})


def test_of_many_streams_that_end_at_once_the_first_are_repeated_no_more() -> None:
    commands: list[Command] = []
    ended = EndedStreams(commands.append)
    for number in range(MAX_ENDED_STREAMS + 2):
        ended.end(Instant(1.0), StreamId(number), [ONE])
    assert len(ends(commands)) == MAX_ENDED_STREAMS + 2
    ended.advance(Instant(1.1))
    assert [stream for _, stream in ends(commands)] == list(range(2, MAX_ENDED_STREAMS + 2))


def member(flow: Flow | None = FLOW, stream: StreamId = STREAM) -> DownstreamTrees:
    """A node with a key of a stream."""
    trees = DownstreamTrees(Drops())
    trees.want(Instant(0.0), GROUP, EVERYTHING)
    trees.offered(Instant(1.0), KeyOffered(ROOT, stream, KeyId(1), emit_context(flow)))
    trees.commands.clear()
    return trees


def left_at(trees: DownstreamTrees, until: float) -> float | None:
    """The time at which the node leaves the stream by itself."""
    while (due := trees.next_deadline()) is not None and due <= until:
        trees.advance(due)
        if any(isinstance(command, LeaveStream) for command in trees.commands):
            return due
    return None


def test_keys_of_a_stream_that_has_ended_are_over_when_what_was_sealed_has_come() -> None:
    trees = member()
    for repeated in (2.0, 2.1, 2.3):
        trees.ended(Instant(repeated), ROOT, STREAM)
    assert left_at(trees, 60.0) == 2.0 + KEY_OVERLAP


def test_a_stream_that_has_ended_is_left_whether_or_not_hosts_here_join_again() -> None:
    trees = member()
    trees.ended(Instant(2.0), ROOT, STREAM)
    for wanted in (NO_SOURCE, EVERYTHING):
        trees.want(Instant(2.5), GROUP, wanted)
    assert not any(isinstance(command, ConfirmStream) for command in trees.commands)
    assert left_at(trees, 60.0) == 2.0 + KEY_OVERLAP


def test_nobody_but_the_root_ends_a_stream_and_broadcast_has_no_end() -> None:
    trees = member()
    trees.ended(Instant(2.0), ONE, STREAM)
    trees.ended(Instant(2.0), ROOT, StreamId(STREAM + 1))
    assert left_at(trees, 60.0) is None
    trees = member(BROADCAST, BROADCAST_STREAM)
    trees.ended(Instant(2.0), ROOT, BROADCAST_STREAM)
    assert left_at(trees, 60.0) is None
