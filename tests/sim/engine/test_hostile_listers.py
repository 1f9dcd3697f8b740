"""A member that lists links of its own making: others get the news that it brings all the same."""

from __future__ import annotations

from functools import partial

from tests.sim.engine.meshes import publish
from tests.sim.engine.test_node_routes_in_virtual_time import apart
from treecast.sim.world import SimNode, World
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertisement import Kind

GROUP = "239.1.1.1"
FLOODED_S = 1.0
"""The time before fingerprints that differ have anybody compare: 1 s, and a turn of probes before."""


def a_row(world: World) -> tuple[SimNode, SimNode, SimNode, SimNode]:
    """Origin, liar, neighbour, last: each has a link with the one before and the one after it alone."""
    nodes = [world.add()]
    for _ in range(3):
        new = world.add()
        for other in nodes[:-1]:
            apart(world, new, other)
        new.add_static_peer(nodes[-1])
        nodes.append(new)
    world.run_until(lambda: all(len(node.peers()) == 3 for node in nodes), 60.0)
    world.run(60.0)
    origin, liar, neighbour, last = nodes
    return origin, liar, neighbour, last


def test_who_lists_everybody_keeps_the_news_that_it_brings_from_nobody() -> None:
    world = World(3)
    origin, liar, neighbour, last = a_row(world)
    publish(liar, Kind.LINKS, b"\x01", LinksContent((last.index,)))
    world.run(20.0)
    assert last.index in neighbour.engine.view.footprint().broadcast.neighbours
    groups = [f"239.1.1.{number}" for number in range(1, 6)]
    for group in groups:
        origin.report(group)
        world.run_until(partial(last.subscribes, origin, group), FLOODED_S)


def test_who_has_a_link_with_the_one_that_brings_news_gets_it_from_that_one_alone() -> None:
    world = World(4)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(3))]
    world.run_until(lambda: all(len(node.peers()) == 3 for node in nodes), 20.0)
    world.run(30.0)
    world.underlay.reset_counts()
    quiet = _controls(world)
    nodes[0].report(GROUP)
    world.run_until(lambda: all(node.subscribes(nodes[0], GROUP) for node in nodes[1:]), FLOODED_S)
    assert _controls(world) - quiet <= 2 * 3 + 2, "a message and its acknowledgement on each of three links"


def _controls(world: World) -> int:
    return world.underlay.datagrams_of["control"]
