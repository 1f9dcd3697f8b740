"""A large network that starts all at once: it is linked within a second, and then it is quiet."""

from __future__ import annotations

import pytest

from treecast.sim.world import World

NODES = 120
"""What a core settles in 13 s: each node is linked to each, so the cost grows with the square."""
TURN_INTERVAL_S = 0.02


@pytest.mark.timeout(300)  # on a core that others use, too
def test_nodes_that_start_at_once_all_know_each_other_and_fall_quiet() -> None:
    world = World(1, turn_interval=TURN_INTERVAL_S)
    first = world.add()
    nodes = [first, *(world.add(reach=first) for _ in range(NODES - 1))]
    world.run_until(lambda: all(len(node.peers()) == NODES - 1 for node in nodes), 5, 0.1)
    assert all(node.knows(other) for node in nodes for other in nodes)
    nodes[7].report("239.1.1.1")
    world.run_until(
        lambda: all(node.subscribes(nodes[7], "239.1.1.1") for node in nodes if node is not nodes[7]), 5, 0.1
    )
    world.run(5)  # the last of the digests that follow a new link
    world.network.reset_counts()
    world.run(1)
    assert world.network.datagrams_of["control"] < NODES * NODES / 10  # digests that came late
