"""Fingerprints in a network: what was lost is found, agreement costs nothing, and a liar a little."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from treecast.base.commands import SetFingerprint
from treecast.base.events import CommandRefusalReason
from treecast.broadcast import unacknowledged
from treecast.sim.datagrams import SessionDatagram
from treecast.sim.world import SimNode, World
from treecast.wire.control import Digest, Ranges, parse_control

GROUP = "239.1.1.1"
DEAD_AFTER_S = 60.0
"""No NODE of theirs for so long, and origins are forgotten."""


class Descriptions:
    """Counts the descriptions that are sent from now on, and their bytes."""

    def __init__(self, world: World) -> None:
        self.kinds: Counter[type] = Counter()
        self.size_bytes = 0
        world.underlay.on_send = self._count

    def _count(self, datagram: object) -> None:
        if isinstance(datagram, SessionDatagram) and isinstance(datagram.body, bytes):
            message = parse_control(datagram.body)
            if isinstance(message, Digest | Ranges):
                self.kinds[type(message)] += 1
                self.size_bytes += len(datagram.body)

    @property
    def count(self) -> int:
        return self.kinds.total()


def mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 30.0)
    world.run(15.0)
    return nodes


def fingerprints(nodes: list[SimNode]) -> set[int]:
    return {node.forwarder.fingerprints.own for node in nodes}


def test_nodes_that_agree_send_no_descriptions() -> None:
    world = World(1)
    nodes = mesh(world, 12)
    assert len(fingerprints(nodes)) == 1
    descriptions = Descriptions(world)
    world.run(120.0)
    assert descriptions.count == 0
    nodes[3].report(GROUP)
    world.run(30.0)
    nodes[3].leave(GROUP)
    world.run(200.0)  # withdrawals are forgotten, not by all at once, and the floor rises
    assert descriptions.count == 0
    assert len(fingerprints(nodes)) == 1


def test_an_advertisement_that_was_lost_is_found_within_seconds_and_costs_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(2)
    nodes = mesh(world, 20)
    monkeypatch.setattr(unacknowledged, "MAX_SENDS", 1)
    joined, lacking = nodes[3], nodes[7]
    world.underlay.cut(joined.endpoint, lacking.endpoint)
    descriptions = Descriptions(world)
    joined.report(GROUP)
    world.run(1.0)
    world.underlay.heal()
    assert [node.subscribes(joined, GROUP) for node in (nodes[5], lacking)] == [True, False]
    world.run_until(lambda: lacking.subscribes(joined, GROUP), 6.0)
    world.run(30.0)
    assert len(fingerprints(nodes)) == 1
    assert descriptions.count <= 8
    assert descriptions.size_bytes <= 4_000


@pytest.mark.parametrize("size", [6, 16])
def test_halves_that_were_apart_know_all_of_each_other_soon_after(size: int) -> None:
    world = World(3)
    nodes = mesh(world, size)
    halves = nodes[: size // 2], nodes[size // 2 :]
    for one, other in product(*halves):
        world.underlay.cut(one.endpoint, other.endpoint)
        world.underlay.cut(other.endpoint, one.endpoint)
    world.run(2 * DEAD_AFTER_S)
    assert not any(node.knows(other) for node in halves[0] for other in halves[1])
    for number, node in enumerate(nodes):
        node.report(f"239.1.1.{number}")
    world.run(10.0)
    world.underlay.heal()
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 300.0)
    world.run_until(lambda: _all_subscriptions_are_known(nodes), 10.0)
    world.run(20.0)
    assert len(fingerprints(nodes)) == 1


def _all_subscriptions_are_known(nodes: list[SimNode]) -> bool:
    pairs = ((node, number) for number in range(len(nodes)) for node in nodes if node is not nodes[number])
    return all(node.subscribes(nodes[number], f"239.1.1.{number}") for node, number in pairs)


def test_all_agree_soon_after_hosts_joined_and_left_while_a_tenth_was_lost() -> None:
    world = World(4, loss=0.1)
    nodes = mesh(world, 16)
    for turn in range(60):
        nodes[turn % 16].report(f"239.1.1.{turn % 7}")
        nodes[(turn * 5) % 16].leave(f"239.1.1.{turn % 5}")
        world.run(0.5)
    world.run_until(lambda: len(fingerprints(nodes)) == 1, 20.0)


@pytest.mark.parametrize("step", [0, 1], ids=["one lie", "another each time"])
def test_a_member_that_lies_for_ever_costs_five_descriptions_a_minute_and_link_and_hinders_nobody(step: int) -> None:
    world = World(5)
    nodes = mesh(world, 7)
    liar = nodes[4]
    invalid = CommandRefusalReason.INVALID
    liar.forwarder.refuses = lambda command: invalid if isinstance(command, SetFingerprint) else None
    liar.forwarder.fingerprints.own = 1
    world.run(120.0)
    descriptions = Descriptions(world)
    for _ in range(300):
        liar.forwarder.fingerprints.own += step
        world.run(1.0)
    assert 0 < descriptions.count <= 5 * 5 * (len(nodes) - 1)
    nodes[2].report(GROUP)
    world.run_until(lambda: all(node.subscribes(nodes[2], GROUP) for node in nodes if node is not nodes[2]), 1.0)
