"""A member that subscribes and never takes a key: copies to it end, it is named, and it loses nothing for good."""

from __future__ import annotations

from tests.sim.engine.test_hostile_members import counted, mesh
from treecast.base.commands import Command
from treecast.base.downstream_commands import AcceptKey
from treecast.base.events import CommandRefusalReason
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"


def takes_no_key(command: Command) -> CommandRefusalReason | None:
    return CommandRefusalReason.TABLE_FULL if isinstance(command, AcceptKey) else None


def stream(world: World, sender: SimNode, first: int, count: int) -> None:
    for number in range(first, first + count):
        sender.send(GROUP, number)
        world.run(0.1)


def received(node: SimNode) -> list[object]:
    return [frame for frame in node.forwarder.delivered if not isinstance(frame, bytes)]


def silent(node: SimNode) -> list[str]:
    return [one.subject for one in node.engine.problems(node.now) if one.kind == "keys_not_taken"]


def test_copies_to_a_subscriber_that_takes_no_key_end_after_30_s_and_begin_when_it_takes_one() -> None:
    world = World(11)
    sender, mute, other = mesh(world, 3)
    mute.forwarder.refuses = takes_no_key
    for node in (mute, other):
        node.report(GROUP)
    world.run(1.0)
    stream(world, sender, 0, 295)
    assert received(mute) == list(range(295)), "till then it loses nothing"
    assert (silent(sender), counted([sender], "key_unacknowledged")) == ([], [0])
    stream(world, sender, 295, 305)
    assert len(received(mute)) <= 301
    assert received(other) == list(range(600))
    assert (silent(sender), counted([sender], "key_unacknowledged")) == (["n2"], [1])
    assert sender.subscribes(mute, GROUP) and sender.is_linked(mute)
    mute.forwarder.refuses = lambda _: None
    world.run(10.5)
    stream(world, sender, 600, 50)
    assert received(mute)[-50:] == list(range(600, 650))
    assert silent(sender) == []


def test_a_path_that_loses_half_of_all_datagrams_makes_nobody_mute() -> None:
    world = World(12)
    nodes = mesh(world, 3)
    for node in nodes:
        node.report(GROUP)
    world.run(1.0)
    world.underlay.loss = 0.5
    stream(world, nodes[0], 0, 600)
    assert counted(nodes, "key_unacknowledged") == [0, 0, 0]
