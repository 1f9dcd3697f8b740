"""A member repeats what another has withdrawn, long after everybody has forgotten it."""

from __future__ import annotations

import pytest

from tests.sim.engine.repeating import full_mesh, record_all
from treecast.base.commands import SendControl
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.sim.world import World
from treecast.wire.advertisement import Kind
from treecast.wire.control import Flood, emit_control

GROUP, KEPT = "239.1.1.1", "239.1.1.2"
LATER_S = 165.0


def test_a_withdrawn_record_that_is_repeated_165_seconds_later_does_not_live_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(1)
    recorded = record_all(world, monkeypatch)
    nodes = full_mesh(world, 4)
    root, victim, hostile = nodes[0], nodes[1], nodes[3]
    victim.report(GROUP)
    world.run_until(lambda: root.subscribes(victim, GROUP), 5.0)
    of_victim = [one.wire for one in recorded if (one.origin, one.kind) == (victim.index, Kind.GROUPS)]
    assert of_victim
    victim.leave(GROUP)
    world.run_until(lambda: not root.subscribes(victim, GROUP), 10.0)
    assert LATER_S > WITHDRAWN_LIFETIME
    world.run(LATER_S)
    newcomer = world.add(peer=hostile)
    world.run(5.0)
    for receiver in (root, nodes[2], newcomer):
        hostile.carry_out(
            [SendControl(receiver.index, emit_control(Flood((wire,)))) for wire in dict.fromkeys(of_victim)]
        )
    world.run(2.0)
    assert not any(node.subscribes(victim, GROUP) for node in (root, nodes[2], newcomer))
    assert all(node.engine.drops.snapshot().get("advertisement_below_floor") for node in (root, nodes[2], newcomer))
    root.send(GROUP, "unwanted")
    world.run(1.0)
    assert victim.forwarder.delivered == []


def test_what_lives_is_published_anew_before_the_floor_rises_and_no_stream_is_disturbed() -> None:
    world = World(2)
    nodes = full_mesh(world, 3)
    root, subscriber = nodes[0], nodes[1]
    subscriber.report(KEPT)
    subscriber.report(GROUP)
    world.run_until(lambda: root.subscribes(subscriber, GROUP), 5.0)
    world.run(WITHDRAWN_LIFETIME)
    subscriber.leave(GROUP)
    sent = []
    for number in range(200):
        sent.append(f"frame {number}")
        root.send(KEPT, sent[-1])
        world.run(1.0)
    assert subscriber.forwarder.delivered == sent
    newcomer = world.add(peer=nodes[2])
    world.run_until(lambda: newcomer.subscribes(subscriber, KEPT), 10.0)
    assert not any("advertisement_below_floor" in node.engine.drops.snapshot() for node in (*nodes, newcomer))
