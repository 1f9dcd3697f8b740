"""The measurements, on the side that is always there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.measure import DATAGRAM_BYTES, multicast_latency, multicast_rate, tcp_bps
from bench.sides import Vxlan
from lab import Lab, Machine

pytestmark = pytest.mark.soak


@pytest.fixture
def machines(lab: Lab) -> list[Machine]:
    lan = lab.switch()
    return [lab.machine(f"n{number}", lan) for number in range(4)]


@pytest.fixture
def vxlan(machines: list[Machine]) -> Iterator[Vxlan]:
    side = Vxlan(machines, 1500)
    yield side
    side.stop()


def test_latency_is_that_of_all_subscribers(vxlan: Vxlan, machines: list[Machine]) -> None:
    latency = multicast_latency(vxlan, machines, 0.3)
    assert 890 <= latency.count <= 903
    assert 1_000 < latency.median_ns <= latency.p99_ns < 1_000_000_000


def test_a_rate_is_found_and_only_subscribers_get_copies(vxlan: Vxlan, machines: list[Machine]) -> None:
    before = [machine.counters() for machine in machines]
    found = multicast_rate(vxlan, machines[:3], None, 0.2, 3)
    bytes_ = [(machine.counters() - own).rx_bytes for machine, own in zip(machines, before, strict=True)]
    assert found.pps > 100
    least = sum(trial.received_least for trial in found.trials) * DATAGRAM_BYTES
    assert min(bytes_[1:3]) > least
    assert bytes_[3] < least / 10


def test_tcp_goes_through_the_overlay(vxlan: Vxlan, machines: list[Machine]) -> None:
    client, server = machines[:2]
    before = server.counters("vxlan0")
    assert tcp_bps(vxlan, client, server, 1) > 1e6
    assert (server.counters("vxlan0") - before).rx_bytes > 100_000
