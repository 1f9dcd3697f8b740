"""Node routes by which more is to go than they carry are a problem that names who takes most, and ends a minute on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from treecast.base.ids import NodeIndex
from treecast.base.last_minute import MINUTE
from treecast.base.limits import MAX_OVERUSED_NODE_ROUTES
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.overused_node_routes import (
    BROUGHT_BPS,
    FEWEST,
    LASTING_SECONDS,
    ONWARD_BPS,
    OWN_BPS,
    OverusedNodeRoutes,
)


@dataclass(frozen=True)
class Cut:
    neighbour: int
    budget: str
    node: int | None
    refused: int


class Node:
    def __init__(self) -> None:
        self.cuts: tuple[Cut, ...] = ()
        self.now = Instant(0.0)
        self._routes = OverusedNodeRoutes(lambda node: f"n{NodeIndex(node)}", lambda: self.cuts)

    def second(self, *cuts: Cut) -> list[Problem]:
        self.now, self.cuts = Instant(self.now + 1), cuts
        return list(self._routes.problems(self.now))

    def seconds(self, *cuts: Cut) -> list[Problem]:
        """Refused in as many seconds as are a problem, in the last of them so often."""
        for before in reversed(range(1, LASTING_SECONDS)):
            assert self.second(*(Cut(cut.neighbour, cut.budget, cut.node, cut.refused - before) for cut in cuts)) == []
        return self.second(*cuts)


def test_a_burst_is_no_problem_and_what_is_refused_second_after_second_is() -> None:
    node = Node()
    for number in range(1, LASTING_SECONDS):
        assert node.second(Cut(2, "own", 4, 1_000 * number)) == []
    assert len(node.second(Cut(2, "own", 4, 1_000 * LASTING_SECONDS))) == 1


def test_who_takes_more_than_its_share_is_named_until_a_minute_after_the_last_loss() -> None:
    node = Node()
    assert node.seconds(Cut(2, "own", 4, FEWEST - 1)) == []
    (problem,) = node.second(Cut(2, "own", 4, FEWEST))
    assert (problem.kind, problem.subject) == ("node_route_overused", "by n2")
    assert problem.text == (
        "what this node sends to n4 by way of n2 is more than its share of the 384.0 kb/s there, and the rest of it is "
        "lost: let UDP through between them, so that they are linked directly (docs/operations.md), or send less"
    )
    for _ in range(int(MINUTE) - 1):
        assert node.second(Cut(2, "own", 4, FEWEST)) == [problem], "as many as before: none is lost now"
    assert node.second() == []
    assert node.second(Cut(2, "own", 4, 5)) == [], "another episode, and few"


def test_a_count_that_begins_anew_is_more_and_those_that_lost_most_come_first() -> None:
    node = Node()
    node.seconds(Cut(2, "own", 4, 100), Cut(2, "own", 5, 90))
    (problem,) = node.second(Cut(2, "own", 5, 20), Cut(2, "own", 6, 1), Cut(2, "own", 7, 3), Cut(2, "own", None, 2))
    assert "sends to n5, n4, n7 and 2 more by way" in problem.text


def test_each_budget_of_a_neighbour_is_a_problem_of_its_own() -> None:
    found = Node().seconds(Cut(2, "onward", 3, 90), Cut(2, "own", 4, 90), Cut(2, "brought", None, 90))
    assert [problem.subject for problem in found] == ["from n2", "beyond n2", "by n2"]
    assert ["of it" in found[0].text, "what n3 sends" in found[1].text, "others sends" in found[0].text] == [True] * 3


def test_so_many_routes_and_nodes_are_followed_and_no_more() -> None:
    node = Node()
    found = node.seconds(*(Cut(neighbour, "own", 1, 90) for neighbour in range(2, MAX_OVERUSED_NODE_ROUTES + 9)))
    assert len(found) == MAX_OVERUSED_NODE_ROUTES
    (problem,) = Node().seconds(*(Cut(2, "own", peer, 90) for peer in range(3, MAX_OVERUSED_NODE_ROUTES + 9)))
    assert f"and {MAX_OVERUSED_NODE_ROUTES - 3} more" in problem.text


def test_the_budgets_are_those_of_the_data_plane() -> None:
    source = (Path(__file__).parents[3] / "crates/core/src/forward_budgets.rs").read_text()
    for name, rate_bps in (("OWN", OWN_BPS), ("BROUGHT", BROUGHT_BPS), ("ONWARD", ONWARD_BPS)):
        (per_second,) = re.findall(rf"const {name}: Rate = Rate {{ per_second: ([\d_]+),", source)
        assert int(per_second) * 8 == rate_bps
