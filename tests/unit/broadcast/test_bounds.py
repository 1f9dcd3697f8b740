"""State of other nodes is bounded: ended origins, their instances, and what is requested of a neighbour."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

import pytest

from treecast.base.addresses import Endpoint
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import MINUTE
from treecast.base.limits import MAX_REQUESTED_ORIGINS, MAX_RESTARTED_NODES
from treecast.base.time import Instant
from treecast.base.timers import Timers
from treecast.broadcast import store, twins
from treecast.broadcast.flooding import REQUEST_AGAIN, Neighbour
from treecast.broadcast.link_state import CACHED_ORIGINS, LinkStateDatabase
from treecast.broadcast.new_epochs import FEWEST, NewEpochs
from treecast.broadcast.pace import full_pace
from treecast.broadcast.store import Origin, Record, Store
from treecast.broadcast.twins import OtherTwins
from treecast.wire.advertisement import Kind, NodeContent

START = Instant(100.0)


def test_of_origins_that_ended_so_many_are_known_those_that_ended_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_ORIGINS", 2)
    held = Store()

    def end(number: int, now: Instant) -> None:
        index = NodeIndex(number)
        held.begin(index, Origin(1, b"", now, full_pace(now)))
        held.put(Record(index, 1, 7, Kind.NODE, b"", b"content", b"wire", 0), now)
        held.expire(index)

    def ended() -> list[int]:
        return [number for number in range(1, 5) if held.tombstone(NodeIndex(number)) is not None]

    for number in (1, 2, 3):
        end(number, START)
    assert ended() == [2, 3]
    end(2, Instant(START + 1.0))
    assert ended() == [2, 3], "one that is there already takes no more room"
    end(4, Instant(START + 2.0))
    assert ended() == [2, 4]


def test_so_many_nodes_are_watched_for_a_second_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "MAX_KNOWN_RUNS", 2)
    others = OtherTwins()

    def alternate(*nodes: int) -> list[int]:
        for node in nodes:
            for instance in (b"a", b"b", b"a"):
                others.receive(START, NodeIndex(node), NodeContent(b"", (), instance))
        return [node for node, _, _ in others.twice(START)]

    assert alternate(1, 2, 3) == [1, 2]
    others.forget(NodeIndex(1))
    assert alternate(3) == [2, 3]


def test_of_nodes_that_begin_epochs_so_many_are_counted_until_they_began_none_for_a_minute() -> None:
    epochs, places = NewEpochs(), [Endpoint(IPv4Address(f"192.0.2.{last}"), 7700) for last in range(1, 7)]
    for number in range(2 * MAX_RESTARTED_NODES):
        epochs.begun(START, NodeIndex(number), (), is_of_now=True)
    assert len(epochs._of) == MAX_RESTARTED_NODES
    assert list(epochs.over_and_over(Instant(START + MINUTE))) == [] and len(epochs._of) == 0
    for number in range(10):
        epochs.begun(START, NodeIndex(7), (places[number % 6],), is_of_now=number < FEWEST - 1)
    assert not epochs.is_named(NodeIndex(7)), "at once: it was away, and its epochs come together"
    for second in (1.0, 2.0):
        epochs.begun(Instant(START + second), NodeIndex(7), (places[0],), is_of_now=False)
    (found,) = epochs.over_and_over(Instant(START + 2.0))
    assert (found.node, found.count, len(found.places), found.places[-1]) == (7, 12, 4, places[0])
    assert not found.are_of_now, "a node that is started a few times, and has earlier runs repeated"
    epochs.begun(Instant(START + 3.0), NodeIndex(7), (places[0],), is_of_now=True)
    (found,) = epochs.over_and_over(Instant(START + 3.0))
    assert found.are_of_now


def test_so_many_origins_are_requested_at_a_time() -> None:
    neighbour = Neighbour(NodeIndex(2), Timers(), Random(1), Drops(), Instant(0.0))
    for origin in range(100):
        neighbour.request(START, NodeIndex(origin))
    at_a_time = list(range(MAX_REQUESTED_ORIGINS // 2))
    assert neighbour.take_requested(START) == at_a_time
    assert neighbour.take_requested(Instant(START + REQUEST_AGAIN)) == at_a_time


def test_the_links_of_so_many_origins_are_held_those_that_were_read_last() -> None:
    links = LinkStateDatabase(Store())
    for origin in range(CACHED_ORIGINS + 1):
        links.of(NodeIndex(origin))
    assert links.held() == [*range(1, CACHED_ORIGINS + 1)]
