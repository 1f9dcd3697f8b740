"""Full meshes of simulated nodes, and the advertisements that anybody in them could repeat."""

from __future__ import annotations

import pytest

from treecast.broadcast.store import Record
from treecast.sim.world import SimNode, World


def full_mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    world.run(1.0)
    return nodes


def record_all(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """All advertisements that anybody has taken since, for whoever wants to repeat them."""
    recorded: list[Record] = []
    intern = world.shared.intern

    def keep(record: Record) -> Record:
        recorded.append(record)
        return intern(record)

    monkeypatch.setattr(world.shared, "intern", keep)
    return recorded
