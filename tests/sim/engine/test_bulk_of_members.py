"""Members that list as many groups as they may, several at once: what one turn of a node takes, and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address

import pytest

from tests.sim.engine.meshes import publish
from tests.sim.engine.test_hostile_members import mesh
from treecast.base.commands import Command
from treecast.base.events import Event
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant
from treecast.engine.changes import MemberChange
from treecast.sim.world import World
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import Kind

CHUNK = 106
CHUNKS = 36
LIARS = 3


def chunk(member: int, number: int) -> GroupsContent:
    first = IPv4Address(f"239.{100 + member}.0.0") + number * CHUNK
    return GroupsContent(tuple(ListedGroup.of((0, first + one), ANY_SOURCE) for one in range(CHUNK)))


def test_groups_that_members_list_in_bulk_are_learned_a_chunk_at_a_time_and_others_join_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(5)
    nodes = mesh(world, LIARS + 3)
    honest, other = nodes[LIARS], nodes[LIARS + 1]
    for number in range(CHUNKS):
        for member in range(LIARS):
            publish(nodes[member], Kind.GROUPS, chunk_key(number), chunk(member, number))
    most = 0
    turn = other.engine.turn

    def counted(now: Instant, events: Sequence[Event]) -> list[Command]:
        nonlocal most
        since = other.engine.view.position
        commands = turn(now, events)
        most = max(most, len(other.engine.view.changes(since, [MemberChange]) or ()))
        return commands

    monkeypatch.setattr(other.engine, "turn", counted)
    for number in range(20):
        group = f"239.1.1.{number}"
        honest.report(group)
        world.run_until(partial(other.subscribes, honest, group), 0.05)
    assert len(list(other.engine.view.groups())) < LIARS * CHUNK * CHUNKS, "they joined while others' groups waited"
    assert CHUNK <= most <= 2 * CHUNK + 20
    world.run(30.0)
    for member in range(LIARS):
        listed = [one for one in other.engine.view.groups() if str(one[1]).startswith(f"239.{100 + member}.")]
        assert len(listed) == CHUNK * CHUNKS
