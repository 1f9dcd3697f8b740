"""Round trips that nodes advertise, the paths that follow from them, and how quiet both are, in virtual time."""

from __future__ import annotations

from functools import partial

from tests.sim.engine.test_node_routes_in_virtual_time import all_see_all, apart, via
from treecast.sim.datagrams import SessionDatagram
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import Kind, parse_signed
from treecast.wire.control import Flood, parse_control

NODES = 10
PUBLISHED_WITHIN_S = 30.0
"""A probe in 2 s, and what it has measured for 10 s."""


def in_cities(seed: int) -> tuple[World, list[SimNode]]:
    world = World(seed, cities=True)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(NODES - 1))]
    world.run_until(lambda: all_see_all(nodes), 30.0)
    return world, nodes


def rtts_ms(node: SimNode) -> dict[int, float]:
    return {report.peer: report.rtt_ms for report in node.forwarder.reports() if report.rtt_ms is not None}


def test_a_node_that_is_lost_is_reached_by_the_neighbour_with_the_shortest_delay() -> None:
    chosen = set[str]()
    for seed in range(4):
        world, nodes = in_cities(seed)
        world.run(PUBLISHED_WITHIN_S)
        one, other = nodes[3], nodes[7]
        lengths = {
            f"n{node.index}": rtts_ms(one)[node.index] + rtts_ms(other)[node.index]
            for node in nodes
            if node not in (one, other)
        }
        apart(world, one, other)
        world.run_until(partial(_routed, one, other), 20.0)
        by = via(one, other)
        assert by == via(other, one), "both ends judge alike"
        assert by is not None
        assert lengths[by] <= 1.2 * min(lengths.values()) + 2.0, "a class is a fifth wide"
        chosen.add(by)
    assert len(chosen) > 1


def _routed(one: SimNode, other: SimNode) -> bool:
    return bool(via(one, other)) and bool(via(other, one))


def test_links_are_advertised_once_more_when_they_are_measured_and_no_more_after_that() -> None:
    world, nodes = in_cities(11)
    published: set[tuple[int, int]] = set()

    def note(datagram: object) -> None:
        if isinstance(datagram, SessionDatagram) and isinstance(datagram.body, bytes):
            control = parse_control(datagram.body)
            for wire in control.advertisements if isinstance(control, Flood) else ():
                _, body = parse_signed(wire)
                if body.kind == Kind.LINKS:
                    published.add((body.origin, body.sequence))

    world.underlay.on_send = note
    world.run(PUBLISHED_WITHIN_S)
    assert {origin for origin, _ in published} == {node.index for node in nodes}
    assert len(published) <= 3 * NODES
    published.clear()
    world.run(600.0)
    assert published == set()
