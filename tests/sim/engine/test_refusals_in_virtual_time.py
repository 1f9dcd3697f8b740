"""A command that the data plane refuses comes back to its room, which undoes it and tries again."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from tests.sim.placed_hosts import hosts_elsewhere
from treecast.base.commands import (
    Command,
    CreateTree,
    FloodFrame,
    Inject,
    InstallSession,
    SendControl,
    SetHost,
    SetKeepLocal,
    SetPortForwarding,
    SetPortGroup,
    SetPortSelective,
    SetRoute,
    SetStormLimits,
    SetUnknownUnicastFlood,
)
from treecast.base.counters import SESSION_BEGUN
from treecast.base.downstream_commands import AcceptKey
from treecast.base.events import CommandRefusalReason, CommandRefused
from treecast.base.ids import KeyId, StreamId, TreeEpoch
from treecast.base.keep_local import KEEP_ALL
from treecast.base.membership import ANY_SOURCE
from treecast.base.retries import FIRST_BATCH, LAST_PAUSE, Retries
from treecast.base.time import Instant
from treecast.dataplane.port_groups import PortGroups
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"


def full(*kinds: type) -> Callable[[Command], CommandRefusalReason | None]:
    """A data plane whose tables for these have no room."""
    return lambda command: CommandRefusalReason.TABLE_FULL if isinstance(command, kinds) else None


def room(_: Command) -> None:
    """A data plane that has room."""


def linked(world: World) -> tuple[SimNode, SimNode]:
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: all(len(node.peers()) == 1 for node in (first, second)), 20.0)
    world.run(2.0)
    return first, second


def problems(node: SimNode) -> list[tuple[str, str]]:
    found = node.engine.problems(node.now)
    return [(problem.kind, problem.subject) for problem in found if problem.kind == "table_full"]


def test_a_link_whose_session_has_no_room_is_not_up_and_is_made_when_there_is() -> None:
    world = World(1)
    first, second = world.add(), world.add()
    first.forwarder.refuses = full(InstallSession)
    second.add_static_peer(first)
    for _ in range(40):
        world.run(0.25)
        assert first.peers() == []
        assert len(first.forwarder.sessions) == 0
    assert first.engine.drops.snapshot()["command_refused"] > 0
    first.forwarder.refuses = room
    world.run_until(lambda: first.peers() == [second.index] and second.peers() == [first.index], 15.0)


def test_a_host_that_had_no_room_is_placed_when_there_is_and_is_a_problem_until_then() -> None:
    world = World(2)
    first = world.add()
    first.forwarder.refuses = full(SetHost)
    second = world.add(peer=first)
    world.run_until(lambda: bool(hosts_elsewhere(first)), 20.0)
    world.run(1.0)
    assert first.forwarder.hosts == {}
    assert problems(first) == [("table_full", "hosts")]
    text = next(one.text for one in first.engine.problems(first.now) if one.kind == "table_full")
    assert "1 hosts of other nodes (n2 has most: 1)" in text
    first.forwarder.refuses = room
    world.run_until(lambda: list(first.forwarder.hosts.values()) == [second.index], LAST_PAUSE + 2.0)
    assert problems(first) == []


@pytest.mark.parametrize("kind", [CreateTree, SetRoute])
def test_a_tree_that_had_no_room_is_made_when_there_is_and_the_other_commands_go_on(kind: type) -> None:
    world = World(3)
    first, second = linked(world)
    first.forwarder.refuses = full(kind)
    second.report(GROUP)
    world.run(3.0)
    assert first.forwarder.routes == {}
    assert len(first.forwarder.trees) == 1, "the tree of broadcasts; a tree without a route is taken back"
    first.send(GROUP, "lost")
    assert first.forwarder.drops["no_subscriber"] == 1
    assert problems(first) == [("table_full", "trees")]
    text = next(one.text for one in first.engine.problems(first.now) if one.kind == "table_full")
    assert "1 groups and sources that other nodes want (n2 wants most: 1)" in text
    first.forwarder.refuses = room
    world.run_until(lambda: bool(first.forwarder.routes), LAST_PAUSE + 2.0)
    first.send(GROUP, "kept")
    world.run(1.0)
    assert second.forwarder.delivered == ["kept"]
    assert problems(first) == []


def test_a_command_that_cannot_be_is_a_bug_but_not_where_a_port_was_closed_meanwhile() -> None:
    world = World(6)
    node = world.add()
    of_ports: list[Command] = [
        SetPortForwarding(3, on=True),
        SetStormLimits(3, 1, 1, 1),
        SetKeepLocal(3, KEEP_ALL),
        SetUnknownUnicastFlood(3, on=True),
        SetPortSelective(3, on=True),
        SetPortGroup(3, 0, IPv4Address(GROUP), ANY_SOURCE),
        Inject(3, bytes(60)),
        FloodFrame(3, bytes(60)),
    ]
    for command in (*of_ports, CreateTree(StreamId(9), TreeEpoch(1), KeyId(1))):
        refused = CommandRefused(command, CommandRefusalReason.INVALID, ValueError("no such thing"))
        node.engine.turn(world.underlay.now, [refused])
    drops = node.engine.drops.snapshot()
    assert (drops["command_refused"], drops["internal_error"]) == (len(of_ports) + 1, 1)
    assert [fault.where for fault in node.engine.faults.take()] == ["CreateTree"]


def test_a_group_that_nobody_wants_any_more_is_not_tried_again() -> None:
    world = World(4)
    first, second = linked(world)
    first.forwarder.refuses = full(CreateTree)
    second.report(GROUP)
    world.run(3.0)
    second.leave(GROUP)
    world.run(10.0)
    assert problems(first) == []
    first.forwarder.refuses = room
    world.run(LAST_PAUSE + 2.0)
    assert first.forwarder.routes == {}


def test_a_member_without_room_for_a_key_gets_copies_until_it_has() -> None:
    world = World(5)
    first, second = linked(world)
    second.forwarder.refuses = full(AcceptKey)
    second.report(GROUP)
    world.run(3.0)
    for number in range(30):
        first.send(GROUP, number)
        world.run(0.1)
    assert second.forwarder.delivered == list(range(30))
    assert second.engine.view.footprint().trees == ()
    (tree,) = [tree for tree in first.forwarder.trees.values() if tree.taken]
    assert (tree.next_hops, tree.replicate) == ((), (second.index,))
    second.forwarder.refuses = room
    world.run_until(lambda: tree.next_hops == (second.index,), 3.0)
    first.send(GROUP, "by tree")
    world.run(1.0)
    assert second.forwarder.delivered[-1] == "by tree"


def test_a_group_of_a_port_that_had_no_room_is_told_again() -> None:
    groups = PortGroups()
    groups.open(1, {})
    group = (0, IPv4Address(GROUP))
    groups.want(1, group, ANY_SOURCE)
    told = SetPortGroup(1, *group, ANY_SOURCE)
    assert told in groups.commands
    groups.commands.clear()
    now = Instant(0.0)
    groups.refused(now, told)
    groups.advance(now)
    assert groups.commands == []
    due = groups.retries.next_deadline()
    assert due is not None
    groups.advance(due)
    assert groups.commands == [told]
    groups.refused(due, told)
    groups.close(1)
    groups.advance(Instant(due + 60.0))
    assert told not in groups.commands[1:], "the port is gone"


def test_what_was_refused_is_tried_rarely_while_it_is_and_fast_when_it_is_not() -> None:
    retries: Retries[int] = Retries()
    now = Instant(0.0)
    pauses: list[float] = []
    for key in range(100):
        retries.add(now, key)
    for _ in range(7):
        due = retries.next_deadline()
        assert due is not None
        pauses.append(due - now)
        now = due
        taken = retries.take(now)
        assert len(taken) == FIRST_BATCH
        for key in taken:
            retries.add(now, key)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0]
    sizes: list[int] = []
    while (due := retries.next_deadline()) is not None:
        sizes.append(len(retries.take(due)))
    assert sizes == [16, 32, 52]
    assert len(retries) == 0


def test_who_sends_a_control_message_that_cannot_be_read_is_noted_and_who_sends_a_later_one_is_not() -> None:
    world = World(7)
    first, second = linked(world)
    cannot_be_read, of_a_later_version, without_a_stream = b"\xc1", b"\x91\x7f", b"\x91\x11"
    for data in (cannot_be_read, of_a_later_version, without_a_stream):
        second.carry_out([SendControl(first.index, data)])
    world.run(1.0)
    assert {reason: first.engine.drops.snapshot()[reason] for reason in ("control_malformed", "control_unknown")} == {
        "control_malformed": 2,
        "control_unknown": 1,
    }
    noted = [refusal for refusal in first.engine.drops.take_refusals() if refusal[1] != SESSION_BEGUN]
    assert noted == [(second.index, "control_malformed", 2)]
