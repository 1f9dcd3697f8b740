"""Somebody on the way who drops, by their length, only what makes a link's next session, or its first hybrid one."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.engine.test_hybrid_sessions import WITHIN_S, all_hybrid, mesh
from tests.sim.engine.test_problems_of_peers import kinds
from treecast.links.plain_links import NAMED_AFTER
from treecast.sim.datagrams import SessionDatagram, kind_and_bytes
from treecast.sim.world import SimNode, World
from treecast.wire.control import EncapsulationKey, parse_control

EXCHANGES_PAUSE_S = 60.0


def is_handshake(datagram: object) -> bool:
    return isinstance(datagram, SessionDatagram) and kind_and_bytes(datagram)[0] == "handshake"


def is_exchange(datagram: object) -> bool:
    match datagram:
        case SessionDatagram(body=bytes() as control):
            return isinstance(parse_control(control), EncapsulationKey)
    return False


def drop(world: World, nodes: list[SimNode], which: Callable[[object], bool]) -> None:
    for node in nodes:
        world.underlay.swallow(node.endpoint, which)


def test_a_link_whose_handshakes_inside_the_session_are_dropped_lives_on_by_those_outside() -> None:
    world = World(5)
    nodes = mesh(world, 2)
    world.run_until(lambda: all_hybrid(nodes), WITHIN_S)
    drop(world, nodes, is_handshake)
    for _ in range(800):
        world.run(0.5)
        assert nodes[0].is_linked(nodes[1]) and nodes[1].is_linked(nodes[0])


def test_a_link_whose_exchanges_are_dropped_is_named_at_both_ends_until_it_is_hybrid() -> None:
    world = World(6)
    nodes = mesh(world, 2)
    drop(world, nodes, is_exchange)
    world.run(NAMED_AFTER - 2.0)
    assert [kinds(node) for node in nodes] == [[], []]
    world.run(5.0)
    assert [kinds(node) for node in nodes] == [[("link_not_hybrid", "n2")], [("link_not_hybrid", "n1")]]
    world.underlay.heal()
    world.run_until(lambda: all_hybrid(nodes), EXCHANGES_PAUSE_S + WITHIN_S)
    world.run(2.0)
    assert [kinds(node) for node in nodes] == [[], []]


def test_a_link_that_has_ended_is_not_named() -> None:
    world = World(6)
    nodes = mesh(world, 2)
    drop(world, nodes, is_exchange)
    world.run(NAMED_AFTER + 3.0)
    nodes[1].stop()
    world.run_until(lambda: not nodes[0].is_linked(nodes[1]), 20.0)
    assert "link_not_hybrid" not in dict(kinds(nodes[0]))
