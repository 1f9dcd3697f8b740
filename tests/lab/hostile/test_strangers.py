"""Strangers, who know all of a network but its key, get not one byte."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from lab import wait_until
from lab.node import PORT, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.handshakes import Handshake
from tests.hostile_speaker.member import Member
from tests.lab.hostile.flooding import Flood, flooding
from tests.lab.hostile.siege import LIMIT_S, OUTSIDER_PORT, Siege, counting, ipv4_udp
from tests.lab.overlay.asking import drops, grown, peers_up
from treecast import _native
from treecast.adapters import clock
from treecast.adapters.noise import native_network
from treecast.adapters.storage import add_node, load_network
from treecast.identity.node import NodeRequest

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
    first_contact(siege, tmp_path / "newcomer", LIMIT_S)


@pytest.mark.soak
@pytest.mark.parametrize("has_key", [True, False], ids=["of who has the network key", "of who has not"])
def test_a_first_contact_succeeds_within_5_s_beside_5000_forged_inits_a_second(
    siege: Siege, tmp_path: Path, has_key: bool
) -> None:
    flood = first_contact(siege, tmp_path / ("beside-a-key" if has_key else "beside-none"), 5.0, has_key=has_key)
    assert flood.sent_pps > 0.99 * RATE_PER_S


def first_contact(siege: Siege, directory: Path, limit_s: float, *, has_key: bool = True) -> Flood:
    """A node of this directory links with n1. Somebody forges INITs, under the newcomer's own address, under that of a
    linked node, and under 200 that nobody has. Links stay up all the while, and nothing that they send is refused.
    """
    victim, linked = siege.net[1], siege.net[0]
    add_node(siege.net.network, directory, NodeRequest(directory.name, None, None, 30), clock.unix_s())
    newcomer = TreecastNode(siege.outsider, directory)
    sources = [(f"198.18.0.{50 + number}", 1024 + number) for number in range(200)]
    sources += 20 * [(newcomer.machine.underlay_ipv4, PORT), (linked.machine.underlay_ipv4, PORT)]
    verdict = "handshake_under_load" if has_key else "handshake_mac"

    def judged() -> int:
        return grown(before, drops(victim)).get(verdict, 0)

    before, lost = drops(victim), [receiver.snapshot().lost for receiver in siege.receivers]
    with flooding(siege.outsider, forged_inits(siege, victim, sources, has_key=has_key), RATE_PER_S) as flood:
        wait_until(lambda: judged() > 5000, LIMIT_S, "load")
        newcomer.start(victim.endpoint)
        newcomer.wait_ready()
        began = time.monotonic()
        wait_until(lambda: victim.name in peers_up(newcomer), limit_s, "the first contact")
        took_s = time.monotonic() - began
        wait_until(lambda: judged() > 30_000, LIMIT_S, "a long flood")
        assert {linked.name, siege.net[2].name, newcomer.name} <= set(peers_up(victim))
    print(f"\nlinked {took_s:.2f} s after it was ready, beside {flood.sent_pps:.0f} INITs/s")
    assert "socket_full" not in grown(before, drops(victim))
    assert [receiver.snapshot().lost for receiver in siege.receivers] == lost
    newcomer.stop()
    wait_until(lambda: newcomer.name not in peers_up(victim), LIMIT_S, "it is gone")
    return flood


def forged_inits(
    siege: Siege, victim: TreecastNode, sources: Sequence[tuple[str, int]], *, has_key: bool
) -> list[tuple[bytes, str]]:
    """One INIT from each of these addresses and ports, with a right MAC or with one under a key that was guessed."""
    network = native_network(load_network(siege.net.network))
    if not has_key:
        network = native_network(replace(load_network(siege.net.network), key=random.Random(13).randbytes(32)))
    key = _native.StaticKey(random.Random(12).randbytes(32))
    init = _native.Handshake.initiate(key, network, 1).init_datagram()
    target = victim.machine.underlay_ipv4
    return [(ipv4_udp(source, port, target, PORT, init), target) for source, port in sources]
