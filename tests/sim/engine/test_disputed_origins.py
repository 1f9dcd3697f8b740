"""A member that gives nodes different parts of what it may not have: whom the others name."""

from __future__ import annotations

import pytest

from tests.sim.engine.repeating import record_all
from tests.sim.engine.test_floods_of_members import host_of
from treecast.base.commands import SendControl
from treecast.broadcast.reconciliation import NAMED_AFTER
from treecast.identity.rights import Rights, Role
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, HostContent, Kind, Signed, emit
from treecast.wire.control import Flood, emit_control

HOSTS = 8


def hosts(liar: SimNode, epoch: int, first: int) -> list[bytes]:
    """Its advertisements of all hosts that it may have."""
    wires: list[bytes] = []
    for number in range(first, first + HOSTS):
        body = emit(Body(liar.index, epoch, 2**40 + number, Kind.HOST, host_of(number), emit(HostContent((), 0))))
        wires.append(emit(Signed(body, liar.identity.keys.signing.sign(SIGNING_CONTEXT, body))))
    return wires


def test_who_tells_one_node_something_else_is_named_and_that_node_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(3)
    recorded = record_all(world, monkeypatch)
    first = world.add()
    others = [first, *(world.add(peer=first) for _ in range(4))]
    liar = world.add(peer=first, rights=Rights(roles=Role.BRIDGE | Role.RELAY, hosts=HOSTS))
    world.run_until(lambda: all(len(node.peers()) == len(others) for node in (*others, liar)), 20.0)
    world.run(5.0)
    (epoch,) = {record.epoch for record in recorded if record.origin == liar.index}
    told_else = others[-1]
    for node in others:
        for wire in hosts(liar, epoch, 100 if node is told_else else 0):
            liar.carry_out([SendControl(node.index, emit_control(Flood((wire,))))])
    world.run(NAMED_AFTER + 30.0)
    for node in others[:-1]:
        named = {(one.kind, one.subject) for one in node.engine.problems(node.now)}
        assert ("database_differs", "n6") in named
        assert ("database_differs", "n5") not in named
