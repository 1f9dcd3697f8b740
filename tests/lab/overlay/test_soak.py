"""A long stream to four subscribers: nothing lost, no memory gained. ``make soak`` runs ten minutes of it."""

from __future__ import annotations

import pytest

from lab.load import Receiver, Sender
from lab.node import INTERFACE
from tests.lab.conftest import OverlayFactory
from tests.lab.overlay.asking import wait_members, wait_received

pytestmark = pytest.mark.alone

GROUP = "239.80.0.1"
PORT = 5018
SIZE_BYTES = 1200
RATE_PPS = 20_000_000 // (8 * SIZE_BYTES)
SETTLED = 0.1
"""The share of the stream after which no node may grow: one minute of ten."""
GROWTH_LIMIT = 1.05


def run_stream(overlay: OverlayFactory, seconds: int) -> None:
    net = overlay(5)
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in net.nodes[1:]]
    wait_members(net[0], GROUP, {"n1", "n2", "n3", "n4"})
    count = RATE_PPS * seconds
    stream = Sender(
        net[0].machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=count, size_bytes=SIZE_BYTES
    )
    wait_received(receivers[0], int(count * SETTLED), limit_s=seconds)
    settled = [node.resident_bytes for node in net.nodes]
    sent = stream.wait(seconds + 10.0)
    ended = [node.resident_bytes for node in net.nodes]
    assert (sent.sent, sent.failed) == (count, 0)
    for receiver in receivers:
        wait_received(receiver, count)
    accounts = [receiver.stop() for receiver in receivers]
    assert [(own.received, own.lost, own.duplicated, own.reordered) for own in accounts] == [(count, 0, 0, 0)] * 4
    growth = [after / before for before, after in zip(settled, ended, strict=True)]
    mib = ", ".join(f"{size / 2**20:.1f}" for size in ended)
    print(f"\n{seconds} s of {sent.rate_pps:.0f}/s: {count} to each of 4, none lost; {mib} MiB, x{max(growth):.3f}")
    assert max(growth) <= GROWTH_LIMIT


def test_6_seconds_of_20_megabits_lose_nothing_and_gain_no_memory(overlay: OverlayFactory) -> None:
    run_stream(overlay, 6)


@pytest.mark.soak
@pytest.mark.timeout(720)
def test_10_minutes_of_20_megabits_lose_nothing_and_gain_no_memory(overlay: OverlayFactory) -> None:
    run_stream(overlay, 600)
