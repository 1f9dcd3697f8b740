"""Hybrid sessions of whole networks, in virtual time."""

from __future__ import annotations

import pytest

from treecast.base.commands import SendControl
from treecast.base.events import ControlDatagram, Event
from treecast.sim.datagrams import SessionDatagram
from treecast.sim.world import SimNode, World
from treecast.wire.control import Ciphertext, EncapsulationKey, emit_control, parse_control

WITHIN_S = 8.0
"""An exchange begins 3 s after a link came up, at a review; the handshake after it at another one."""


def all_hybrid(nodes: list[SimNode]) -> bool:
    known = [one for node in nodes for one in node.engine.view.known(node.now) if one.session is not None]
    return len(known) == len(nodes) * (len(nodes) - 1) and all(one.hybrid for one in known)


def mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    return nodes


def crossing(node: SimNode) -> list[int]:
    """How often each kind of message of exchanges arrives at a node, from now on: keys and ciphertexts."""
    counts = [0, 0]
    receive = node.forwarder.raise_event

    def counted(event: Event) -> None:
        if isinstance(event, ControlDatagram):
            message = parse_control(event.data)
            counts[0] += isinstance(message, EncapsulationKey)
            counts[1] += isinstance(message, Ciphertext)
        receive(event)

    node.forwarder.raise_event = counted
    return counts


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_all_links_of_a_mesh_are_hybrid_within_seconds_and_stay_so(loss: float) -> None:
    world = World(1, loss=loss)
    nodes = mesh(world, 6)
    world.run_until(lambda: all_hybrid(nodes), WITHIN_S if loss == 0.0 else 40.0)
    for _ in range(40):
        world.run(10.0)  # with three more sessions of each link
        assert loss or all_hybrid(nodes)
    world.run_until(lambda: all_hybrid(nodes), 20.0)
    drops = {reason for node in nodes for reason in node.engine.view.drops()}
    assert not {reason for reason in drops if reason.startswith("kem_")} - ({"kem_unknown"} if loss else set())
    assert not any(node.forwarder.drops["session_auth"] for node in nodes)


def test_a_link_exchanges_once_however_many_sessions_it_has() -> None:
    world = World(2)
    nodes = mesh(world, 2)
    keys_here, keys_there = crossing(nodes[0]), crossing(nodes[1])
    world.run(600.0)
    assert all_hybrid(nodes)
    assert (keys_here, keys_there) == ([0, 2], [2, 0])


def test_a_node_that_was_started_again_makes_another_secret_with_each_peer() -> None:
    world = World(3)
    nodes = mesh(world, 3)
    world.run_until(lambda: all_hybrid(nodes), WITHIN_S)
    nodes[1] = world.restart(nodes[1], peer=nodes[0])
    world.run_until(lambda: all(len(node.peers()) == 2 for node in nodes), 20.0)
    world.run_until(lambda: all_hybrid(nodes), WITHIN_S)


def test_datagrams_flow_while_sessions_become_hybrid() -> None:
    world = World(4)
    nodes = mesh(world, 2)
    nodes[1].report("239.1.1.1")
    world.run_until(lambda: nodes[0].subscribes(nodes[1], "239.1.1.1"), 5.0)
    nodes[1].forwarder.delivered.clear()
    for number in range(1000):
        nodes[0].send("239.1.1.1", number)
        world.run(0.01)
    world.run(1.0)
    assert all_hybrid(nodes)
    assert nodes[1].forwarder.delivered == list(range(1000))


def test_a_member_that_begins_exchanges_without_end_costs_its_peer_one_a_second() -> None:
    world = World(5)
    nodes = mesh(world, 2)
    world.run_until(lambda: all_hybrid(nodes), WITHIN_S)
    answers = crossing(nodes[0])
    for number in range(1000):
        key = b"model" + number.to_bytes(4, "big")
        halves = [key.ljust(592, b"\0"), bytes(592)]
        for half, data in enumerate(halves):
            nodes[0].carry_out([SendControl(nodes[1].index, emit_control(EncapsulationKey(number, half, data)))])
        world.run(0.01)
    assert 2 <= answers[1] <= 2 * 12
    assert nodes[1].engine.view.drops()["kem_rate"] > 1900
    assert nodes[0].is_linked(nodes[1])


def test_who_has_another_secret_cannot_open_the_session_in_the_model() -> None:
    world = World(6)
    nodes = mesh(world, 2)
    world.run_until(lambda: all_hybrid(nodes), WITHIN_S)
    session = nodes[0].forwarder.sessions.current(nodes[1].index)
    assert session is not None and session.link_secret
    forged = SessionDatagram(session.remote_index, session.sealed + 1, b"\x91\x05")
    world.underlay.send(nodes[0].endpoint, nodes[1].endpoint, forged)
    world.run(1.0)
    assert nodes[1].forwarder.drops["session_auth"] == 1
    assert nodes[0].is_linked(nodes[1])
