"""Nodes that are off: what a member has recorded of their runs brings none back, and names nobody."""

from __future__ import annotations

import pytest

from tests.sim.engine.repeating import full_mesh, record_all
from treecast.base.commands import SendControl
from treecast.broadcast.new_epochs import FEWEST
from treecast.broadcast.store import Record
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import Kind
from treecast.wire.control import Flood, emit_control

GROUP = "239.5.5.5"


def said_by(node: SimNode, recorded: list[Record]) -> dict[int, tuple[list[bytes], list[bytes]]]:
    """Its NODE advertisements and its others, by run."""
    runs: dict[int, tuple[list[bytes], list[bytes]]] = {}
    for record in recorded:
        if record.origin == node.index:
            nodes, others = runs.setdefault(record.epoch, ([], []))
            (nodes if record.kind == Kind.NODE else others).append(record.wire)
    return {epoch: (list(dict.fromkeys(nodes)), list(dict.fromkeys(others))) for epoch, (nodes, others) in runs.items()}


def repeat(member: SimNode, at: SimNode, *wires: bytes) -> None:
    for wire in wires:
        member.carry_out([SendControl(at.index, emit_control(Flood((wire,))))])


def knows(at: SimNode, node: SimNode) -> bool:
    return at.engine.view.certificate(node.index) is not None


@pytest.mark.parametrize("minutes_later", [0, 30])
def test_what_a_node_said_in_any_run_does_not_bring_it_back(
    minutes_later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(1)
    recorded = record_all(world, monkeypatch)
    observer, member, victim = full_mesh(world, 3)
    victim.report(GROUP)
    world.run(150.0)
    victim = world.restart(victim, peer=observer)
    world.run(30.0)
    victim.stop()
    world.run_until(lambda: not knows(observer, victim) and not knows(member, victim), 90.0, step=1.0)
    world.run(60.0 * minutes_later)
    runs = said_by(victim, recorded)
    (first, others), (last, _) = (runs[epoch] for epoch in sorted(runs))
    assert len(first) >= 5
    for wire in (*first, *last):
        repeat(member, observer, wire, *others)
        world.run(5.0)
        assert not knows(observer, victim)
        assert not observer.subscribes(victim, GROUP)


@pytest.mark.parametrize("forgetful", [False, True], ids=["all remember it", "its neighbour has started again"])
def test_a_node_whose_clock_was_set_back_while_it_was_off_comes_back_at_once(forgetful: bool) -> None:
    world = World(2)
    hub, other, node = full_mesh(world, 3)
    world.run(5.0)
    node.stop()
    world.run_until(lambda: not knows(hub, node) and not knows(other, node), 90.0, step=1.0)
    if forgetful:
        hub = world.restart(hub, peer=other)
        world.run_until(lambda: hub.is_linked(other), 20.0)
    node = world.restart(node, peer=hub, clock_error=-3_600.0)
    world.run_until(lambda: knows(hub, node) and knows(other, node), 20.0)
    node.report(GROUP)
    world.run_until(lambda: hub.subscribes(node, GROUP) and other.subscribes(node, GROUP), 20.0)


def stopped_after_many_runs(world: World, node: SimNode, peer: SimNode) -> SimNode:
    """The last run of a node that has been started over and over, and is off now."""
    for _ in range(10):
        world.run(100.0)
        node = world.restart(node, peer=peer)
    world.run(20.0)
    node.stop()
    return node


def test_who_repeats_what_many_runs_of_a_node_have_said_has_nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1)
    recorded = record_all(world, monkeypatch)
    observer, member, victim = full_mesh(world, 3)
    victim = stopped_after_many_runs(world, victim, observer)
    world.run(90.0)
    runs = said_by(victim, recorded)
    assert len(runs) > FEWEST
    for _, (nodes, _) in sorted(runs.items()):
        repeat(member, observer, *nodes)
        world.run(1.0)
        assert not [one.text for one in observer.engine.problems(observer.now) if one.kind == "epochs_over_and_over"]
    world.run(3.0)
    assert not knows(observer, victim)


def test_where_nobody_remembers_a_node_its_earlier_runs_accuse_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1)
    recorded = record_all(world, monkeypatch)
    observer, member, victim = full_mesh(world, 3)
    victim = stopped_after_many_runs(world, victim, observer)
    world.run(400.0)
    observer = world.restart(observer)
    member = world.restart(member, peer=observer)
    world.run_until(lambda: observer.is_linked(member) and member.is_linked(observer), 20.0)
    for _, (nodes, _) in sorted(said_by(victim, recorded).items()):
        repeat(member, observer, nodes[0])
        world.run(1.0)
    (text,) = (one.text for one in observer.engine.problems(observer.now) if one.kind == "epochs_over_and_over")
    assert "some member repeats what it said in earlier runs" in text
    assert "stolen" not in text
    assert "revoke" not in text
