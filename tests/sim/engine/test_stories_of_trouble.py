"""Troubles that once were ends of the world, each told on its own."""

from __future__ import annotations

from tests.sim.placed_hosts import hosts_elsewhere
from treecast.base.ids import NodeIndex
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"


def mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    return nodes


def cut(world: World, one: SimNode, other: SimNode) -> None:
    world.underlay.cut(one.endpoint, other.endpoint)
    world.underlay.cut(other.endpoint, one.endpoint)


def known_hosts(node: SimNode) -> list[NodeIndex]:
    return sorted(hosts_elsewhere(node).values())


def test_a_dead_node_is_forgotten_though_some_heard_of_it_late() -> None:
    world = World(1)
    nodes = mesh(world, 3)
    nodes[2].stop()
    world.run(30.0)
    late = world.add(peer=nodes[0])
    world.run(10.0)
    assert known_hosts(late) == [1, 2, 3]
    world.run(90.0)
    assert [known_hosts(node) for node in (nodes[0], nodes[1], late)] == [[2, 4], [1, 4], [1, 2]]


def test_a_node_that_was_cut_off_longer_than_it_is_remembered_is_known_again() -> None:
    world = World(2)
    nodes = mesh(world, 3)
    for other in nodes[:2]:
        cut(world, other, nodes[2])
    world.run(120.0)
    assert known_hosts(nodes[0]) == [2]
    world.underlay.heal()
    nodes[2].add_static_peer(nodes[0])
    world.run(10.0)
    assert [known_hosts(node) for node in nodes] == [[2, 3], [1, 3], [1, 2]]


def test_the_hosts_of_a_peer_are_reached_again_when_its_link_comes_back() -> None:
    world = World(3)
    nodes = mesh(world, 3)
    world.run(1.0)
    before = [dict(node.forwarder.hosts) for node in nodes]
    for other in nodes[1:]:
        cut(world, nodes[0], other)
    world.run(20.0)
    assert nodes[0].peers() == []
    world.underlay.heal()
    world.run(10.0)
    assert nodes[0].peers() == [2, 3]
    assert [node.forwarder.hosts for node in nodes] == before


def test_a_node_that_died_before_its_advertisement_came_is_not_remembered() -> None:
    world = World(4)
    nodes = mesh(world, 2)
    dead = world.add(peer=nodes[0])
    world.run_until(lambda: 3 in nodes[0].peers(), 5.0, step=0.001)
    dead.stop()
    world.run(100.0)
    assert nodes[0].engine.view.name(dead.index) == "#3"


def test_who_comes_and_goes_often_keeps_one_tree_per_root_and_flow() -> None:
    world = World(5)
    nodes = mesh(world, 2)
    for _ in range(10):
        nodes[1].report(GROUP)
        world.run(0.5)
        nodes[0].send(GROUP, "frame")
        world.run(0.5)
        nodes[1].leave(GROUP)
        world.run(4.0)
    nodes[1].report(GROUP)
    world.run(20.0)
    assert len(nodes[1].forwarder.streams) <= 1
