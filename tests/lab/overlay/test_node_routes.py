"""Two nodes in underlays that cannot reach each other, and one that is in both::

      west: 198.18.x.0/24           east: another network, nothing is routed between them
    ----+------------+----        ----+------------+----
        a            b (eth0)         b (eth1)     c

a and c know of each other by b alone, make their first handshake by it, and send each other frames sealed end to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.machine import Machine
from lab.node import INTERFACE, PORT, TreecastNode, create_network
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, drops, wait_members, wait_peers, wait_received
from treecast.api.client import fetch_peers, fetch_status

GROUP = ("239.20.9.1", 5010)
MEET_LIMIT_S = 30.0
PATTERN = "5ec2e7ba5ec2e7ba"

Row = tuple[TreecastNode, TreecastNode, TreecastNode]


def add(lab: Lab, machine: Machine, network: Path) -> TreecastNode:
    return TreecastNode.add(machine, network, lab.directory)


@pytest.fixture
def row() -> Iterator[Row]:
    with Lab() as lab:
        west, east = lab.switch(), lab.switch()
        network = create_network(lab.directory / "network")
        a, b, c = (
            add(lab, machine, network)
            for machine in (lab.machine("a", west), lab.machine("b", west, east), lab.machine("c", east))
        )
        for node in (a, b, c):
            start(node, a, b)
            node.wait_ready()
        yield a, b, c
        for node in (a, b, c):
            print(f"--- {node.name}\n{node.log_tail()}")
            if node.running:
                node.stop()


def start(node: TreecastNode, a: TreecastNode, b: TreecastNode) -> None:
    """Everybody knows b where it can be reached; b knows a."""
    to_b = b.machine.ports[0 if node is a else 1].ipv4.ip
    node.start(a.endpoint if node is b else f"{to_b}:{PORT}")


def path(node: TreecastNode, other: TreecastNode) -> str:
    return next((peer.endpoint for peer in fetch_peers(node.directory) if peer.name == other.name), "")


def is_hybrid(node: TreecastNode, other: TreecastNode) -> bool:
    return any(peer.hybrid for peer in fetch_peers(node.directory) if peer.name == other.name)


def wait_all(row: Row) -> None:
    for node in row:
        wait_peers(node, {other.name for other in row} - {node.name}, MEET_LIMIT_S)


def pings(node: TreecastNode, other: TreecastNode, *options: str) -> bool:
    done = node.machine.run(["ping", "-c3", "-i0.1", "-W2", *options, other.ipv4], check=False)
    return done.returncode == 0


def test_nodes_of_two_underlays_meet_and_talk_by_the_one_between_which_reads_nothing(row: Row) -> None:
    a, b, c = row
    wait_all(row)
    assert not pings_underlay(a, c)
    assert (path(a, c), path(c, a)) == ("via b", "via b")
    assert path(b, c) == f"{c.machine.underlay_ipv4}:{PORT}"
    assert "via b" in a.machine.run([*a.program, "peers", a.directory]).stdout
    capture = a.directory.with_name("between.pcap")
    with b.machine.capture(capture, f"udp port {PORT}", interface=b.machine.ports[1].interface):
        wait_until(lambda: pings(a, c, "-p", PATTERN), LIMIT_S, "a reaches c")
    assert len(capture.read_bytes()) > 1000 and bytes.fromhex(PATTERN) not in capture.read_bytes()
    assert pings(c, a, "-s", "1300")
    receivers = [Receiver(node.machine, *GROUP, interface=INTERFACE) for node in (b, c)]
    wait_members(a, GROUP[0], {"b", "c"})
    sender = Sender(a.machine, *GROUP, interface=INTERFACE, rate_pps=20, count=100)
    sender.wait(LIMIT_S)
    for receiver in receivers:
        wait_received(receiver, 100)
        assert (got := receiver.stop()).duplicated == got.lost == 0
    assert fetch_status(b.directory).counters["datagrams_forwarded"] > 100
    assert drops(b).get("forward_budget", 0) == 0
    wait_until(lambda: is_hybrid(a, c) and is_hybrid(c, a), MEET_LIMIT_S, "their session is hybrid")
    assert (path(a, c), path(c, a)) == ("via b", "via b") and pings(a, c)


def pings_underlay(node: TreecastNode, other: TreecastNode) -> bool:
    return node.machine.run(["ping", "-c1", "-W1", other.machine.underlay_ipv4], check=False).returncode == 0


def test_a_node_between_that_is_started_again_heals_and_one_that_is_gone_is_one_sentence(row: Row) -> None:
    a, b, c = row
    wait_all(row)
    b.kill()
    start(b, a, b)
    b.wait_ready()
    wait_until(lambda: pings(a, c) and path(a, c) == "via b", MEET_LIMIT_S, "a reaches c again")
    wait_all(row)
    b.kill()
    wait_until(lambda: not a.peers_up(), 15.0, "a has lost both")

    def said() -> list[str]:
        return [problem.text for problem in fetch_status(a.directory).problems]

    wait_until(said, MEET_LIMIT_S, "a says so")
    (text,) = said()
    assert "c behind it" in text
