"""A join and a leave take effect on a running stream; ``make soak`` measures how quickly."""

from __future__ import annotations

import statistics
import time

import pytest

from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, drops, members, quiet_since, wait_members, wait_received

PORT = 5006
RATE_PPS = 1000
JOINS = 20
JOIN_MEDIAN_LIMIT_MS = 20.0
LEAVE_LIMIT_S = 3.0
QUIET = 20
"""Datagrams in a window that are no stream: probes, floods, their answers."""


@pytest.mark.parametrize(("group", "killed"), [("239.20.0.4", False), ("ff15::20:4", True)])
def test_a_stream_comes_whole_from_the_join_on_and_ends_at_its_root_with_the_leave(
    mesh: Overlay, group: str, killed: bool
) -> None:
    root = mesh[0]
    stream = Sender(root.machine, group, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    for last in (False, True):
        receiver = Receiver(mesh[1].machine, group, PORT, interface=INTERFACE)
        wait_received(receiver, 100)
        if killed and last:
            receiver.kill()
        else:
            assert receiver.stop().lost == 0
        wait_members(root, group, set())
    quiet_since(lambda: root.machine.counters().tx_packets, window_s=0.5, at_most=QUIET, limit_s=10.0)
    unwanted = drops(root).get("no_subscriber", 0)
    wait_until(lambda: drops(root).get("no_subscriber", 0) > unwanted, LIMIT_S, "the sender sends still, to nobody")
    assert members(root, group) == set()
    stream.stop()


@pytest.mark.soak
@pytest.mark.parametrize("group", ["239.20.0.1", "ff15::20:1"])
def test_a_join_reaches_a_running_stream_within_20_ms(mesh: Overlay, group: str) -> None:
    stream = Sender(mesh[0].machine, group, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    joins_ms: list[float] = []
    for _ in range(JOINS):
        receiver = Receiver(mesh[1].machine, group, PORT, interface=INTERFACE)
        wait_received(receiver, 1)
        got = receiver.stop()
        assert got.lost == 0
        joins_ms.append(got.join_ns / 1e6)
        wait_members(mesh[0], group, set())
    sent = stream.stop()
    assert sent.skipped <= sent.sent // 20
    median_ms = statistics.median(joins_ms)
    print(f"\njoin of {group}: median {median_ms:.1f} ms, {min(joins_ms):.1f} to {max(joins_ms):.1f} ms of {JOINS}")
    assert median_ms <= JOIN_MEDIAN_LIMIT_MS


@pytest.mark.soak
@pytest.mark.parametrize(("group", "killed"), [("239.20.0.2", False), ("ff15::20:2", False), ("239.20.0.3", True)])
def test_a_leave_stops_the_stream_at_the_root_within_3_s(mesh: Overlay, group: str, killed: bool) -> None:
    root = mesh[0]
    receiver = Receiver(mesh[1].machine, group, PORT, interface=INTERFACE)
    wait_members(root, group, {"n1"})
    stream = Sender(root.machine, group, PORT, interface=INTERFACE, rate_pps=RATE_PPS)
    wait_received(receiver, 100)
    left_at = time.monotonic()
    if killed:
        receiver.kill()
    else:
        receiver.stop()
    quiet_at = quiet_since(lambda: root.machine.counters().tx_packets, window_s=0.2, at_most=QUIET, limit_s=10.0)
    sent = stream.stop()
    took_s = max(0.0, quiet_at - left_at)
    print(f"\nleave of {group}{', killed' if killed else ''}: the root is quiet after {took_s * 1000:.0f} ms")
    assert took_s <= LEAVE_LIMIT_S
    assert members(root, group) == set()
    assert sent.last_ns / 1e9 > quiet_at, "the sender ended before the root was quiet"
