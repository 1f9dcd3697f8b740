"""The cost of carrying, measured on nodes and data planes that run."""

from __future__ import annotations

import pytest

from bench import cost, measure, relaying
from bench.sides import Raw, Treecast, Vxlan
from lab import Lab

pytestmark = pytest.mark.soak


def test_a_streams_cost_is_that_of_its_nodes(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(3)]
    side = Treecast(machines, lab.directory)
    try:
        own = cost.stream_cost(side, machines, 5000, 0.5)
        assert own.delivered == 2 * own.sent > 4000
        assert 0.002 < own.source_s < own.all_s < 1.0
        idle = cost.idle_share(side, machines, 1.0)
        assert 0 < idle < own.source_s / own.duration_s
    finally:
        side.stop()


def test_a_small_stream_costs_its_node_and_its_program_and_less_where_datagrams_come_together(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(3)]
    side = Treecast(machines, lab.directory)
    try:
        evenly, together = (cost.small_stream(side, machines, 1.0, count) for count in (1, cost.PICTURE))
        assert 0 < evenly.program < evenly.node < 0.5
        assert 0 < together.node < evenly.node
        kernel = cost.small_stream(Vxlan(machines, lan.mtu_bytes), machines, 1.0, 1)
        assert kernel.node == 0 < kernel.program < 0.5
    finally:
        side.stop()


def test_a_place_where_much_is_lost_is_refused(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(2)]
    side = Treecast(machines, lab.directory)
    try:
        lab.loss(machines[1], 30)
        with pytest.raises(RuntimeError, match="no place to measure"):
            cost.stream_cost(side, machines, 5000, 0.3)
    finally:
        side.stop()


def test_a_relay_sends_to_its_children_and_its_time_is_its_own() -> None:
    assert 1e5 < relaying.relayed_per_core_second(0.3) < 1e8


def test_the_underlays_latency_is_measured_beside(lab: Lab) -> None:
    lan = lab.switch()
    machines = [lab.machine(f"n{number}", lan) for number in range(2)]
    latency = measure.unicast_latency(Raw(), machines, 0.3)
    assert 290 <= latency.count <= 301
    assert 1_000 < latency.median_ns <= latency.p99_ns
