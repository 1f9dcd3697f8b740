"""A node that asked for a prefix of groups gets all of them, joined by others or not, each frame once."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.sim.engine.test_engine_in_virtual_time import received
from treecast.engine.environment import GroupOptions
from treecast.sim.world import SimNode, World

GROUP, OTHER, OUTSIDE = "239.1.1.1", "239.2.2.2", "238.1.1.1"


def with_router(world: World, size: int) -> list[SimNode]:
    """The second node is the router's."""
    first = world.add()
    nodes = [first, world.add(peer=first, groups=GroupOptions((IPv4Network("239.0.0.0/8"),)))]
    nodes += [world.add(peer=first) for _ in range(size - 2)]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    world.run(1.0)
    return nodes


def test_groups_that_nobody_joined_come_from_the_first_frame_and_on_a_tree() -> None:
    world = World(1)
    root, router, other = with_router(world, 3)
    for number in range(100):
        root.send(GROUP if number % 2 else OTHER, number)
        root.send(OUTSIDE, -1)
        world.run(0.02)
    assert received(router) == list(range(100))
    assert received(other) == []
    assert root.forwarder.drops["no_subscriber"] == 100, "what is outside"
    (tree,) = [tree for stream, tree in root.forwarder.trees.items() if stream != 0]
    assert (tree.next_hops, tree.replicate) == ((router.index,), ()), "one sealed datagram, as on any tree"


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_or_doubled_while_others_join_and_leave_what_the_prefix_holds(seed: int) -> None:
    world = World(seed)
    root, router, *others = with_router(world, 5)
    for number in range(400):
        root.send(GROUP, number)
        if number % 9 == seed:
            other = world.rng.choice(others)
            if world.rng.random() < 0.5:
                other.report(GROUP)
            else:
                other.leave(GROUP)
        world.run(0.01)
    world.run(1.0)
    assert received(router) == list(range(400))
    assert router.forwarder.drops["tree_key_unknown"] == 0


def test_a_router_that_goes_is_off_the_trees_and_one_that_comes_back_is_on_them() -> None:
    world = World(7)
    root, router, other = with_router(world, 3)
    other.report(GROUP)
    world.run(1.0)
    root.send(GROUP, 0)
    root.send(OTHER, 1)
    world.run(1.0)
    again = world.restart(router, peer=root)
    world.run_until(lambda: len(again.peers()) == 2, 100.0)
    world.run(2.0)
    root.send(GROUP, 2)
    root.send(OTHER, 3)
    world.run(1.0)
    assert received(again) == [2, 3]
    again.stop()
    world.run(90.0)
    assert {stream for stream, tree in root.forwarder.trees.items() if again.index in tree.next_hops} == set()
    root.send(OTHER, 4)
    assert root.forwarder.drops["no_subscriber"] == 1
