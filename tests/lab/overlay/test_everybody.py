"""Unicast between any two machines over the overlay, and frames that are for all of them."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, permutations

import pytest

from lab.node import Overlay
from tests.lab.overlay.machines import heard, listen, ping, speak, transfer

DATA = random.Random(1).randbytes(4_000_000)
PORT = 5353


@pytest.mark.parametrize("version", [4, 6])
def test_ping_works_between_any_two_nodes(mesh: Overlay, version: int) -> None:
    pairs = [(one.machine, other.ipv4 if version == 4 else other.ipv6) for one, other in permutations(mesh.nodes, 2)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert len(list(pool.map(lambda pair: ping(*pair), pairs))) == 12


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_carries_the_same_bytes_between_any_two_nodes(mesh: Overlay, version: int) -> None:
    for number, (one, other) in enumerate(combinations(mesh.nodes, 2)):
        sender, receiver = (one, other) if number % 2 else (other, one)
        address = receiver.ipv4 if version == 4 else receiver.ipv6
        assert transfer(sender.machine, receiver.machine, address, DATA) == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    "address", ["10.77.255.255", "255.255.255.255", "224.0.0.1", "224.0.0.251", "ff02::1", "ff02::fb"]
)
def test_broadcast_and_link_local_groups_reach_every_node_once(mesh: Overlay, address: str) -> None:
    speaker, *others = mesh.nodes
    listeners = [listen(node.machine, PORT, address) for node in others]
    payloads = [f"{address} {number}".encode() for number in range(10)]
    try:
        speak(speaker.machine, PORT, address, payloads)
        for own in listeners:
            assert heard(own, len(payloads)) == payloads
    finally:
        for own in listeners:
            own.close()
