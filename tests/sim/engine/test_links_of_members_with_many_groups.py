"""A member that wants as many groups as it may, and makes its link anew over and over: what a turn of a root plans."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address

import pytest

from tests.sim.engine.meshes import publish
from tests.sim.engine.test_hostile_members import mesh
from treecast.base.commands import Command, CreateTree, RemoveTree, SetTreeMembers
from treecast.base.events import Event
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant
from treecast.sim.world import SimNode, World
from treecast.topology.plan_work import PLANS_BURST
from treecast.wire.advertised_groups import MAX_GROUPS_PER_CHUNK, GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import Kind

GROUPS = 16_000
ROUNDS = 2
STREAM = "239.1.1.1"
FIRST_CHUNK = 1000
"""Earlier ones are of what its hosts join."""
FIRST = IPv4Address("239.100.0.0")


def list_many(node: SimNode) -> None:
    groups = [ListedGroup.of((0, FIRST + number), ANY_SOURCE) for number in range(GROUPS)]
    for number, first in enumerate(range(0, GROUPS, MAX_GROUPS_PER_CHUNK)):
        content = GroupsContent(tuple(groups[first : first + MAX_GROUPS_PER_CHUNK]))
        publish(node, Kind.GROUPS, chunk_key(FIRST_CHUNK + number), content)


def is_planned(root: SimNode) -> bool:
    """Whether the tree of each of the many groups has its member."""
    return sum(bool(tree.next_hops or tree.replicate) for tree in root.forwarder.trees.values()) > GROUPS


def most_of_a_turn(monkeypatch: pytest.MonkeyPatch, node: SimNode) -> list[int]:
    """The most trees that one turn of the node makes, ends or changes from now on."""
    most, turn = [0], node.engine.turn

    def counted(now: Instant, events: Sequence[Event]) -> list[Command]:
        commands = turn(now, events)
        most[0] = max(most[0], sum(isinstance(one, CreateTree | RemoveTree | SetTreeMembers) for one in commands))
        return commands

    monkeypatch.setattr(node.engine, "turn", counted)
    return most


@pytest.mark.timeout(300)
def test_a_member_with_many_groups_that_makes_its_link_again_and_again_disturbs_no_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(3)
    root, receiver, member = mesh(world, 3)
    receiver.report(STREAM)
    member.report(STREAM)
    list_many(member)
    world.run_until(lambda: is_planned(root), 60.0, step=0.5)
    most, sent = most_of_a_turn(monkeypatch, root), 0

    def send() -> None:
        nonlocal sent
        root.send(STREAM, f"frame {sent}")
        sent += 1
        world.run(0.02)

    def send_until(*, linked: bool) -> None:
        while root.is_linked(member) is not linked or member.is_linked(root) is not linked:
            send()
            assert sent < 50 * 60 * ROUNDS, f"linked: {linked}"
        for _ in range(50):
            send()

    for round_number in range(ROUNDS):
        member.carry_out(member.engine.goodbye())
        member.carry_out(member.engine.turn(member.now, []))
        for _ in range(5):
            send()
        assert not root.is_linked(member)
        if not round_number:
            assert len(root.forwarder.trees) > GROUPS // 2, "its trees end by turns"
        receiver.report(group := f"239.2.0.{round_number}")
        world.run_until(partial(root.subscribes, receiver, group), 0.1)
        send_until(linked=True)
    world.run(0.5)
    assert receiver.forwarder.delivered == [f"frame {number}" for number in range(sent)]
    assert 0 < most[0] <= 2 * PLANS_BURST + 20
    world.run_until(lambda: is_planned(root), 30.0, step=0.5)
    root.send(str(FIRST + GROUPS - 1), "the last one")
    world.run(0.5)
    assert member.forwarder.delivered[-1] == "the last one", "by the data plane, too, which had forgotten it"
