"""Nodes use the whole MTU of an underlay, configured or seen, and send nothing that is larger."""

from __future__ import annotations

import subprocess

import pytest

from lab import Lab, wait_until
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from tests.lab.overlay.asking import LIMIT_S, wait_members, wait_received
from treecast.api.client import fetch_status

GROUP = "239.61.0.1"
PORT = 5015
COUNT = 500


@pytest.mark.parametrize(
    ("underlay", "mtu"), [(1280, 1280), pytest.param(1492, 1366, marks=pytest.mark.soak), (9000, 8874)]
)
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


def test_nodes_see_what_their_interfaces_carry_follow_it_and_say_what_is_wrong(lab: Lab) -> None:
    lan = lab.switch(mtu_bytes=1460)
    net = Overlay([lab.machine(f"n{number}", lan) for number in range(2)], lab.directory)
    net.start()
    one, other = net.nodes
    receiver = Receiver(other.machine, GROUP, PORT, interface=INTERFACE)
    wait_members(one, GROUP, {"n1"})

    def send(count: int) -> None:
        stream = Sender(one.machine, GROUP, PORT, interface=INTERFACE, size_bytes=1346, rate_pps=1000, count=COUNT)
        assert stream.wait(20.0).sent == COUNT
        wait_received(receiver, count)

    send(COUNT)
    assert one.status().drops.get("socket_too_big", 0) == 0
    one.machine.run(["ip", "link", "set", one.machine.underlay_interface, "mtu", "1400"])
    wait_until(lambda: "bytes=1400 interface=eth0" in one.log_tail(), LIMIT_S, "n0 has seen the smaller MTU")
    send(2 * COUNT)
    one.machine.run(["ip", "link", "set", one.machine.underlay_interface, "mtu", "1460"])

    other.stop()
    other.start(one.endpoint, options=["--underlay-mtu", "1500"])
    other.wait_ready()
    sentence = "eth0 carries packets of 1460 bytes, not of the 1500 of --underlay-mtu"
    wait_problem(other, "underlay_mtu_too_big", sentence)
    port = other.machine.ports[0]
    subprocess.run(["ip", "-n", port.switch_namespace, "link", "set", port.switch_port, "down"], check=True)
    wait_problem(other, "underlay_down", "eth0, by which other nodes are reached, is unplugged")
    other.machine.run(["ip", "address", "flush", "dev", "eth0"])
    wait_problem(other, "no_underlay_address", "this machine has no address at which other nodes reach this one")
    net.stop()


def test_what_one_nodes_path_carries_is_respected_by_all_and_its_changes_are_told_at_once(lab: Lab) -> None:
    lan = lab.switch()
    net = Overlay([lab.machine(f"n{number}", lan) for number in range(3)], lab.directory)
    narrow, wide, other = net.nodes
    port = narrow.machine.ports[0]
    subprocess.run(["ip", "-n", port.switch_namespace, "link", "set", port.switch_port, "mtu", "1280"], check=True)
    narrow.start(options=["--underlay-mtu", "1280"])
    for node in (wide, other):
        node.start(narrow.endpoint)
    for node in net.nodes:
        node.wait_ready()
    net.wait_linked()
    assert {peer.name: peer.underlay_mtu for peer in wide.peers()} == {"n0": 1280, "n2": 1500}
    assert {peer.name: peer.underlay_mtu for peer in narrow.peers()} == {"n1": 1500, "n2": 1500}

    wide.machine.run(["ping", "-c3", "-i0.02", "-W2", "-Mdo", "-s", str(1374 - 28), narrow.ipv4])
    narrow.machine.run(["ping", "-c3", "-i0.02", "-W2", "-Mdo", "-s", str(1280 - 28), wide.ipv4])
    for sender, mtu in ((wide, 1374), (narrow, 1280)):
        members = [node for node in net.nodes if node is not sender]
        receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in members]
        wait_members(sender, GROUP, {node.name for node in members})
        stream = Sender(
            sender.machine, GROUP, PORT, interface=INTERFACE, size_bytes=mtu - 28, rate_pps=1000, count=COUNT
        )
        assert stream.wait(20.0).sent == COUNT
        for receiver in receivers:
            wait_received(receiver, COUNT)
            assert receiver.stop().received == COUNT

    other.machine.run(["ip", "link", "set", other.machine.underlay_interface, "mtu", "1400"])
    wait_until(
        lambda: all({p.name: p.underlay_mtu for p in node.peers()}["n2"] == 1400 for node in (narrow, wide)),
        LIMIT_S,
        "the others know what n2 carries now",
    )
    assert [node.status().drops.get("socket_too_big", 0) for node in net.nodes] == [0, 0, 0]
    net.stop()


def test_a_router_further_on_that_carries_less_is_named_with_its_number_and_the_option_that_helps(lab: Lab) -> None:
    lans = [lab.switch(), lab.switch()]
    near, far = (lab.machine(f"n{number}", lan) for number, lan in enumerate(lans))
    router = lab.machine("router", *lans)
    router.sysctl("net/ipv4/conf/all/forwarding", 1)
    router.run(["ip", "link", "set", "eth1", "mtu", "1400"])
    for machine, port in zip((near, far), router.ports, strict=True):
        machine.run(["ip", "route", "add", "default", "via", str(port.ipv4.ip)])
    net = Overlay([near, far], lab.directory)
    net.start()
    one, other = net.nodes
    receiver = Receiver(far, GROUP, PORT, interface=INTERFACE)
    wait_members(one, GROUP, {"n1"})
    assert "path_mtu_too_small" not in {problem.kind for problem in fetch_status(one.directory).problems}
    stream = Sender(near, GROUP, PORT, interface=INTERFACE, size_bytes=1346, rate_pps=100, count=10)
    assert stream.wait(20.0).sent == 10
    place = f"on the way to n1 at {far.underlay_ipv4} carries packets of 1400 bytes, and this node sends some of"
    wait_problem(one, "path_mtu_too_small", f"{place} 1500, which are lost there: start with --underlay-mtu 1400")
    assert receiver.snapshot().received == 0

    one.stop()
    one.start(other.endpoint, options=["--underlay-mtu", "1400"])
    one.wait_ready()
    wait_members(one, GROUP, {"n1"})
    stream = Sender(near, GROUP, PORT, interface=INTERFACE, size_bytes=1246, rate_pps=100, count=10)
    assert stream.wait(20.0).sent == 10
    wait_received(receiver, 10)
    assert "path_mtu_too_small" not in {problem.kind for problem in fetch_status(one.directory).problems}
    net.stop()


def wait_problem(node: TreecastNode, kind: str, sentence: str) -> None:
    """Wait for the problem in ``status`` and on stderr."""
    found = f"{node.name} has the problem {kind}"
    wait_until(
        lambda: any(p.kind == kind and sentence in p.text for p in fetch_status(node.directory).problems),
        2 * LIMIT_S,
        found,
    )
    node.wait_logged(sentence)
