"""A node that subscribes to a stream again queries the root whether the keys that it has count on."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from treecast.base.counters import Drops
from treecast.base.downstream_commands import ConfirmStream
from treecast.base.events import KeyOffered
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.wire.key_context import emit_context

GROUP = (0, IPv4Address("239.1.1.1"))
EVERYTHING = SourceFilter(FilterMode.EXCLUDE, frozenset())
ROOT, STREAM = NodeIndex(1), StreamId(5)


@pytest.fixture
def trees() -> DownstreamTrees:
    """A node with a key of a stream, whose hosts leave its group at 10 s."""
    made = DownstreamTrees(Drops())
    made.want(Instant(0.0), GROUP, EVERYTHING)
    made.offered(Instant(1.0), KeyOffered(ROOT, STREAM, KeyId(1), emit_context(Flow(*GROUP, None))))
    made.want(Instant(10.0), GROUP, NO_SOURCE)
    made.commands.clear()
    return made


def confirmations(trees: DownstreamTrees) -> list[ConfirmStream]:
    found = [command for command in trees.commands if isinstance(command, ConfirmStream)]
    trees.commands.clear()
    return found


@pytest.mark.parametrize(("back_at", "within_ms"), [(10.0, 2750), (11.5, 1250), (12.75, 0), (19.9, 0)])
def test_keys_end_as_long_after_the_leave_as_those_of_others_that_left(
    trees: DownstreamTrees, back_at: float, within_ms: int
) -> None:
    trees.want(Instant(back_at), GROUP, EVERYTHING)
    assert confirmations(trees) == [ConfirmStream(ROOT, STREAM, within_ms, again=False)]


def test_the_root_is_queried_five_times(trees: DownstreamTrees) -> None:
    trees.want(Instant(12.0), GROUP, EVERYTHING)
    times = []
    confirmations(trees)
    while (due := trees.next_deadline()) is not None and due < 100.0:
        trees.advance(due)
        assert confirmations(trees) == [ConfirmStream(ROOT, STREAM, 0, again=True)]
        times.append(round(due - 12.0, 3))
    assert times == [0.2, 0.6, 1.4, 3.0]


def test_who_goes_on_to_subscribe_queries_nobody(trees: DownstreamTrees) -> None:
    trees.want(Instant(12.0), GROUP, EVERYTHING)
    confirmations(trees)
    trees.want(Instant(12.1), GROUP, EVERYTHING)
    assert confirmations(trees) == []
