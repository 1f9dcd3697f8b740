"""The siege that tests of a file share, and the networks of those of hostile members."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from lab.sites import show_logs
from tests.lab.hostile.hostility import Hostility, hostility_of
from tests.lab.hostile.siege import GROUP, OUTSIDER_PORT, RATE_PPS, STREAM_PORT, Siege
from tests.lab.overlay.asking import wait_members, wait_received
from tests.lab.overlay.captured import read_datagrams


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    """Three nodes and an outsider, whose address n2 was told as that of a node. The stream stops with the
    last test of the file.
    """
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(f"n{number}", lan) for number in range(3)]
        outsider = lab.machine("outsider", lan)
        for machine in (*machines, outsider):
            machine.offload(False)  # a captured packet is a datagram
        net = Overlay(machines, lab.directory)
        n0, n1, n2 = net.nodes
        capture = n1.machine.capture(lab.directory / "n1.pcap", "udp port 7700")
        with capture:
            n0.start()
            n1.start(n0.endpoint)
            n2.start(n0.endpoint, f"{outsider.underlay_ipv4}:{OUTSIDER_PORT}")
            for node in net.nodes:
                node.wait_ready()
            net.wait_linked()
            receivers = tuple(Receiver(node.machine, GROUP, STREAM_PORT, interface=INTERFACE) for node in (n1, n2))
            wait_members(n0, GROUP, {"n1", "n2"})
            first = Sender(n0.machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=400, stream=1)
            first.wait(10.0)
            for receiver in receivers:
                wait_received(receiver, 400)
        sender = Sender(n0.machine, GROUP, STREAM_PORT, interface=INTERFACE, rate_pps=RATE_PPS, stream=2)
        yield Siege(net, outsider, sender, receivers, read_datagrams(capture.path))
        sender.stop()
        show_logs(net.nodes)
        net.stop()


@pytest.fixture(scope="module")
def hostility() -> Iterator[Hostility]:
    """Three nodes."""
    with hostility_of(3) as made:
        yield made


@pytest.fixture(scope="module")
def crowd() -> Iterator[Hostility]:
    """Five nodes that seek a sixth one, which is a speaker."""
    with hostility_of(5, seeking=True) as made:
        yield made
