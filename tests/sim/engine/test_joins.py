"""A node that joins takes what all know from one neighbour, and costs the others next to nothing."""

from __future__ import annotations

from treecast.sim.world import World

NODES = 24


def test_a_join_costs_a_few_messages_for_each_node() -> None:
    world = World(3, turn_interval=0.02)
    first = world.add()
    nodes = [first, *(world.add(reach=first) for _ in range(NODES - 1))]
    world.run(41.0)  # between two rounds of NODE advertisements
    world.network.reset_counts()
    joined = world.add(reach=first)
    world.run_until(lambda: len(joined.peers()) == NODES and all(node.knows(joined) for node in nodes), 1.0, 0.05)
    assert all(joined.knows(node) for node in nodes)
    assert world.network.datagrams_of["control"] < 8 * NODES  # for each: its own, ours, an acknowledgement, three asked
    assert world.network.bytes_of["control"] < 2_500 * NODES
