"""Chunks of LINKS, and when others learn of what is measured of a link."""

from __future__ import annotations

import itertools
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.broadcast.own_links import CHANGE_INTERVAL, OFF_FOR, OFF_MS, OFF_STEPS, OwnLinks, near_ms
from treecast.wire.advertised_links import (
    LONGEST_RTT_CLASS,
    MAX_LINK_CHUNKS,
    MAX_LINKS_PER_CHUNK,
    NOT_MEASURED,
    loss_class,
    rtt_class,
    rtt_ms_of,
)
from treecast.wire.advertisement import Kind, is_key_of

PEER = NodeIndex(7)


class Reviewed:
    """One node's links, each reviewed once a second."""

    def __init__(self, *peers: int) -> None:
        self.links = OwnLinks()
        for peer in peers:
            assert self.links.add(NodeIndex(peer))
        self.links.take_changed()
        self.now = Instant(100.0)
        self.changes: list[tuple[Duration, bytes]] = []
        """The time at which a chunk was published, and its key."""

    def review(self, rtts_ms: dict[int, float | None], unanswered: int = 0, age_s: float = 60.0) -> None:
        self.now = Instant(self.now + 1.0)
        for peer, rtt_ms in rtts_ms.items():
            report = SessionReport(1, NodeIndex(peer), age_s, 0.0, None, 0, 0.0, unanswered, least_rtt_ms=rtt_ms)
            self.links.measure(self.now, report)
        if self.links.settle(self.now):
            self.changes += [(self.now - 100.0, key) for key, _ in self.links.take_changed()]

    def measured(self, rtt_ms: float, seconds: int = 30) -> None:
        for _ in range(seconds):
            self.review({PEER: rtt_ms})


def test_a_link_is_listed_before_it_is_measured_and_its_classes_10_s_after() -> None:
    node = Reviewed(PEER)
    assert node.links.classes(PEER) == (NOT_MEASURED, 0)
    node.review({PEER: None})
    node.measured(40.0, 9)
    assert node.changes == []
    node.measured(40.0, 3)
    assert len(node.changes) == 1
    assert node.links.classes(PEER) == (rtt_class(40.0), 0)


def test_a_round_trip_at_the_border_of_classes_changes_nothing() -> None:
    node = Reviewed(PEER)
    node.measured(40.0)
    for _ in range(120):
        node.measured(40.0 * 1.19, 7)
        node.measured(40.0 / 1.19, 7)
    assert len(node.changes) == 1


def test_a_node_with_much_to_do_for_a_while_changes_nothing_and_a_longer_way_does() -> None:
    node = Reviewed(PEER)
    node.measured(0.3)
    for _ in range(20):
        node.measured(0.3 + OFF_MS - 1.0)
        node.measured(0.3)
    assert len(node.changes) == 1
    node.measured(1.0 + OFF_MS + 0.1)
    assert node.links.classes(PEER) == (rtt_class(1.0 + OFF_MS + 0.1), 0)
    node.measured(0.3)
    assert node.links.classes(PEER) == (rtt_class(0.3), 0)


@given(of=st.integers(1, LONGEST_RTT_CLASS), rtt_ms=st.floats(0.0, 12_000.0))
def test_a_round_trip_is_near_a_class_while_it_is_less_than_two_steps_off_or_little(of: int, rtt_ms: float) -> None:
    shortest, longest = near_ms(of)
    is_near = shortest < rtt_ms <= longest
    assert is_near or abs(rtt_class(rtt_ms) - of) >= OFF_STEPS
    assert is_near or abs(rtt_ms - rtt_ms_of(of)) >= OFF_MS
    if abs(rtt_class(rtt_ms) - of) > OFF_STEPS and abs(rtt_ms - rtt_ms_of(of)) > OFF_MS:
        assert not is_near


def test_a_round_trip_that_is_another_for_10_s_changes_the_class_and_a_shorter_time_does_not() -> None:
    node = Reviewed(PEER)
    node.measured(40.0)
    for _ in range(20):
        node.measured(90.0, int(OFF_FOR) - 1)
        node.measured(40.0, 1)
    assert len(node.changes) == 1
    node.measured(90.0, int(OFF_FOR) + 1)
    assert len(node.changes) == 2
    assert node.links.classes(PEER) == (rtt_class(90.0), 0)


def test_the_first_round_trips_of_a_new_session_change_nothing() -> None:
    node = Reviewed(PEER)
    node.measured(40.0)
    for _ in range(20):
        for age_s in range(int(OFF_FOR)):
            node.review({PEER: 400.0}, age_s=age_s)
    assert len(node.changes) == 1


def test_links_that_change_all_the_time_cost_one_chunk_in_10_s() -> None:
    peers = range(1, 3 * MAX_LINKS_PER_CHUNK + 1)
    node, rng = Reviewed(*peers), Random(1)
    for turn in range(300):
        rtt_ms = 10.0 if turn // 20 % 2 else 100.0
        node.review({peer: rtt_ms * rng.uniform(1.0, 1.1) for peer in peers})
    times = [at for at, _ in node.changes]
    assert all(later - earlier >= CHANGE_INTERVAL for earlier, later in itertools.pairwise(times))
    assert {key for _, key in node.changes} == {b"\0", b"\1", b"\2"}, "each has its turn"


def test_loss_is_measured_by_the_probes_that_nobody_answers() -> None:
    node, rng = Reviewed(PEER), Random(2)
    node.measured(40.0)
    unanswered, losses = 0, list[int]()
    for _ in range(1_500):  # a probe in two seconds
        unanswered = unanswered + 1 if rng.random() < 0.2 else 0
        node.review({PEER: 40.0}, unanswered + 1)
        node.review({PEER: 40.0}, unanswered + 1)
        losses.append(node.links.classes(PEER)[1])
    assert abs(losses[-1] - loss_class(0.2)) <= 1
    assert losses[0] == 0
    assert len(node.changes) <= 6, "and then they are quiet"


def test_a_few_lost_probes_change_nothing() -> None:
    node, rng = Reviewed(PEER), Random(3)
    node.measured(40.0)
    for _ in range(1_800):
        node.review({PEER: 40.0}, 2 if rng.random() < 0.005 else 0)
        node.review({PEER: 40.0}, 0)
    assert len(node.changes) <= 2


def test_a_link_that_went_and_came_is_not_measured() -> None:
    node = Reviewed(PEER)
    node.measured(40.0)
    node.links.remove(PEER)
    assert node.links.classes(PEER) == (NOT_MEASURED, 0)
    node.review({PEER: 40.0})
    node.links.add(PEER)
    assert node.links.classes(PEER) == (NOT_MEASURED, 0)


def test_a_chunk_has_a_class_for_each_link() -> None:
    node = Reviewed(3, 9)
    for _ in range(12):
        node.review({9: 40.0, 3: 5.0})
    node.links.add(NodeIndex(5))
    [(key, content)] = node.links.take_changed()
    assert content is not None
    assert (key, content.links()) == (b"\0", ((3, rtt_class(5.0), 0), (5, NOT_MEASURED, 0), (9, rtt_class(40.0), 0)))


def test_links_that_are_kept_for_the_other_end_alone_have_a_flag() -> None:
    links = OwnLinks()
    links.keep({NodeIndex(2)})
    for peer in (2, 3):
        assert links.add(NodeIndex(peer))
    ((_, content),) = links.take_changed()
    assert content is not None and content.kept() == ((2, True), (3, False))
    assert links.keep({NodeIndex(2), NodeIndex(3)})
    ((_, content),) = links.take_changed()
    assert content is not None and content.flags == bytes(2)
    assert not links.keep({NodeIndex(2), NodeIndex(3), NodeIndex(9)})


def test_without_a_bound_no_link_has_a_flag() -> None:
    links = OwnLinks()
    assert links.add(PEER)
    ((_, content),) = links.take_changed()
    assert content is not None and content.flags == bytes(1)


def test_a_link_is_not_listed_for_which_a_chunk_would_begin_that_is_malformed_to_others() -> None:
    links, most = OwnLinks(), MAX_LINK_CHUNKS * MAX_LINKS_PER_CHUNK
    assert all(links.add(NodeIndex(peer)) for peer in range(1, most + 1))
    assert not links.add(NodeIndex(most + 1))
    keys = [key for key, _ in links.take_changed()]
    assert len(keys) == MAX_LINK_CHUNKS and all(is_key_of(Kind.LINKS, key) for key in keys)
    links.remove(PEER)
    assert links.add(NodeIndex(most + 1)), "there is room again"
