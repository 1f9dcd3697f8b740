"""A flow's next tree ends the one before it only when what was sealed for that one has arrived."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from treecast.base.counters import Drops
from treecast.base.downstream_commands import AcceptKey, LeaveStream
from treecast.base.events import CommandRefusalReason, KeyOffered
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.dataplane import downstream_trees
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.key_times import KEY_OVERLAP
from treecast.wire.key_context import emit_context

FLOW = Flow(0, IPv4Address("239.1.1.1"), None)
ROOT = NodeIndex(1)
EVERYTHING = SourceFilter(FilterMode.EXCLUDE, frozenset())


def joined() -> DownstreamTrees:
    trees = DownstreamTrees(Drops())
    trees.want(Instant(0.0), (FLOW.vlan, FLOW.group), EVERYTHING)
    return trees


def offer(trees: DownstreamTrees, now: float, stream: int) -> list[LeaveStream]:
    """Offers this tree's key; returns the trees that end."""
    event = KeyOffered(ROOT, StreamId(stream), KeyId(stream), emit_context(FLOW))
    trees.offered(Instant(now), event)
    return ended(trees)


def ended(trees: DownstreamTrees) -> list[LeaveStream]:
    found = [command for command in trees.commands if isinstance(command, LeaveStream)]
    trees.commands.clear()
    return found


def remove(stream: int) -> list[LeaveStream]:
    return [LeaveStream(ROOT, StreamId(stream))]


def test_the_tree_before_is_kept_for_what_is_on_its_way() -> None:
    trees = joined()
    assert offer(trees, 1.0, 5) == []
    assert offer(trees, 2.0, 6) == []
    due = trees.next_deadline()
    assert due == 2.0 + KEY_OVERLAP
    trees.advance(Instant(due - 0.001))
    assert ended(trees) == []
    trees.advance(due)
    assert ended(trees) == remove(5)


def test_of_many_in_a_row_the_last_two_are_kept() -> None:
    trees = joined()
    assert [offer(trees, 1.0, stream) for stream in (5, 6, 7, 8)] == [[], [], remove(5), remove(6)]


def test_an_offer_of_a_run_of_its_root_that_has_ended_keeps_no_tree_of_the_next_one_out() -> None:
    trees = joined()
    trees.offered(Instant(1.0), KeyOffered(ROOT, StreamId(500), KeyId(1), emit_context(FLOW)))
    (accepted,) = [command for command in trees.commands if isinstance(command, AcceptKey)]
    assert ended(trees) == []
    trees.refused(accepted, CommandRefusalReason.UNKNOWN)
    assert ended(trees) == remove(500)
    offer(trees, 2.0, 3)
    assert [tree.stream for tree in trees.trees()] == [3]


def test_an_offer_that_comes_twice_keeps_the_tree() -> None:
    trees = joined()
    for _ in range(2):
        trees.offered(Instant(1.0), KeyOffered(ROOT, StreamId(5), KeyId(1), emit_context(FLOW)))
    _, again = [command for command in trees.commands if isinstance(command, AcceptKey)]
    trees.refused(again, CommandRefusalReason.UNKNOWN)
    assert ended(trees) == []


def test_a_root_that_is_gone_leaves_nothing_to_end() -> None:
    trees = joined()
    offer(trees, 1.0, 5)
    offer(trees, 2.0, 6)
    trees.forget(ROOT)
    trees.advance(Instant(2.0 + KEY_OVERLAP))
    assert ended(trees) == [] and trees.next_deadline() is None


def test_trees_that_are_kept_make_room_where_the_table_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream_trees, "MAX_DOWNSTREAM_TREES", 4)
    trees = DownstreamTrees(Drops())
    flows = [Flow(0, IPv4Address(f"239.1.1.{number}"), None) for number in (1, 2, 3)]
    for flow in flows:
        trees.want(Instant(0.0), (flow.vlan, flow.group), EVERYTHING)
    gone: list[LeaveStream] = []
    for now, streams in ((1.0, (5, 6, 7)), (2.0, (8, 9, 10))):
        for flow, stream in zip(flows, streams, strict=True):
            name = (ROOT, StreamId(stream), KeyId(stream))
            trees.offered(Instant(now), KeyOffered(*name, emit_context(flow)))
            gone += ended(trees)
    assert gone == [*remove(5), *remove(6)]
