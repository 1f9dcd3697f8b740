"""``make simulate``: one small network measured, and what is said of one that takes too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.simulate import report, spreading
from bench.simulate.run import Figures, Run


@pytest.fixture(scope="module")
def four() -> Figures:
    return Run(4, 60.0, lambda _: None).measure()


def test_a_small_network_is_measured_in_all_phases(four: Figures) -> None:
    assert four.ended == ""
    assert all(value(four) is not None for _, value in report.ROWS)
    assert four.join_messages is not None
    assert four.join_messages >= 3
    assert four.by_kind["probe"] > 0


def test_a_network_without_time_left_says_in_which_phase_it_ended() -> None:
    figures = Run(3, -1.0, lambda _: None).measure()
    assert figures.ended.startswith("start: the wall clock's limit")


def test_what_was_not_measured_is_a_dash_and_makes_no_point_of_the_plot(four: Figures, tmp_path: Path) -> None:
    unmeasured = Figures(1000, ended="start: not within 30 virtual s")
    table = report.table([four, unmeasured])
    assert next(str(cell) for cell in table.columns[2].cells) == "-"
    report.plot([four, unmeasured], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_spreading_over_a_tree_costs_fewer_messages_than_over_all_links() -> None:
    all_links, tree = spreading.ways(64)
    assert tree.messages_per_node < all_links.messages_per_node / 4
