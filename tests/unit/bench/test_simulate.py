"""``make simulate``: one small network measured, and what is said of one that takes too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.simulate import report, spreading
from bench.simulate.__main__ import in_process
from bench.simulate.change_traffic import ChangeTraffic
from bench.simulate.run import Figures, Run
from treecast.sim.world import World


@pytest.fixture(scope="module")
def four() -> Figures:
    return Run(4, lambda _: None).measure()


def test_a_small_network_is_measured_in_all_phases(four: Figures) -> None:
    assert four.ended == ""
    assert all(value(four) is not None for _, value in report.ROWS)
    assert four.by_kind["probe"] > 0


def test_a_join_is_a_flood_to_each_and_its_acknowledgement_and_no_more_than_their_repetitions(four: Figures) -> None:
    others = four.nodes - 1
    assert four.join_messages is not None
    assert 2 * others <= four.join_messages <= 4 * others
    assert four.join_kbytes is not None
    assert 0.1 * four.join_messages < four.join_kbytes < 0.2 * four.join_messages


def test_digests_refreshes_and_probes_are_no_traffic_of_a_change() -> None:
    world = World(1, cities=True)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(5))]
    change = ChangeTraffic()
    world.underlay.on_send = change.sent
    world.run(15.0)
    assert change.datagrams > 0
    change.reset()
    world.underlay.reset_counts()
    world.run(60.0)
    assert world.underlay.datagrams_of["control"] > 4 * 5 * len(nodes)
    assert (change.datagrams, change.size_bytes) == (0, 0)


def test_the_offers_of_keys_and_states_of_trees_and_their_acknowledgements_belong_to_the_change() -> None:
    world = World(1)
    first = world.add()
    other = world.add(peer=first)
    world.run(10.0)
    other.report("239.1.1.1")
    world.run(1.0)
    change = ChangeTraffic()
    world.underlay.on_send = change.sent
    first.send("239.1.1.1", "frame")
    world.run(0.2)
    assert change.datagrams == 4


def test_a_network_that_takes_longer_than_its_processor_time_says_in_which_phase_it_ended() -> None:
    figures = in_process(64, 1.0, 8.0)
    assert figures.ended.startswith("start: the limit of processor time, at ")
    assert figures.start_s is None


def test_what_was_not_measured_is_a_dash_and_makes_no_point_of_the_plot(four: Figures, tmp_path: Path) -> None:
    unmeasured = Figures(1000, ended="start: not within 30 virtual s")
    table = report.table([four, unmeasured])
    assert next(str(cell) for cell in table.columns[2].cells) == "-"
    report.plot([four, unmeasured], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_spreading_over_a_tree_costs_fewer_messages_than_over_all_links() -> None:
    all_links, tree = spreading.disseminations(64)
    assert tree.messages_per_node < all_links.messages_per_node / 4
