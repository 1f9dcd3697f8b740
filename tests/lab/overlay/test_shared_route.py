"""Two nodes behind the one in the middle, and one that sends to both by it: who takes much takes nothing of the other::

  west: 198.18.x.0/24                 east: another network, nothing is routed between them
----+--------+--------+----         ----+------------+----
    a        a2       b (eth0)          b (eth1)     c
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.machine import Machine
from lab.node import INTERFACE, PORT, TreecastNode, create_network
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, drops, wait_members
from treecast.api.client import fetch_peers, fetch_status

SLOW = ("239.20.9.1", 5010)
FAST = ("239.20.9.2", 5011)
SLOW_PPS = 20
MEET_LIMIT_S = 40.0
STORM_PER_S = 2000
ARP = b"\x00\x01\x08\x00\x06\x04\x00\x01"

Square = dict[str, TreecastNode]


@pytest.fixture
def square() -> Iterator[Square]:
    with Lab() as lab:
        west, east = lab.switch(), lab.switch()
        network = create_network(lab.directory / "network")
        switches = {"a": (west,), "a2": (west,), "b": (west, east), "c": (east,)}
        machines = {name: lab.machine(name, *those) for name, those in switches.items()}
        nodes = {name: TreecastNode.add(one, network, lab.directory) for name, one in machines.items()}
        b = machines["b"]
        for name, node in nodes.items():
            to_b = f"{b.ports[1 if name == 'c' else 0].ipv4.ip}:{PORT}"
            node.start(nodes["a"].endpoint if name == "b" else to_b)
        for name, node in nodes.items():
            node.wait_ready()
            node.wait_linked(nodes.keys() - {name}, MEET_LIMIT_S)
        yield nodes
        for node in nodes.values():
            print(f"--- {node.name}\n{node.log_tail()}")
            node.stop()


def ways(node: TreecastNode) -> dict[str, str]:
    return {peer.name: peer.endpoint for peer in fetch_peers(node.directory)}


def pings_lost(node: TreecastNode, other: TreecastNode, count: int) -> int:
    said = node.machine.run(["ping", f"-c{count}", "-i0.1", "-W1", other.ipv4], check=False).stdout
    print(said)
    got = re.search(r"(\d+) received", said)
    assert got, said
    return count - int(got[1])


def overused(node: TreecastNode) -> list[str]:
    return [one.text for one in fetch_status(node.directory).problems if one.kind == "node_route_overused"]


@contextmanager
def arp_storm(machine: Machine, source: TreecastNode) -> Iterator[None]:
    """Questions for an address that nobody has, at 2,000 a second."""
    mac = b"\x02\x54" + int(IPv4Address(source.ipv4).packed[3]).to_bytes(4, "big")
    request = ARP + mac + IPv4Address(source.ipv4).packed + bytes(6) + IPv4Address("10.77.9.9").packed
    with machine.enter():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((INTERFACE, 0))
    over = threading.Event()

    def storm() -> None:
        begun, sent = time.monotonic(), 0
        while not over.wait(0.005):
            for _ in range(int((time.monotonic() - begun) * STORM_PER_S) - sent):
                raw.send(b"\xff" * 6 + mac + b"\x08\x06" + request + bytes(18))
                sent += 1

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        raw.close()


def test_a_fast_stream_to_one_node_takes_nothing_of_a_slow_one_and_of_pings_to_another(square: Square) -> None:
    a, a2, c = square["a"], square["a2"], square["c"]
    assert (ways(c)["a"], ways(c)["a2"]) == ("via b", "via b")
    slow = Receiver(a.machine, *SLOW, interface=INTERFACE)
    wait_members(c, SLOW[0], {"a"})
    Sender(c.machine, *SLOW, interface=INTERFACE, rate_pps=SLOW_PPS, size_bytes=200)
    Sender(c.machine, *FAST, interface=INTERFACE, rate_pps=500, size_bytes=1200)
    wait_until(lambda: slow.snapshot().received > SLOW_PPS, LIMIT_S, "a gets its stream")
    fast = Receiver(a2.machine, *FAST, interface=INTERFACE)
    wait_members(c, FAST[0], {"a2"})
    before, cut = slow.snapshot(), drops(c).get("forward_budget", 0)
    wait_until(lambda: slow.snapshot().received > before.received + 8 * SLOW_PPS, 4 * LIMIT_S, "its stream goes on")
    lost = pings_lost(c, a, 40)
    print({name: drops(node) for name, node in square.items()}, overused(c))
    assert lost <= 1
    after, got = slow.snapshot(), fast.snapshot()
    assert after.lost - before.lost <= 1
    assert drops(c)["forward_budget"] > cut + 1000 and got.lost > 1000, "the other is cut all the time"
    assert got.received > 200, "to what is left"
    assert drops(square["b"]).get("forward_budget", 0) == 0, "what has left is sent on"
    wait_until(lambda: overused(c), LIMIT_S, "c says so")
    (text,) = overused(c)
    assert "to a2 by way of b" in text
    c.wait_logged("problem=node_route_overused")
    assert c.log_tail().count("problem=node_route_overused") == 1
    assert overused(a) == []


def test_a_storm_of_broadcast_of_a_node_takes_nothing_of_pings_to_it(square: Square) -> None:
    a, c = square["a"], square["c"]
    with arp_storm(a.machine, a):
        wait_until(lambda: sum(drops(a).values()) > STORM_PER_S, LIMIT_S, "the storm has begun")
        lost = pings_lost(c, a, 40)
    print({name: drops(node) for name, node in square.items()})
    assert lost <= 1
