"""10,000 groups in one node: a join costs what it costs in an empty node, and one small advertisement."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from tests.unit.counting import steps_of
from treecast.base.commands import SendControl
from treecast.base.events import TapFrame
from treecast.broadcast.own_groups import OPEN_BYTES
from treecast.multicast import MembershipConfig
from treecast.sim.world import SimNode, World
from treecast.wire import igmp
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

MANY = 10_000
RECORDS_PER_REPORT = 150
SAMPLES = 40
ADVERTISEMENT_LIMIT_BYTES = 400
COST_LIMIT = 1.2
"""Times the steps in an empty node."""

FIRST, LATER = IPv4Address("239.1.0.0"), IPv4Address("239.200.0.0")


def report(node: SimNode, groups: list[IPv4Address], kind: RecordType = RecordType.CHANGE_TO_EXCLUDE_MODE) -> bytes:
    records = tuple(GroupRecord(kind, group) for group in groups)
    return igmp.message_frame(MembershipReport(records), node.identity.certificate.mac, IPv4Address("10.77.0.1"))


def turn(world: World, node: SimNode, frame: bytes) -> int:
    """One turn of the node: the control bytes that it sent to the other node."""
    commands = node.engine.turn(world.underlay.now, [TapFrame(0, frame)])
    node.forwarder.carry_out(commands)
    return sum(len(command.data) for command in commands if isinstance(command, SendControl))


def join(world: World, node: SimNode, group: IPv4Address) -> tuple[int, int]:
    """The steps of the interpreter and the bytes of a join's turn."""
    frame, sizes = report(node, [group]), list[int]()
    return steps_of(lambda: sizes.append(turn(world, node, frame))), sizes[0]


def single_joins(world: World, node: SimNode, first: IPv4Address) -> tuple[float, float]:
    """The median steps and bytes of some joins."""
    samples = []
    for number in range(SAMPLES):
        samples.append(join(world, node, first + number))
        world.run(0.01)
    return statistics.median(steps for steps, _ in samples), statistics.median(size for _, size in samples)


@pytest.fixture
def pair() -> Iterator[tuple[World, SimNode, SimNode]]:
    world = World(11)
    node = world.add()
    other = world.add(peer=node)
    world.run_until(lambda: bool(node.peers() and other.peers()), 20.0)
    world.run(30.0)
    yield world, node, other
    node.stop()
    other.stop()


def test_a_join_among_10_000_groups_costs_one_small_advertisement(pair: tuple[World, SimNode, SimNode]) -> None:
    world, node, other = pair
    empty_steps, empty_bytes = single_joins(world, node, LATER)
    for first in range(0, MANY, RECORDS_PER_REPORT):
        turn(world, node, report(node, [FIRST + n for n in range(first, min(first + RECORDS_PER_REPORT, MANY))]))
        world.run(0.05)
    world.run(3.0)
    assert len(set(other.engine.view.groups())) == MANY + SAMPLES
    full_steps, full_bytes = single_joins(world, node, LATER + 256)
    print(f"\na join: {empty_steps:.0f} steps, {empty_bytes:.0f} bytes; among {MANY}: {full_steps:.0f} steps")
    assert full_bytes <= ADVERTISEMENT_LIMIT_BYTES
    assert full_bytes <= empty_bytes + OPEN_BYTES
    assert full_steps <= COST_LIMIT * empty_steps
    assert node.engine.drops.snapshot().keys() <= {"control_without_link"}


def test_overflow_refuses_the_newest_and_counts_it(pair: tuple[World, SimNode, SimNode]) -> None:
    world, node, other = pair
    limit = MembershipConfig().max_groups_per_node
    for first in range(0, limit + 300, RECORDS_PER_REPORT):
        turn(world, node, report(node, [FIRST + n for n in range(first, first + RECORDS_PER_REPORT)]))
        world.run(0.05)
    world.run(3.0)
    kept = {group for _, group in other.engine.view.groups()}
    assert sorted(kept, key=int) == [FIRST + n for n in range(limit)]
    refused = -(-(limit + 300) // RECORDS_PER_REPORT) * RECORDS_PER_REPORT - limit
    assert node.engine.drops.snapshot()["igmp_groups_full"] == refused
    assert node.engine.drops.snapshot().get("advertisement_table_full", 0) == 0
    turn(world, node, report(node, [FIRST], RecordType.CHANGE_TO_INCLUDE_MODE))
    turn(world, node, report(node, [LATER]))
    world.run(1.0)
    assert (0, LATER) in other.engine.view.groups()
