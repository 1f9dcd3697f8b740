"""A follower of a node's groups gets each change when it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address

from tests.sim.engine.test_permitted_groups import ALLOWED, RECEIVES, SOME, renew, two
from tests.sim.engine.test_permitted_groups import OTHER as ONLY_FULL
from treecast.api.records import Group, GroupChanges, TouchedGroup
from treecast.base.flows import CountedFlow, Flow
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_CHANGES, MAX_WAITING_FOLLOWERS
from treecast.base.membership import FilterMode
from treecast.daemon.group_followers import GroupFollowers
from treecast.engine.changes import OF_GROUPS
from treecast.engine.engine import Engine
from treecast.sim.world import MAY_BRIDGE, World

GROUP, OTHER = "239.1.1.1", "239.1.1.2"


class CountingPlane:
    """The numbers of a data plane, as the test sets them."""

    def __init__(self) -> None:
        self.senders: list[CountedFlow] = []

    def sent_by_flow(self) -> Iterable[tuple[Flow, tuple[int, int]]]:
        return ()

    def sent_flows(self) -> Iterable[CountedFlow]:
        return self.senders

    def delivered_flows(self) -> Iterable[CountedFlow]:
        return ()


class Turning:
    """A node between two turns."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.plane = CountingPlane()
        self.after_turn: Callable[[], None] = lambda: None


def following() -> tuple[World, Turning, GroupFollowers]:
    world = World(seed=3)
    node = world.add()
    world.run(1.0)
    turning = Turning(node.engine)
    return world, turning, GroupFollowers(turning, lambda: {0: "treecast0"})


async def answer(followers: GroupFollowers, since: int | None) -> tuple[GroupChanges, list[Group]]:
    sliced = await followers.answer(since)
    return sliced.head, [row for row in sliced.rows if isinstance(row, Group)]


def test_the_first_answer_is_all_there_is_and_the_next_waits_for_a_change() -> None:
    async def follow() -> None:
        world, turning, followers = following()
        node = world.nodes[NodeIndex(1)]
        for number in range(300):
            node.report(f"239.9.{number // 250}.{number % 250 + 1}")
        world.run(1.0)
        first, rows = await answer(followers, None)
        assert (first.snapshot, len(rows)) == (True, 300)
        waiting = asyncio.create_task(answer(followers, first.position))
        await asyncio.sleep(0)
        assert not waiting.done()
        node.report(GROUP)
        world.run(0.1)
        turning.after_turn()
        then, rows = await waiting
        assert (then.snapshot, then.touched, then.queriers) == (False, [TouchedGroup(0, GROUP)], None)
        assert [(row.group, row.local, len(row.here[0].hosts)) for row in rows] == [(GROUP, True, 1)]
        node.report(GROUP, FilterMode.INCLUDE)
        world.run(5.0)
        gone, rows = await answer(followers, then.position)
        assert (gone.touched, rows) == ([TouchedGroup(0, GROUP)], [])

    asyncio.run(follow())


def test_a_certificate_with_other_groups_is_a_change_of_the_groups_that_its_node_wants_at_both_ends() -> None:
    async def follow() -> None:
        world, sender, receiver = two()
        for node in (sender, receiver):
            turning = Turning(node.engine)
            followers = GroupFollowers(turning, dict)
            first, rows = await answer(followers, None)
            assert all(member.permitted for row in rows for member in row.members)
            for serial, rights, permitted in ((1, RECEIVES, False), (2, MAY_BRIDGE, True)):
                waiting = asyncio.create_task(answer(followers, first.position))
                await asyncio.sleep(0)
                renew(world, receiver, rights, 10 * node.index + serial)
                turning.after_turn()
                then, rows = await waiting
                shown = {row.group: member.permitted for row in rows for member in row.members}
                assert (then.snapshot, shown[ONLY_FULL], shown[ALLOWED]) == (False, permitted, True)
                first = then

    asyncio.run(follow())


def test_a_sender_that_may_send_no_more_is_a_change_of_its_group() -> None:
    async def follow() -> None:
        world, turning, followers = following()
        node = world.nodes[NodeIndex(1)]
        flow = CountedFlow(
            0, IPv4Address(ONLY_FULL), IPv4Address("10.77.0.9"), node.index, 0, 1, 1, 1.0, 1, 1, 0.1, 1, 1
        )
        turning.plane.senders = [flow]
        first, rows = await answer(followers, None)
        renew(world, node, replace(MAY_BRIDGE, send_to=SOME), 1)
        then, rows = await answer(followers, first.position)
        assert [(row.group, row.senders[0].permitted) for row in rows] == [(ONLY_FULL, False)]
        renew(world, node, replace(MAY_BRIDGE, send_to=SOME), 2)
        last, _ = await answer(followers, then.position)
        assert last.touched == [], "the same rights once more are none"

    asyncio.run(follow())


def test_who_waits_in_vain_is_answered_that_nothing_has_changed() -> None:
    async def follow() -> None:
        _, _, followers = following()
        first, _ = await answer(followers, None)
        then, rows = await answer(followers, first.position)
        assert (then.position, then.snapshot, then.touched, then.queriers, rows) == (
            first.position,
            False,
            [],
            None,
            [],
        )

    asyncio.run(follow())


def test_who_is_too_far_behind_is_told_all_anew() -> None:
    async def follow() -> None:
        world, turning, followers = following()
        first, _ = await answer(followers, None)
        node = world.nodes[NodeIndex(1)]
        node.report(OTHER)
        for number in range(MAX_CHANGES + 1):
            node.report(GROUP, FilterMode.EXCLUDE, (f"10.77.1.{1 + number % 2}",))
        world.run(0.1)
        assert turning.engine.view.changes(first.position, OF_GROUPS) is None
        then, rows = await answer(followers, first.position)
        assert (then.snapshot, [row.group for row in rows]) == (True, [GROUP, OTHER])

    asyncio.run(follow())


def test_a_sender_that_begins_and_stops_is_found_while_somebody_follows() -> None:
    async def follow() -> None:
        _, turning, followers = following()
        first, _ = await answer(followers, None)
        group, source = IPv4Address(GROUP), IPv4Address("10.77.0.9")
        flow = CountedFlow(0, group, source, NodeIndex(1), 0, 5, 500, 1.0, 5, 500, 0.0, None, None)
        turning.plane.senders = [flow]
        began, rows = await answer(followers, first.position)
        assert (began.touched, [len(row.senders) for row in rows]) == ([TouchedGroup(0, GROUP)], [1])
        turning.plane.senders = []
        stopped, rows = await answer(followers, began.position)
        assert (stopped.touched, rows) == ([TouchedGroup(0, GROUP)], [])

    asyncio.run(follow())


def test_no_more_wait_than_leave_room_for_other_requests() -> None:
    async def follow() -> None:
        _, _, followers = following()
        first, _ = await answer(followers, None)
        answers = [answer(followers, first.position) for _ in range(MAX_WAITING_FOLLOWERS)]
        waiting = [asyncio.create_task(one) for one in answers]
        await asyncio.sleep(0)
        further, _ = await asyncio.wait_for(answer(followers, first.position), 1.0)
        assert further.position == first.position
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()

    asyncio.run(follow())
