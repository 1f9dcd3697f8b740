"""Members that list as many groups as they may, several at once: what one turn of a node takes, and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address
from itertools import count, islice

import pytest

from tests.sim.engine.meshes import publish
from tests.sim.engine.repeating import record_all
from tests.sim.engine.test_hostile_members import mesh
from treecast.base.commands import Command
from treecast.base.events import ControlDatagram, Event
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant
from treecast.daemon.refused_nodes import FEWEST_SECONDS, RefusedNodes
from treecast.engine.changes import MemberChange
from treecast.sim.world import World
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import Body, Kind, Signed, emit
from treecast.wire.control import Flood, emit_control

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


def test_who_forges_bulk_as_of_another_is_named_and_the_other_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1)
    recorded = record_all(world, monkeypatch)
    observer, forger, honest = mesh(world, 3)
    (epoch,) = {record.epoch for record in recorded if record.origin == honest.index}
    refused = RefusedNodes(observer.engine.view, observer.engine.drops)
    numbers = count()
    for _ in range(4 * FEWEST_SECONDS):
        for _ in range(40):
            keys = [number.to_bytes(2, "big") for number in islice(numbers, 12)]
            bodies = [emit(Body(honest.index, epoch, 2**40, Kind.GROUPS, key, b"")) for key in keys]
            forged = Flood(tuple(emit(Signed(body, bytes(64))) for body in bodies))
            observer.raise_event(ControlDatagram(forger.index, 1, emit_control(forged)))
        world.run(0.5)
        problems = list(refused.problems(world.underlay.now))
    assert observer.engine.view.drops()["advertisement_signature_rate"] > 0
    assert [(one.kind, one.subject) for one in problems] == [("advertisements_forged", "n2")]
    text = problems[0].text
    assert "n3" not in text
