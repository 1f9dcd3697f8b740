"""Strangers, who know all of a network but its key, get not one byte."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from lab import wait_until
from lab.node import PORT, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.handshakes import Handshake
from tests.hostile_speaker.member import Member
from tests.lab.hostile.siege import LIMIT_S, OUTSIDER_PORT, Siege, counting, ipv4_udp
from tests.lab.overlay.asking import drops, grown, peers_up
from treecast import _native
from treecast.adapters.noise import native_network
from treecast.adapters.storage import load_network

COUNT = 50
RATE_PER_S = 5000


@pytest.fixture(scope="module")
def stranger(siege: Siege) -> Member:
    """All that a member has but the network key, which is guessed."""
    return replace(Member.load(siege.net[2].directory), network_key=random.Random(11).randbytes(32))


def test_a_stranger_with_all_but_the_network_key_gets_not_one_byte(siege: Siege, stranger: Member) -> None:
    inits = [Handshake(stranger, 1, initiator=True).init() for _ in range(COUNT)]
    victim = siege.net[1]
    with siege.undisturbed(), siege.open_socket() as own, counting(victim, Counter(handshake_mac=COUNT)):
        siege.throw(own, victim, inits)
        own.setblocking(False)
        with pytest.raises(BlockingIOError):
            own.recv(2048, socket.MSG_PEEK)


def test_a_stranger_whom_a_node_seeks_can_neither_read_what_it_sends_nor_answer(siege: Siege, stranger: Member) -> None:
    """n2 was told that the outsider is a node."""
    victim = siege.net[2]
    with siege.undisturbed(), siege.open_socket(OUTSIDER_PORT) as own, counting(victim, Counter(handshake_mac=2)):
        for _ in range(2):
            init, address = own.recvfrom(2048)
            assert init[0] == wire.INIT
            handshake = Handshake(stranger, 1, initiator=False)
            with pytest.raises(InvalidTag):
                handshake.read_init(init)
            own.sendto(handshake.response(), address)


def test_a_first_contact_succeeds_beside_5000_forged_inits_a_second(siege: Siege, tmp_path: Path) -> None:
    first_contact(siege, tmp_path, LIMIT_S)


@pytest.mark.soak
def test_a_first_contact_succeeds_within_5_s_beside_5000_forged_inits_a_second(siege: Siege, tmp_path: Path) -> None:
    first_contact(siege, tmp_path, 5.0)


def first_contact(siege: Siege, tmp_path: Path, limit_s: float) -> None:
    """Somebody with the network key forges INITs, under the newcomer's own address, under that of a linked node, and
    under 200 that nobody has. Links stay up all the while, and nothing that they send is refused.
    """
    victim, linked = siege.net[1], siege.net[0]
    newcomer = TreecastNode.add(siege.outsider, siege.net.network, tmp_path)
    forged = [f"198.18.0.{50 + number}" for number in range(200)]
    sources = [(source, 1024 + number) for number, source in enumerate(forged)]
    sources += 20 * [(newcomer.machine.underlay_ipv4, PORT), (linked.machine.underlay_ipv4, PORT)]

    def answered() -> int:
        return grown(before, drops(victim)).get("handshake_under_load", 0)

    before, lost = drops(victim), [receiver.snapshot().lost for receiver in siege.receivers]
    with flood(siege, victim, sources):
        wait_until(lambda: answered() > 5000, LIMIT_S, "load")
        newcomer.start(victim.endpoint)
        newcomer.wait_ready()
        wait_until(lambda: victim.name in peers_up(newcomer), limit_s, "the first contact")
        wait_until(lambda: answered() > 30_000, LIMIT_S, "a long flood")
        assert {linked.name, siege.net[2].name, newcomer.name} <= set(peers_up(victim))
    assert "socket_full" not in grown(before, drops(victim))
    assert [receiver.snapshot().lost for receiver in siege.receivers] == lost
    newcomer.stop()
    wait_until(lambda: newcomer.name not in peers_up(victim), LIMIT_S, "it is gone")


@contextmanager
def flood(siege: Siege, victim: TreecastNode, sources: Sequence[tuple[str, int]]) -> Iterator[None]:
    """5,000 INITs a second whose MACs are right, from these addresses and ports in turn."""
    network = native_network(load_network(siege.net.network))
    key = _native.StaticKey(random.Random(12).randbytes(32))
    init = _native.Handshake.initiate(key, network, 1).init_datagram()
    target = victim.machine.underlay_ipv4
    packets = [ipv4_udp(source, port, target, PORT, init) for source, port in sources]
    with siege.outsider.enter():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    over = threading.Event()

    def send() -> None:
        sent, began = 0, time.monotonic()
        while not over.wait(0.002):
            while not over.is_set() and sent < (time.monotonic() - began) * RATE_PER_S:
                raw.sendto(packets[sent % len(packets)], (target, 0))
                sent += 1

    with raw:
        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()
