"""Nodes between two others that end, or send on nothing or no frames of theirs, and another one beside them::

  west: 198.18.x.0/24                            east: another network, nothing is routed between them
----+---------+---------+---------+----        ----+---------+---------+---------+----
    a         b         b2        eve              b         b2        eve       c

a and c send each other a stream, by the one or the other. eve is a hostile speaker. ``make soak`` holds what is lost
of a stream to the promise, and tests/sim/engine/test_hostile_nodes_between.py does in virtual time.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from lab import Lab
from lab.load import Received, Receiver, Sender
from lab.machine import Machine
from lab.node import INTERFACE, PORT, TreecastNode, create_network
from lab.waiting import wait_until
from tests.hostile_speaker.between import Between
from tests.hostile_speaker.member import Member
from tests.lab.overlay.asking import wait_members
from tests.lab.overlay.test_node_routes import path
from treecast.adapters import clock
from treecast.adapters.storage import add_node
from treecast.api.client import fetch_status
from treecast.identity.node import NodeRequest
from treecast.identity.rights import NO_LIMITS, Role

GROUPS = (("239.20.9.1", 5010), ("239.20.9.2", 5010))
RATE_PPS = 20
MEET_LIMIT_S = 60.0
CHANGED_S = 3.0
"""The promise; the time from one of a stream's datagrams to the next comes to it, and what a busy machine takes."""
SLACK_S = 0.5
COUNTED_S = 6.0
BUSY = 3
"""The times that the promise may be lost of a stream where other tests run beside this one."""
PROBES_BYTES = 150
"""Probes and their replies, sealed, are shorter; frames of the streams are longer."""


@dataclass
class Diamond:
    """Two ends, and nodes between them. ``receivers``: at the first end, at the other one."""

    lab: Lab
    network: Path
    eve: Machine
    nodes: dict[str, TreecastNode]

    @property
    def ends(self) -> tuple[TreecastNode, TreecastNode]:
        return self.nodes["a"], self.nodes["c"]

    def start(self, name: str) -> None:
        """Nodes between know each other in the west, and both ends; those the nodes between."""
        node, places = self.nodes[name], 1 if name == "c" else 0
        between = [self.nodes[other] for other in ("b", "b2") if other != name]
        peers = [f"{other.machine.ports[places].ipv4.ip}:{PORT}" for other in between]
        ends = () if name in ("a", "c") else tuple(f"{end.machine.underlay_ipv4}:{PORT}" for end in self.ends)
        node.start(*peers, *ends)
        node.wait_ready()

    def ways(self) -> tuple[str, str]:
        a, c = self.ends
        return path(a, c), path(c, a)

    def streams(self) -> tuple[Receiver, ...]:
        """Each end gets a stream of the other one from now on."""
        a, c = self.ends
        receivers = []
        for (group, port), node, other in zip(GROUPS, (a, c), (c, a), strict=True):
            receivers.append(Receiver(node.machine, group, port, interface=INTERFACE))
            wait_members(other, group, {node.name})
            Sender(other.machine, group, port, interface=INTERFACE, rate_pps=RATE_PPS, size_bytes=400)
        flows(receivers)
        return tuple(receivers)

    def named(self) -> set[str]:
        problems = [one for end in self.ends for one in fetch_status(end.directory).problems]
        return {one.subject for one in problems if one.kind == "node_route_unanswered"}


@pytest.fixture
def diamond() -> Iterator[Diamond]:
    with Lab() as lab:
        west, east = lab.switch(), lab.switch()
        network = create_network(lab.directory / "network")
        switches = {"a": (west,), "b": (west, east), "b2": (west, east), "c": (east,)}
        nodes = {
            name: TreecastNode.add(lab.machine(name, *those), network, lab.directory)
            for name, those in switches.items()
        }
        yield Diamond(lab, network, lab.machine("eve", west, east), nodes)
        for node in nodes.values():
            if node.running:
                print(f"--- {node.name}\n{node.log_tail()}")
                node.stop()


def snapshots(receivers: Sequence[Receiver]) -> list[Received]:
    return [receiver.snapshot() for receiver in receivers]


def flows(receivers: Sequence[Receiver]) -> None:
    """Waits until all have a second more of their stream."""
    before = snapshots(receivers)

    def more() -> bool:
        after = snapshots(receivers)
        return all(now.received > was.received + RATE_PPS for was, now in zip(before, after, strict=True))

    wait_until(more, MEET_LIMIT_S, "the streams go on")


def lost_s(before: Sequence[Received], after: Sequence[Received]) -> list[float]:
    """How much was lost of each stream, as the seconds that it takes to send that."""
    return [(now.lost - was.lost) / RATE_PPS for was, now in zip(before, after, strict=True)]


def test_a_node_between_that_is_killed_is_passed_over(diamond: Diamond) -> None:
    assert max(lost_to_kills(diamond, 2)) <= BUSY * CHANGED_S


@pytest.mark.soak
def test_a_node_between_that_is_killed_costs_three_seconds_of_a_stream(diamond: Diamond) -> None:
    gaps = lost_to_kills(diamond, 4)
    assert median(gaps) <= CHANGED_S
    assert max(gaps) <= CHANGED_S + SLACK_S


def lost_to_kills(diamond: Diamond, kills: int) -> list[float]:
    """The node between is killed so often: for how long each stream was lost each time."""
    for name in ("a", "b", "b2", "c"):
        diamond.start(name)
    for name, node in diamond.nodes.items():
        node.wait_linked(diamond.nodes.keys() - {name}, MEET_LIMIT_S)
    receivers, gaps = diamond.streams(), []
    for _ in range(kills):
        killed = diamond.nodes[diamond.ways()[0].removeprefix("via ")]
        before = snapshots(receivers)
        killed.kill()
        flows(receivers)
        gaps += lost_s(before, snapshots(receivers))
        assert {f"via {killed.name}"}.isdisjoint(diamond.ways())
        assert diamond.named() == set()
        diamond.start(killed.name)
        for name, node in diamond.nodes.items():
            node.wait_linked(diamond.nodes.keys() - {name}, MEET_LIMIT_S)
    print("lost, in seconds:", sorted(gaps))
    return gaps


def make_socket(machine: Machine) -> socket.socket:
    with machine.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**21)
    own.bind(("0.0.0.0", 7801))
    return own


@pytest.fixture
def eve(diamond: Diamond) -> Iterator[Between]:
    """All between a and c goes by eve, and b leads there, too."""
    for name in ("a", "c"):
        diamond.start(name)
    directory = diamond.lab.directory / "evil"
    request = NodeRequest("evil", None, None, 30, roles=Role.RELAY, limits=NO_LIMITS)
    add_node(diamond.network, directory, request, clock.unix_s())
    places = tuple((str(end.machine.underlay_ipv4), PORT) for end in diamond.ends)
    with make_socket(diamond.eve) as own:
        between = Between(Member.load(directory), own, places)
        try:
            wait_until(lambda: diamond.ways() == ("via evil", "via evil"), MEET_LIMIT_S, "they meet by eve")
            diamond.start("b")
            diamond.nodes["b"].wait_linked({"a", "c"}, MEET_LIMIT_S)
            yield between
        finally:
            between.close()


swallows = pytest.mark.parametrize(
    ("passes_bytes", "limit_s"), [(0, CHANGED_S), (PROBES_BYTES, COUNTED_S)], ids=["all", "frames"]
)


@swallows
def test_a_member_between_that_sends_on_nothing_or_no_frames_is_passed_over_and_named(
    diamond: Diamond, eve: Between, passes_bytes: int, limit_s: float
) -> None:
    assert lost_to_eve(diamond, eve, passes_bytes) <= BUSY * limit_s


@pytest.mark.soak
@swallows
def test_a_member_between_that_sends_on_nothing_or_no_frames_costs_seconds_of_a_stream(
    diamond: Diamond, eve: Between, passes_bytes: int, limit_s: float
) -> None:
    assert lost_to_eve(diamond, eve, passes_bytes) <= limit_s + SLACK_S


def lost_to_eve(diamond: Diamond, eve: Between, passes_bytes: int) -> float:
    """Eve sends on nothing that is longer, and is named: for how long the stream was lost that lost most."""
    receivers = diamond.streams()
    assert diamond.ways() == ("via evil", "via evil")
    before = snapshots(receivers)
    eve.sends_on = lambda size_bytes: size_bytes <= passes_bytes
    flows(receivers)
    gaps = lost_s(before, snapshots(receivers))
    print("lost, in seconds:", gaps)
    assert eve.swallowed
    assert diamond.ways() == ("via b", "via b")
    wait_until(lambda: diamond.named() == {"evil"}, MEET_LIMIT_S, "people learn who it is")
    return max(gaps)
