"""INITs without end under the addresses and ports of linked peers, for longer than a session lives: no link ends.

6.5 Mbit/s of each kind come to each of three nodes, whose stream goes on. Strangers get not one byte.
"""

from __future__ import annotations

import itertools
import json
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from lab import Machine, wait_until
from lab.node import PORT, TreecastNode
from tests.hostile_speaker import layouts as wire
from tests.hostile_speaker.handshakes import Handshake
from tests.hostile_speaker.member import Member
from tests.lab.hostile.flooding import Flood, flooding
from tests.lab.hostile.hostility import LIMIT_S, Hostility, counted
from tests.lab.hostile.siege import ipv4_udp
from tests.lab.overlay.asking import peers_up
from treecast.api.client import fetch_why

BITS_PER_S = 6_500_000
PPS = -(-BITS_PER_S // (8 * wire.HANDSHAKE_LEN))
"""INITs a second to one node."""
LIVES_S = 181
"""The time after which a link ended whose next session was kept from being made."""
LONG_S, SHORT_S = 200, 10
EACH = 20
"""Different INITs from one peer to another."""
INSIDE_LEN = 8 + wire.SESSION_HEADER_LEN + len(wire.inner(0, b"")) + wire.HANDSHAKE_LEN + 16
"""The UDP length of a handshake datagram inside of a session."""
COUNTERS = f"""
table ip t {{
  counter inside {{}}
  counter outside {{}}
  counter answered {{}}
  chain in {{
    type filter hook input priority 0
    udp sport {PORT} udp length {INSIDE_LEN} @th,64,8 {wire.SESSION:#x} counter name inside
  }}
  chain out {{
    type filter hook output priority 0
    udp sport {PORT} @th,64,8 {{ {wire.INIT:#x}-{wire.REFUSAL:#x}, {wire.COOKIE:#x} }} counter name outside
    udp sport {PORT} ip daddr STRANGER counter name answered
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """Datagrams of all nodes: handshakes inside of sessions and outside, and what went to the stranger's address."""

    inside: int
    outside: int
    answered: int
    outside_bytes: int


@contextmanager
def counting(machines: Sequence[Machine], stranger: Machine) -> Iterator[None]:
    """The machines count what Sent has."""
    for machine in machines:
        machine.run(["nft", "-f", "-"], stdin=COUNTERS.replace("STRANGER", stranger.underlay_ipv4))
    yield
    for machine in machines:
        machine.run(["nft", "delete", "table", "ip", "t"])


def sent(machines: Sequence[Machine]) -> Sent:
    packets, outside_bytes = dict.fromkeys(("inside", "outside", "answered"), 0), 0
    for machine in machines:
        listed = json.loads(machine.run(["nft", "-j", "list", "counters", "table", "ip", "t"]).stdout)["nftables"]
        for counter in (entry["counter"] for entry in listed if "counter" in entry):
            packets[counter["name"]] += counter["packets"]
            outside_bytes += counter["bytes"] if counter["name"] == "outside" else 0
    return Sent(**packets, outside_bytes=outside_bytes)


def blind(_: Member) -> bytes:
    """An INIT of who knows its form alone."""
    return bytes((wire.INIT, 2, 0, 0)) + secrets.token_bytes(wire.HANDSHAKE_LEN - 4)


def guessing(member: Member) -> bytes:
    """An INIT of who knows the network's id, and guesses its key."""
    return knowing(replace(member, network_key=secrets.token_bytes(32)))


def knowing(member: Member) -> bytes:
    """An INIT of who was a member, and has the network key."""
    return Handshake(member, 1, initiator=True).init()


Maker = Callable[[Member], bytes]
STRANGERS: tuple[Maker, ...] = (blind, guessing)


@dataclass(frozen=True, slots=True)
class Found:
    """The account of a flood. ``judged``: INITs that were refused for their MAC; ``cookies``: for want of one."""

    flood: Flood
    sent: Sent
    judged: int
    cookies: int


def besiege(hostility: Hostility, makers: Sequence[Maker], seconds: int) -> Found:
    """The links are up before, afterwards and all the while, by the same paths; the stream loses nothing.

    Once a second the stranger sends INITs from its own address, too.
    """
    nodes, stranger = hostility.net.nodes, hostility.machines["mallory"]
    member = hostility.admit(f"former-{len(makers)}-{seconds}", "mallory")
    machines = [node.machine for node in nodes]
    before = verdicts(nodes)
    with (
        counting(machines, stranger),
        hostility.undisturbed(1.0),
        speaking_from(stranger) as own,
        flooding(stranger, forged(nodes, member, makers), PPS * len(nodes) * len(makers)) as flood,
    ):

        def over() -> bool:
            for make, node in itertools.product(makers, nodes):
                own.sendto(make(member), (node.machine.underlay_ipv4, PORT))
            return flood.elapsed_s >= seconds or not linked(nodes)

        wait_until(over, seconds + LIMIT_S, "the flood lasts long enough", poll_s=1.0)
        assert linked(nodes)
        assert youngest_s(nodes) > flood.elapsed_s, "no link was made anew, no path has moved"
        found = sent(machines)
    judged, cookies = (now - was for now, was in zip(verdicts(nodes), before, strict=True))
    print(f"\n{flood.sent} INITs in {flood.elapsed_s:.0f} s, {flood.sent_pps / len(nodes):.0f}/s to each node")
    print(f"{judged} with a wrong MAC, {cookies} without a cookie; {found}")
    return Found(flood, found, judged, cookies)


@contextmanager
def speaking_from(machine: Machine) -> Iterator[socket.socket]:
    """A socket at the machine's own address."""
    with machine.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with own:
        own.bind((machine.underlay_ipv4, 0))
        yield own


def forged(nodes: Sequence[TreecastNode], member: Member, makers: Sequence[Maker]) -> list[tuple[bytes, str]]:
    """INITs of all kinds to each node, under the addresses of its peers."""
    packets = []
    for _, make, victim in itertools.product(range(EACH), makers, nodes):
        target = victim.machine.underlay_ipv4
        sources = [peer.machine.underlay_ipv4 for peer in nodes if peer is not victim]
        packets += [(ipv4_udp(source, PORT, target, PORT, make(member)), target) for source in sources]
    return packets


def verdicts(nodes: Sequence[TreecastNode]) -> tuple[int, int]:
    judged, cookies = (
        sum(counted(node, reason) for node in nodes) for reason in ("handshake_mac", "handshake_under_load")
    )
    return judged, cookies


def linked(nodes: Sequence[TreecastNode]) -> bool:
    names = {node.name for node in nodes}
    return all(names - {node.name} <= peers_up(node) for node in nodes)


def youngest_s(nodes: Sequence[TreecastNode]) -> float:
    """The time for which all links have been up, and all nodes have been reached as they are."""
    pairs = [(node, peer) for node in nodes for peer in nodes if peer is not node]
    decisions = [one for node, peer in pairs for one in fetch_why(node.directory, peer.name).decisions]
    since = [one.since_s for one in decisions if one.subject in ("link", "path", "node route")]
    assert len(since) == 2 * len(pairs)
    return min(one or 0.0 for one in since)


def test_strangers_that_forge_inits_of_linked_peers_end_no_link_and_get_not_one_byte(hostility: Hostility) -> None:
    found = besiege(hostility, STRANGERS, SHORT_S)
    assert found.sent.answered == 0
    assert found.judged > found.flood.sent / 2
    assert found.sent.outside < found.flood.sent / 1000, "nobody is answered, under whatever address"


def test_who_has_the_network_key_ends_no_link_so_either_and_has_three_bytes_sent_for_one_at_most(
    hostility: Hostility,
) -> None:
    answered_at_most(besiege(hostility, (knowing,), SHORT_S))


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_strangers_that_do_so_for_longer_than_a_session_lives_end_no_link_either(hostility: Hostility) -> None:
    found = besiege(hostility, STRANGERS, LONG_S)
    lasted(found, len(hostility.net), len(STRANGERS))
    assert found.judged > 0.99 * found.flood.sent
    assert (found.sent.answered, found.sent.outside) == (0, 0)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_who_has_the_network_key_and_does_so_for_longer_than_a_session_lives_ends_no_link_either(
    hostility: Hostility,
) -> None:
    found = besiege(hostility, (knowing,), LONG_S)
    lasted(found, len(hostility.net), 1)
    answered_at_most(found)


def answered_at_most(found: Found) -> None:
    """The nodes are under load, and send the forged addresses three times as much as came from there at most."""
    assert found.cookies > found.flood.sent / 2
    assert found.sent.answered > 0
    assert found.sent.outside_bytes <= 3 * found.flood.sent * (20 + 8 + wire.HANDSHAKE_LEN)


def lasted(found: Found, nodes: int, kinds: int) -> None:
    """The flood was as fast and as long as it had to be, and each link had its next session inside of the last."""
    links = nodes * (nodes - 1) // 2
    assert found.flood.elapsed_s > LIVES_S
    assert found.flood.sent_pps * 8 * wire.HANDSHAKE_LEN > 0.99 * BITS_PER_S * nodes * kinds
    assert found.sent.inside >= 3 * links
