"""A member that lies about its links, or advertises without end: what its advertisements cost the others."""

from __future__ import annotations

from collections import Counter
from functools import partial
from ipaddress import IPv4Address
from itertools import count

import pytest

from tests.sim.engine.meshes import list_group, publish
from tests.sim.engine.test_hostile_members import mesh
from tests.sim.placed_hosts import hosts_elsewhere
from treecast.base.addresses import MacAddress
from treecast.base.membership import FilterMode, SourceFilter
from treecast.broadcast import pace
from treecast.broadcast.quotas import Usage
from treecast.discovery import remote_hosts
from treecast.engine.changes import HostChange
from treecast.sim.datagrams import SessionDatagram
from treecast.sim.world import SimNode, World
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertisement import HostContent, Kind, host_key, parse_signed
from treecast.wire.control import Flood, parse_control

NODES = 16


class Copies:
    """Counts the copies of each advertisement that are sent."""

    def __init__(self, world: World) -> None:
        self.of: Counter[tuple[int, int, bytes]] = Counter()
        world.underlay.on_send = self._count

    def _count(self, datagram: object) -> None:
        if not isinstance(datagram, SessionDatagram) or not isinstance(datagram.body, bytes):
            return
        message = parse_control(datagram.body)
        for wire in message.advertisements if isinstance(message, Flood) else ():
            _, body = parse_signed(wire)
            self.of[(body.origin, body.kind, body.key)] += 1


def list_links(liar: SimNode, listed: tuple[int, ...]) -> None:
    content = LinksContent(listed) if listed else None
    publish(liar, Kind.LINKS, b"\x00", content)


def host_of(number: int) -> bytes:
    return host_key(0, MacAddress(bytes((2, 0, 0, 0, number >> 8, number & 0xFF))))


def claim(liar: SimNode, number: int, sequence: int = 0) -> bytes:
    publish(liar, Kind.HOST, host_of(number), HostContent((), sequence))
    return host_of(number)


@pytest.mark.parametrize("listed", [(), tuple(range(2, 2 + NODES // 2))], ids=["none", "half"])
def test_a_member_that_hides_links_costs_two_and_a_half_copies_for_each_node(listed: tuple[int, ...]) -> None:
    world = World(1)
    nodes = mesh(world, NODES)
    list_links(nodes[0], listed)
    world.run(2.0)
    copies = Copies(world)
    keys = [claim(nodes[0], number) for number in range(10)]
    world.run(1.0)
    for node in nodes[1:]:
        assert Counter(hosts_elsewhere(node).values())[nodes[0].index] == 1 + len(keys)
    for key in keys:
        assert copies.of[(1, Kind.HOST, key)] <= 2.5 * NODES


def test_in_an_honest_mesh_each_advertisement_crosses_each_link_of_its_origin_once() -> None:
    world = World(2)
    nodes = mesh(world, NODES)
    world.run(1.0)
    copies = Copies(world)
    key = claim(nodes[0], 0)
    world.run(1.0)
    assert copies.of[(1, Kind.HOST, key)] == NODES - 1


def test_a_member_that_advertises_without_end_is_taken_at_the_pace_of_one_and_the_others_keep_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "ADVERTISEMENTS_BURST", 100.0)
    world = World(3)
    nodes = mesh(world, 4)
    liar, honest, other = nodes[0], nodes[1], nodes[2]
    sequence = count(1)
    taken: list[int] = []
    for second in range(4):
        since = other.engine.view.position
        for _ in range(200):
            claim(liar, second, next(sequence))
            world.run(0.005)
        taken.append(len(other.engine.view.changes(since, [HostChange]) or ()))
        group = f"239.1.1.{second}"
        honest.report(group)
        world.run_until(partial(other.subscribes, honest, group), 0.1)
    assert sum(taken) <= pace.ADVERTISEMENTS_BURST + pace.ADVERTISEMENTS_PER_S * 4.5
    assert taken[-1] <= 1.1 * pace.ADVERTISEMENTS_PER_S
    assert other.engine.view.drops()["advertisement_rate"] > 0


def many_sources(number: int) -> GroupsContent:
    """One chunk: four groups with 40 sources each."""
    groups = [
        ListedGroup.of(
            (0, IPv4Address("239.9.0.0") + 4 * number + one),
            SourceFilter(FilterMode.INCLUDE, frozenset(IPv4Address("10.0.0.0") + 1 + source for source in range(40))),
        )
        for one in range(4)
    ]
    return GroupsContent(tuple(groups))


def test_a_member_with_a_megabyte_of_groups_is_refused_what_is_over_and_named_and_others_join_at_once() -> None:
    world = World(4)
    nodes = mesh(world, 4)
    liar, honest, other = nodes[0], nodes[1], nodes[2]
    liar.engine.rooms.broadcast.set_quota(liar.now, Usage(*(2**31,) * 5))
    for number in range(900):
        publish(liar, Kind.GROUPS, chunk_key(number), many_sources(number))
    world.run(20.0)
    drops = other.engine.view.drops()
    assert drops["advertisement_over_quota"] > 0 and "tree_table_full" not in drops
    assert [one.subject for one in other.engine.problems(other.now) if one.kind == "over_quota"] == ["n1"]
    for number in range(50):
        group = f"239.1.1.{number}"
        honest.report(group)
        world.run_until(partial(other.subscribes, honest, group), 0.1)
        other.send(group, f"frame {number}")
    world.run(0.1)
    assert len(honest.forwarder.delivered) == 50


def test_members_that_fill_the_table_of_hosts_together_keep_no_host_of_others_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_hosts, "MAX_REMOTE_HOSTS", 64)
    world = World(6)
    nodes = mesh(world, 5)
    hostile, honest, other = nodes[:2], nodes[2], nodes[3]
    for number in range(100):
        claim(hostile[number % 2], number)
    world.run(2.0)
    for number in range(1_000, 1_010):
        claim(honest, number)
    world.run(1.0)
    placed = Counter(other.forwarder.hosts.values())
    assert placed == Counter(hosts_elsewhere(other).values())
    assert placed[honest.index] == 1 + 10
    assert placed.total() == 64
    for number in range(80):
        publish(hostile[number % 2], Kind.HOST, host_of(number), None)
    world.run(5.0)
    placed = Counter(other.forwarder.hosts.values())
    assert [placed[node.index] for node in (*hostile, honest)] == [1 + 10, 1 + 10, 1 + 10], "those that live are there"


def test_a_member_that_joins_and_leaves_six_times_a_second_takes_no_frame_from_another() -> None:
    world = World(5, jitter=0.005)
    root, member, flapping, _ = mesh(world, 4)
    group, sent = "239.1.1.1", 0
    member.report(group)
    world.run(1.0)
    rotations = Counter[int]()
    for step in range(600):  # of a hundredth of a second
        if step % 8 == 0:
            list_group(flapping, group, wants=step % 16 == 0)
        root.send(group, f"frame {sent}")
        sent += 1
        world.run(0.01)
        rotations[next(tree.key_id for stream, tree in root.forwarder.trees.items() if stream)] += 1
    world.run(1.0)
    assert member.forwarder.delivered == [f"frame {number}" for number in range(sent)]
    assert 4 <= len(rotations) <= 7
