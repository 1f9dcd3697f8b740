"""PIM routers and their Joins outlive a restart of the node, for what is left of their hold times."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import islice

import pytest

from tests.sim.multicast.virtual_switch import VirtualSwitch
from treecast.base.addresses import IPAddress
from treecast.base.limits import MAX_REMEMBERED_PIM_ENTRIES
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Duration, Instant, after
from treecast.multicast import AbsentPim, MembershipConfig, PimJoinView, PimSegment
from treecast.wire.pim import PimSource

FAMILIES = pytest.mark.parametrize("version", [4, 6], ids=["ipv4", "ipv6"])
GROUPS: dict[int, IPAddress] = {4: IPv4Address("239.1.1.1"), 6: IPv6Address("ff35::1")}
SOURCES: dict[int, IPAddress] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}
HELLO_S, JOIN_S = 105, 210
PORT, VLAN = 3, 7


def any_source(version: int) -> PimSource:
    return PimSource(SOURCES[version] + 98, is_wildcard=True, is_rpt=True)


def remembered(switch: VirtualSwitch) -> tuple[PimSegment, ...]:
    return switch.switch.worth_remembering(lambda port: f"eth{port}")


def again(
    known: tuple[PimSegment, ...], now: Duration, port: int = 0, config: MembershipConfig | None = None
) -> VirtualSwitch:
    """The node's next run, which begins where time stands."""
    switch = VirtualSwitch(config)
    switch.run(now - switch.now)
    switch.changes.clear()
    for segment in known:
        switch.note(switch.switch.recall_pim(switch.now, port, segment))
    return switch


def joined(version: int, hold_time: Duration = JOIN_S) -> VirtualSwitch:
    switch = VirtualSwitch()
    switch.hello(version, hold_time=HELLO_S)
    switch.join_prune(GROUPS[version], joins=[any_source(version)], hold_time=hold_time)
    return switch


@FAMILIES
def test_a_join_counts_after_a_restart_until_its_hold_time_ends(version: int) -> None:
    before = joined(version, hold_time=90)
    before.run(30)
    switch, group = again(remembered(before), before.now), GROUPS[version]
    assert switch.changes == [(0, group, ANY_SOURCE)]
    assert switch.new_routers == [0], "the router gets reports of what other nodes want, too"
    switch.run(59)
    assert switch.switch.filter(0, group) == ANY_SOURCE
    switch.run(1)
    assert switch.changes == [(0, group, ANY_SOURCE), (0, group, NO_SOURCE)]


@FAMILIES
def test_a_recalled_join_is_refreshed_pruned_and_merged_as_any_other(version: int) -> None:
    before, group, source = joined(version), GROUPS[version], SOURCES[version]
    before.join_prune(group, joins=[PimSource(source)])
    known = remembered(before)
    switch = again(known, before.now)
    switch.join_prune(group, prunes=[any_source(version)])
    assert switch.switch.filter(0, group) == SourceFilter(FilterMode.INCLUDE, frozenset({source}))
    switch = again(known, before.now)
    switch.hello(version, hold_time=0)
    assert switch.switch.filter(0, group) == NO_SOURCE, "the router has gone in order"
    switch = again(known, before.now)
    switch.run(60)
    switch.hello(version, hold_time=HELLO_S)
    switch.join_prune(group, joins=[any_source(version)], hold_time=JOIN_S)
    switch.run(100)
    switch.hello(version, hold_time=HELLO_S)
    switch.run(100)
    assert switch.switch.filter(0, group) == ANY_SOURCE
    assert [view.source for view in switch.switch.pim_joins(0, 0, group)] == [None]


@FAMILIES
def test_recalled_joins_end_with_the_router_that_says_nothing_after_the_start(version: int) -> None:
    before = joined(version)
    before.run(40)
    switch = again(remembered(before), before.now)
    switch.run(HELLO_S - 40 - 1)
    assert switch.switch.filter(0, GROUPS[version]) == ANY_SOURCE
    switch.run(1)
    assert switch.switch.filter(0, GROUPS[version]) == NO_SOURCE


@FAMILIES
def test_joins_without_a_living_router_are_not_recalled(version: int) -> None:
    before = joined(version)
    (known,) = remembered(before)
    switch = again((PimSegment(known.port, known.vlan, (), known.joins),), before.now)
    assert switch.switch.filter(0, GROUPS[version]) == NO_SOURCE
    switch = again((known,), before.now + JOIN_S + 1)
    assert (switch.changes, switch.new_routers) == ([], []), "all has ended meanwhile"


def test_joins_are_recalled_per_port_and_vlan_and_a_vlan_begins_with_them() -> None:
    before, group = VirtualSwitch(), GROUPS[4]
    before.join_prune(group, joins=[any_source(4)], vlan=VLAN, port=PORT)
    (known,) = remembered(before)
    assert (known.port, known.vlan) == (f"eth{PORT}", VLAN)
    switch = again((known,), before.now, port=PORT)
    assert switch.changes == [(VLAN, group, ANY_SOURCE)]
    assert switch.switch.port_filter(PORT, VLAN, group) == ANY_SOURCE
    full = again((known,), before.now, config=MembershipConfig(max_vlans=1))
    assert (full.changes, full.drops.snapshot()) == ([], {"membership_vlans_full": 1})


def test_what_a_file_may_say_is_bounded_as_what_routers_say() -> None:
    before, group = joined(4), GROUPS[4]
    (known,) = remembered(before)
    (join,) = known.joins
    view = PimJoinView(group, None, join.upstream, after(join.expires, 10_000_000))
    many = [PimJoinView(group + number, None, join.upstream, view.expires) for number in range(1, 9)]
    link_local = PimJoinView(IPv4Address("224.0.0.5"), None, join.upstream, view.expires)
    hostile = PimSegment("eth0", 0, known.routers, (view, link_local, *many))
    switch = again((hostile,), before.now, config=MembershipConfig(max_groups=4))
    assert len(switch.changes) == 4
    assert switch.drops.snapshot() == {"pim_groups_full": 5}
    (kept,) = switch.switch.pim_joins(0, 0, group)
    assert kept.expires - switch.now == 65_535, "no hold time is longer"


def test_as_many_entries_are_remembered_as_a_file_has_room_for() -> None:
    switch = VirtualSwitch(MembershipConfig(max_vlans=64))
    groups = islice((GROUPS[4] + number for number in range(10_000)), MAX_REMEMBERED_PIM_ENTRIES + 10)
    for number, group in enumerate(groups):
        switch.join_prune(group, joins=[any_source(4)], vlan=number % 2)
    known = remembered(switch)
    assert sum(len(one.routers) + len(one.joins) for one in known) == MAX_REMEMBERED_PIM_ENTRIES


def test_of_absent_ports_no_more_is_remembered_than_of_those_that_are_there() -> None:
    absent, now = AbsentPim(), Instant(1000.0)
    (known,) = remembered(joined(4))
    absent.put(now, [replace(known, vlan=vlan) for vlan in range(5)])
    absent.put(now, [replace(known, vlan=vlan) for vlan in range(4095)])
    assert sum(one.size for one in absent.alive(now)) == MAX_REMEMBERED_PIM_ENTRIES
    later = after(now, HELLO_S)
    assert absent.alive(later) == [], "their routers are gone"
    absent.put(later, [])
    assert absent.take(known.port) == []
