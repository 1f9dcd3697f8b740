"""A multicast router on a node's own machine: what comes by treecast0 goes on into a subnet of its own, burst or not.

::

      n0                 n1: smcroute           beyond
       |   treecast0 --- treecast0   eth1 ===+=== a subnet
       |                      |
     ==+==== underlay ========+==
"""

from __future__ import annotations

from pathlib import Path

from lab import Lab, wait_until
from lab.lan import enable_multicast
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from tests.lab.interop.routers import PROGRAMS
from tests.lab.overlay.asking import LIMIT_S, wait_members, wait_received
from treecast.api.client import fetch_status

GROUP, PORT = "239.67.1.1", 5013
COUNT, RATE_PPS, BURST = 6000, 6000, 64


def joins(node: TreecastNode) -> bool:
    """Does its machine get datagrams for groups as super-packets?"""
    return "group-super-packets" in fetch_status(node.directory).offloads


def test_bursts_pass_a_router_on_the_node_s_machine_and_super_packets_come_back_after_it(
    lab: Lab, tmp_path: Path
) -> None:
    underlay, subnet = lab.switch(), lab.switch()
    net = Overlay([lab.machine("n0", underlay), lab.machine("n1", underlay, subnet)], lab.directory)
    beyond = lab.machine("beyond", subnet)
    source, node = net.nodes
    enable_multicast(beyond, "eth0")
    enable_multicast(node.machine, "eth1")
    net.start()
    assert joins(node)
    (tmp_path / "conf").write_text(
        f"phyint {INTERFACE} enable\nphyint eth1 enable\nmgroup from {INTERFACE} group {GROUP}\n"
        f"mroute from {INTERFACE} source {source.ipv4} group {GROUP} to eth1\n",
        encoding="ascii",
    )
    files = ["-f", str(tmp_path / "conf"), "-P", str(tmp_path / "pid"), "-u", str(tmp_path / "sock")]
    router = node.machine.spawn(
        [PROGRAMS / "smcrouted", "-n", "-N", *files], stdout=tmp_path / "log", stderr=tmp_path / "log"
    )
    wait_members(source, GROUP, {"n1"})
    wait_until(lambda: not joins(node), LIMIT_S, "the node sees the router")
    receiver = Receiver(beyond, GROUP, PORT, interface="eth0")
    stream = Sender(
        source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=COUNT, batch=BURST, ttl=8
    )
    stream.wait(LIMIT_S)
    wait_received(receiver, COUNT, LIMIT_S)
    account = receiver.stop()
    assert (account.received, account.lost, account.duplicated) == (COUNT, 0, 0)
    router.stop()
    wait_until(lambda: joins(node), LIMIT_S, "the router is gone")
    node.stop()
    node.start(options=("--no-super-packets",))
    node.wait_ready()
    assert not joins(node)
