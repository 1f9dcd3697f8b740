"""A source that may have two children, and eight other nodes: each sends what it gets on to two at most.

::

      n0, the source -----> two of n1..n8 -----> two each -----> the rest

All are in a full mesh on one switch. n0 has the bound, and so has each that relays; n3 to n6 do not relay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, Overlay, TreecastNode
from lab.sites import show_logs
from lab.waiting import wait_until
from tests.lab.overlay.asking import LIMIT_S, drops, grown, members, wait_members, wait_received
from tests.lab.overlay.captured import Datagram, read_datagrams
from tests.lab.overlay.secrets_in_memory import drawn, held, tracing

GROUP, OTHER_GROUP = "239.61.0.1", "239.61.0.2"
PORT = 5061
NODES = 9
MOST_CHILDREN = 2
LEAVES = (3, 4, 5, 6)
RELAYS = (1, 2, 7, 8)
RATE_PPS = 500
WARM, COUNT = 500, 2500
PAYLOAD_BYTES = 1200
COPIES = 2.2
"""The datagrams that leave the source for each that is sent, while a member joins and leaves: two, and its copies."""
KEY_LIMIT_S = 60.0
pytestmark = pytest.mark.alone
"""Relays that stand still for a quarter of a second, on cores that others use, are planned around for a minute."""


@pytest.fixture(scope="module")
def overlay() -> Iterator[Overlay]:
    """Offload is off on the underlay: a captured packet is a datagram."""
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(f"n{number}", lan) for number in range(NODES)]
        for machine in machines:
            machine.offload(False)
        made = Overlay(machines, lab.directory)
        made[0].program = (*tracing(lab.directory / "drawn"), *made[0].program)
        bound = ("--max-children", str(MOST_CHILDREN))
        made[0].start(options=bound)
        for number, node in enumerate(made.nodes[1:], 1):
            node.start(made[0].endpoint, options=(*bound, *(("--no-relay",) if number in LEAVES else ())))
        for node in made.nodes:
            node.wait_ready()
        made.wait_linked()
        yield made
        show_logs(made.nodes)
        made.stop()


def children(node: TreecastNode) -> int:
    return node.status().children


def relayed(nodes: list[TreecastNode]) -> list[int]:
    return [node.status().counters["frames_relayed"] for node in nodes]


def sent_by(machine: TreecastNode, datagrams: list[Datagram]) -> int:
    """Datagrams that left a node with a whole payload in them, whoever they were for."""
    own = {machine.machine.underlay_ipv4, machine.machine.underlay_ipv6}
    return sum(1 for one in datagrams if one.source in own and len(one.payload) >= PAYLOAD_BYTES)


def send(overlay: Overlay, group: str, count: int) -> Sender:
    return Sender(
        overlay[0].machine,
        group,
        PORT,
        interface=INTERFACE,
        rate_pps=RATE_PPS,
        count=count,
        size_bytes=PAYLOAD_BYTES,
    )


def receiver(node: TreecastNode, group: str) -> Receiver:
    return Receiver(node.machine, group, PORT, interface=INTERFACE)


@pytest.mark.timeout(300)
def test_a_source_sends_two_copies_to_seven_members_while_another_joins_and_leaves(
    overlay: Overlay, tmp_path: Path
) -> None:
    subscribers = list(overlay.nodes[1:8])
    receivers = [receiver(node, GROUP) for node in subscribers]
    wait_members(overlay[0], GROUP, {node.name for node in subscribers})
    before, relayed_before = [drops(node) for node in overlay.nodes], relayed(subscribers)
    assert send(overlay, GROUP, WARM).wait(20.0).sent == WARM
    for one in receivers:
        wait_received(one, WARM)
    outside = len(subscribers) - MOST_CHILDREN
    wait_until(lambda: sum(map(children, subscribers)) == outside, LIMIT_S, "links are known, and all have a place")

    with ExitStack() as captures:
        made = [captures.enter_context(n.machine.capture(tmp_path / n.name, "udp port 7700")) for n in overlay.nodes]
        stream = send(overlay, GROUP, COUNT)
        wait_received(receivers[0], WARM + COUNT // 5)
        late = receiver(overlay[8], GROUP)
        wait_members(overlay[0], GROUP, {node.name for node in overlay.nodes[1:]})
        wait_received(receivers[0], WARM + COUNT * 3 // 5)
        got_late = late.stop()
        assert stream.wait(20.0).sent == COUNT
        for one in receivers:
            wait_received(one, WARM + COUNT)
    assert [capture.counts.dropped for capture in made] == [0] * NODES

    assert sum(relayed(subscribers)) - sum(relayed_before) > 0, "the tree is in use"
    for got in (one.stop() for one in receivers):
        assert (got.received, got.lost, got.duplicated) == (WARM + COUNT, 0, 0)
    assert got_late.received > COUNT // 5
    assert (got_late.lost, got_late.duplicated) == (0, 0)
    copies = {node.name: sent_by(node, read_datagrams(tmp_path / node.name)) / COUNT for node in overlay.nodes}
    print(f"copies: {copies}")
    assert copies["n0"] <= COPIES
    assert all(copies[overlay[number].name] == 0 for number in LEAVES), "they do not relay"
    assert all(copies[overlay[number].name] <= MOST_CHILDREN for number in RELAYS)
    for node, earlier in zip(overlay.nodes, before, strict=True):
        lost = grown(earlier, drops(node))
        assert not {"tree_rpf", "tree_replay", "tree_tag", "tree_auth"} & lost.keys(), (node.name, lost)


@pytest.mark.timeout(300)
def test_who_only_relays_has_no_byte_of_the_sender_key(overlay: Overlay) -> None:
    """The members cannot relay, and the source has room for two: so nodes relay that do not subscribe."""
    log = overlay.directory / "drawn"
    relays, leaves = ([overlay[number] for number in numbers] for numbers in (RELAYS, LEAVES))
    wait_until(lambda: not members(overlay[0], GROUP), LIMIT_S, "the other group's members are gone")
    wait_until(lambda: not any(map(children, relays)), LIMIT_S, "nobody relays the other group")
    known = len(drawn(log))
    receivers = [receiver(node, OTHER_GROUP) for node in leaves]
    wait_members(overlay[0], OTHER_GROUP, {node.name for node in leaves})
    before = relayed(relays)
    stream = send(overlay, OTHER_GROUP, WARM)

    def in_use() -> list[int]:
        return [n for n, (earlier, count) in enumerate(zip(before, relayed(relays), strict=True)) if count > earlier]

    assert stream.wait(20.0).sent == WARM
    for one in receivers:
        wait_received(one, WARM)
    assert len(in_use()) == 2
    later = drawn(log)[known:]
    wait_until(lambda: bool(held(leaves[0].process.pid, later)), KEY_LIMIT_S, "the search finds the key at a member")
    for node in relays:
        assert held(node.process.pid, later) == set(), node.name
    for got in (one.stop() for one in receivers):
        assert (got.received, got.lost, got.duplicated) == (WARM, 0, 0)
