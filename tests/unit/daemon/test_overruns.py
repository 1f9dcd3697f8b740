"""Queues and tables that were full lately are a problem for a minute after the last drop."""

from __future__ import annotations

from treecast.base.limits import MAX_OVERRUN_REASONS
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.overruns import FEWEST, PRESENT_FOR, Overruns


class Node:
    def __init__(self) -> None:
        self.drops: dict[str, int] = {}
        self.now = Instant(0.0)
        self._overruns = Overruns(lambda: self.drops, lambda reason: "")

    def second(self, **drops: int) -> list[Problem]:
        self.now = Instant(self.now + 1)
        for reason, count in drops.items():
            self.drops[reason] = self.drops.get(reason, 0) + count
        return list(self._overruns.problems(self.now))


def test_drops_of_a_full_queue_are_a_problem_until_a_minute_after_the_last() -> None:
    node = Node()
    assert node.second(tap_overrun=FEWEST - 1, no_subscriber=10_000, storm_broadcast=500) == []
    (problem,) = node.second(tap_overrun=5)
    assert (problem.kind, problem.subject) == ("no_room", "tap_overrun")
    assert problem.text == (
        "14 frames from this machine's programs, or from its LAN, found the interface's queue full: "
        "send less, or give the node more cores (up --workers) (tap_overrun)"
    )
    for _ in range(int(PRESENT_FOR) - 1):
        assert [found.subject for found in node.second()] == ["tap_overrun"]
    assert node.second() == []
    assert node.second(tap_overrun=1) == []  # another episode, and few


def test_each_reason_is_a_problem_of_its_own_and_says_what_it_is_about() -> None:
    node = Node()
    found = node.second(punt_igmp_full=50, socket_overrun=50, igmp_sources_full=50, beacon_own=50)
    assert [problem.subject for problem in found] == ["igmp_sources_full", "punt_igmp_full", "socket_overrun"]
    assert ["entries" in found[0].text, "decisions" in found[1].text, "receive buffer" in found[2].text] == [True] * 3


def test_what_was_dropped_before_the_first_look_counts() -> None:
    node = Node()
    node.drops = {"socket_overrun": 1000}
    assert [problem.subject for problem in node.second()] == ["socket_overrun"]


def test_so_many_reasons_are_followed_at_once_and_no_more() -> None:
    node = Node()
    found = node.second(**{f"table_{number}_full": FEWEST for number in range(MAX_OVERRUN_REASONS + 5)})
    assert len(found) == MAX_OVERRUN_REASONS
