"""A node counts what the kernel drops ahead of it: of what a program sent, nothing is unaccounted for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Lab, wait_until
from lab.load import Receiver, Sender
from lab.node import Overlay, TreecastNode
from tests.lab.overlay.asking import wait_members

pytestmark = pytest.mark.alone

GROUP, PORT, LIMIT_S = "239.44.4.4", 5044, 20.0
COUNT = 9000  # the TAP's queue has room for 4000
OTHERS = 100  # what the machines say meanwhile of their own accord: ND, IGMP


@pytest.fixture(scope="module")
def overlay() -> Iterator[Overlay]:
    with Lab() as lab:
        lan = lab.switch()
        nodes = Overlay([lab.machine(f"n{number}", lan) for number in range(2)], lab.directory)
        nodes.start()
        yield nodes


@contextmanager
def halted(node: TreecastNode) -> Iterator[None]:
    """The node's process does nothing for a while; the kernel goes on."""
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(node.process.pid, signal.SIGCONT)


def test_frames_that_the_tap_has_no_room_for_are_counted(overlay: Overlay) -> None:
    source = overlay[0]
    before = source.status()
    with halted(source):
        sent = Sender(source.machine, GROUP, PORT, interface=source.interface, rate_pps=50_000, count=COUNT)
        account = sent.wait(LIMIT_S)
    assert account.sent == COUNT

    def accounted() -> int:
        now = source.status()
        read = now.counters["tap_rx_frames"] - before.counters["tap_rx_frames"]
        return read + now.drops.get("tap_overrun", 0) - before.drops.get("tap_overrun", 0)

    wait_until(lambda: accounted() >= COUNT, LIMIT_S, "each frame was read or is counted")
    assert accounted() < COUNT + OTHERS
    assert source.status().drops["tap_overrun"] > COUNT / 3


def test_datagrams_that_the_socket_has_no_room_for_are_counted(overlay: Overlay) -> None:
    source, subscriber = overlay.nodes
    receiver = Receiver(subscriber.machine, GROUP, PORT, interface=subscriber.interface)
    wait_members(source, GROUP, {subscriber.name}, LIMIT_S)
    assert "socket_overrun" not in subscriber.status().drops
    with halted(subscriber):
        Sender(source.machine, GROUP, PORT, interface=source.interface, rate_pps=30_000, count=40_000).wait(LIMIT_S)
    wait_until(lambda: subscriber.status().drops.get("socket_overrun", 0) > 100, LIMIT_S, "the overrun is told")
    receiver.stop()
