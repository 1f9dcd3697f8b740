"""Nodes that are told what their underlay carries: all of it is used, and nothing is sent that it does not carry."""

from __future__ import annotations

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay
from tests.lab.overlay.asking import wait_members, wait_received

GROUP = "239.61.0.1"
PORT = 5015
COUNT = 500


@pytest.mark.parametrize(("underlay", "mtu"), [(1280, 1280), (1492, 1366), (9000, 8874)])
def test_a_full_packet_of_the_interface_goes_through(lab: Lab, underlay: int, mtu: int) -> None:
    lan = lab.switch(mtu_bytes=underlay)
    net = Overlay([lab.machine(f"n{number}", lan) for number in range(3)], lab.directory)
    net.start(options=["--underlay-mtu", str(underlay)])
    one, other = net[0], net[1]
    other.machine.run(["ping", "-c3", "-i0.02", "-W2", "-Mdo", "-s", str(mtu - 28), one.ipv4])
    other.machine.run(["ping", "-c3", "-i0.02", "-W2", "-Mdo", "-s", str(mtu - 48), one.ipv6])
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in net.nodes[1:]]
    wait_members(one, GROUP, {"n1", "n2"})
    stream = Sender(one.machine, GROUP, PORT, interface=INTERFACE, size_bytes=mtu - 28, rate_pps=1000, count=COUNT)
    assert stream.wait(20.0).sent == COUNT
    for receiver in receivers:
        wait_received(receiver, COUNT)
        assert receiver.stop().received == COUNT
    assert [node.status().drops.get("socket_too_big", 0) for node in net.nodes] == [0, 0, 0]
    net.stop()
