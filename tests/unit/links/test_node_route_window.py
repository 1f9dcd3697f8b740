"""A route gives way for what was not answered, and for what was lost."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.events import NodeRouteReceipt, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.links.node_route_window import (
    LOST_AT_LEAST,
    PROBES,
    QUIET,
    WINDOW_DATAGRAMS,
    WINDOW_TIME,
    NodeRouteWindow,
)

START = Instant(100.0)


def quiet(silent_s: float, *, routed: int = 0, unanswered: int = 0, rtt_ms: float | None = None) -> SessionReport:
    report = SessionReport(1, NodeIndex(3), 60.0, 0.0, rtt_ms, 0, node_route_unanswered=unanswered)
    return msgspec.structs.replace(report, route_silent_s=silent_s, routed=routed)


def reviews(window: NodeRouteWindow, *reports: SessionReport, at_once: bool = True) -> list[int | None]:
    """How many probes each review of a second sends; None: the route is silent."""
    found: list[int | None] = []
    for second, report in enumerate(reports):
        now = Instant(START + second)
        silent = window.is_silent(now, report)
        found.append(None if silent else window.probes(now, report, at_once=at_once))
    return found


def test_a_route_in_use_is_probed_at_the_first_review_without_a_datagram_and_silent_at_the_next() -> None:
    window = NodeRouteWindow(START)
    reports = [quiet(0.1, routed=10), quiet(0.1, routed=20), quiet(0.9, routed=30), quiet(1.9, routed=40)]
    assert reviews(window, *reports) == [0, 0, PROBES, None]


def test_what_comes_after_a_probe_ends_the_suspicion() -> None:
    reports = [quiet(0.1, routed=10), quiet(0.9, routed=20), quiet(0.95, routed=30), quiet(0.9, routed=40)]
    assert reviews(NodeRouteWindow(START), *reports) == [0, PROBES, PROBES, PROBES]


def test_a_route_that_nothing_uses_or_one_of_many_has_more_time() -> None:
    still = [quiet(0.1), quiet(0.9), quiet(1.9), quiet(2.9), quiet(3.9)]
    assert reviews(NodeRouteWindow(START), *still) == [0, 0, 0, PROBES, None]
    used = [quiet(0.1 + second, routed=10 * second) for second in range(5)]
    assert reviews(NodeRouteWindow(START), *used, at_once=False) == [0, 0, 0, PROBES, None]
    assert QUIET > 2.0, "the interval of probes"


def test_far_nodes_have_two_round_trips_to_answer() -> None:
    later = [quiet(second, routed=9 * second, rtt_ms=1200.0) for second in (1, 2, 3, 4)]
    far = [quiet(0.1, routed=1, rtt_ms=1200.0), *later]
    assert reviews(NodeRouteWindow(START), *far) == [0, PROBES, 1, 1, None]


def test_three_turns_of_probes_that_are_not_answered_are_enough_whatever_is_heard() -> None:
    reports = [quiet(0.1, unanswered=turns) for turns in (0, 1, 2, 3)]
    assert reviews(NodeRouteWindow(START), *reports) == [0, 0, 1, None]


def lost(*receipts: tuple[int, int], session: int = 1, every: float = 2.0) -> list[tuple[int, int] | None]:
    window = NodeRouteWindow(START)
    return [
        window.lost(Instant(START + every * number), NodeRouteReceipt(session, sent, came))
        for number, (sent, came) in enumerate(receipts)
    ]


def test_a_quarter_of_what_was_sent_is_too_much_to_lose_and_few_datagrams_are_not() -> None:
    assert lost((100, 7), (140, 7)) == [None, (40, 40)]
    assert lost((100, 7), (164, 55)) == [None, (16, 64)]
    assert lost((100, 7), (165, 56)) == [None, None], "less than a quarter"
    assert lost((100, 7), (100 + LOST_AT_LEAST - 1, 7)) == [None, None]
    assert lost((100, 7), (110, 7), (120, 7)) == [None, None, (20, 20)], "it adds up"


def test_what_was_lost_long_ago_or_in_another_session_does_not_count() -> None:
    assert lost((0, 0), (15, 0), (WINDOW_DATAGRAMS, WINDOW_DATAGRAMS - 15), (300, 285)) == [None] * 4
    assert lost((0, 0), (15, 0), (20, 0), every=WINDOW_TIME) == [None, None, None]
    window = NodeRouteWindow(START)
    assert window.lost(START, NodeRouteReceipt(1, 1000, 1000)) is None
    assert window.lost(START, NodeRouteReceipt(2, 3000, 10)) is None
    assert window.lost(START, None) is None
    assert window.lost(START, NodeRouteReceipt(2, 6000, 10)) is None, "the first one since the route is another"


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 12), st.floats(0.1, 5.0)), max_size=60))
def test_no_route_gives_way_for_datagrams_that_come_late_or_twice(steps: list[tuple[int, int, float]]) -> None:
    """A few of those that are sent are on the way whenever a reply leaves, and some of the node's come another way."""
    window, now, sent, came = NodeRouteWindow(START), START, 0, 0
    for more, on_the_way, seconds in steps:
        sent, now = sent + more, Instant(now + seconds)
        came = max(came, sent - on_the_way)
        assert window.lost(now, NodeRouteReceipt(1, sent, came)) is None
