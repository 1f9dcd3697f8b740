"""A node whose network is away for minutes, and comes back without a word, is linked again within seconds."""

from __future__ import annotations

import pytest

from treecast.sim.world import World

AWAY_S = 300.0


@pytest.mark.parametrize("away", [0, 2], ids=["the peer of all", "another"])
def test_a_node_that_was_cut_off_for_five_minutes_is_linked_with_all_within_seconds(away: int) -> None:
    world = World(1)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(3))]
    world.run_until(lambda: all(len(node.peers()) == 3 for node in nodes), 20.0)
    lost = nodes[away]
    for node in nodes:
        if node is not lost:
            world.underlay.cut(lost.endpoint, node.endpoint)
            world.underlay.cut(node.endpoint, lost.endpoint)
    world.run(AWAY_S)
    assert lost.peers() == []
    world.underlay.heal()
    world.run_until(lambda: all(len(node.peers()) == 3 for node in nodes), 9.0)
