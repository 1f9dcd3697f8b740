"""A large network that starts all at once: it is linked within two seconds, and then it is quiet."""

from __future__ import annotations

import pytest

from treecast.sim.world import SimNode, World

NODES = 300
"""Each is linked to each, so the cost grows with the square: half a minute of a core."""
CONTROL_PER_PAIR = 3
"""Datagrams from one to another: what it has itself, and what it acknowledges; not what all others have."""
FEWER_NODES = 64
TURN_INTERVAL_S = 0.02


def started_at_once(count: int) -> tuple[World, list[SimNode]]:
    world = World(1, turn_interval=TURN_INTERVAL_S)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(count - 1))]
    world.run_until(lambda: all(len(node.peers()) == count - 1 for node in nodes), 5, TURN_INTERVAL_S)
    return world, nodes


@pytest.mark.timeout(600)  # on a core that others use, too
def test_300_nodes_that_start_at_once_all_know_each_other_and_what_one_joins() -> None:
    world, nodes = started_at_once(NODES)
    assert all(node.knows(other) for node in nodes for other in nodes)
    assert world.underlay.datagrams_of["control"] < CONTROL_PER_PAIR * NODES**2
    nodes[7].report("239.1.1.1")
    world.run_until(
        lambda: all(node.subscribes(nodes[7], "239.1.1.1") for node in nodes if node is not nodes[7]),
        5,
        TURN_INTERVAL_S,
    )


def test_nodes_that_started_at_once_fall_quiet() -> None:
    world, _ = started_at_once(FEWER_NODES)
    world.run(5)  # the last comparisons of a new link
    world.underlay.reset_counts()
    world.run(1)
    assert world.underlay.datagrams_of["control"] < FEWER_NODES**2 / 10
