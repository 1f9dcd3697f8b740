"""PIM Joins and Prunes on a port count as memberships of it, as RFC 8220 snoops them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.sim.multicast.virtual_switch import MAC, VirtualSwitch, hello_frame, router_address
from treecast.base.addresses import IPAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.multicast import MembershipConfig
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.group_membership import RecordType
from treecast.wire.pim import FOREVER, PimSource

FAMILIES = pytest.mark.parametrize("version", [4, 6], ids=["ipv4", "ipv6"])
GROUPS: dict[int, IPAddress] = {4: IPv4Address("239.1.1.1"), 6: IPv6Address("ff35::1")}
SOURCES: dict[int, IPAddress] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}
RP: dict[int, IPAddress] = {4: IPv4Address("192.0.2.99"), 6: IPv6Address("2001:db8::99")}
OTHER_ROUTER = 201


def any_source(version: int) -> PimSource:
    return PimSource(RP[version], is_wildcard=True, is_rpt=True)


def include(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(sources))


def with_router(version: int, config: MembershipConfig | None = None) -> VirtualSwitch:
    switch = VirtualSwitch(config)
    switch.run(60)
    switch.hello(version, hold_time=0xFFFF)
    return switch


@FAMILIES
def test_a_join_of_any_source_is_a_membership_for_its_hold_time(version: int) -> None:
    switch, group = with_router(version), GROUPS[version]
    switch.join_prune(group, joins=[any_source(version)], hold_time=210)
    assert switch.changes == [(0, group, ANY_SOURCE)]
    assert switch.switch.filters() == {(0, group): ANY_SOURCE}
    switch.run(209)
    switch.join_prune(group, joins=[any_source(version)], hold_time=210)
    switch.run(209)
    assert switch.switch.filter(0, group) == ANY_SOURCE
    switch.run(1)
    assert switch.changes == [(0, group, ANY_SOURCE), (0, group, NO_SOURCE)]
    assert switch.switch.group_keys() == []


@FAMILIES
def test_a_join_of_a_source_is_a_membership_for_that_source(version: int) -> None:
    switch, group, source = with_router(version), GROUPS[version], SOURCES[version]
    switch.join_prune(group, joins=[PimSource(source)])
    switch.join_prune(group, joins=[PimSource(source + 1)])
    assert [change[2] for change in switch.changes] == [include(source), include(source, source + 1)]
    switch.join_prune(group, prunes=[PimSource(source)])
    assert switch.changes[-1] == (0, group, include(source + 1))
    switch.join_prune(group, joins=[any_source(version)], prunes=[PimSource(source + 1)])
    assert switch.changes[-1] == (0, group, ANY_SOURCE)


@FAMILIES
def test_a_prune_of_a_router_alone_on_its_port_takes_effect_at_once(version: int) -> None:
    switch, group = with_router(version), GROUPS[version]
    switch.join_prune(group, joins=[any_source(version)])
    switch.join_prune(group, prunes=[any_source(version)])
    assert switch.changes[-1] == (0, group, NO_SOURCE)


@FAMILIES
def test_a_prune_beside_another_router_waits_until_that_one_had_time_to_override_it(version: int) -> None:
    """RFC 7761 section 4.5.1: J/P_Override_Interval, 3 s."""
    switch, group = with_router(version), GROUPS[version]
    switch.hello(version, router=OTHER_ROUTER)
    switch.join_prune(group, joins=[any_source(version)])
    switch.join_prune(group, prunes=[any_source(version)])
    switch.run(2.5)
    switch.join_prune(group, joins=[any_source(version)], router=OTHER_ROUTER)
    switch.run(60)
    assert switch.switch.filter(0, group) == ANY_SOURCE
    switch.join_prune(group, prunes=[any_source(version)], router=OTHER_ROUTER)
    switch.run(2.9)
    assert switch.switch.filter(0, group) == ANY_SOURCE
    switch.run(0.1)
    assert switch.changes == [(0, group, ANY_SOURCE), (0, group, NO_SOURCE)]


@FAMILIES
def test_a_router_that_turns_to_another_upstream_keeps_its_groups_in_either_order(version: int) -> None:
    switch, group = with_router(version), GROUPS[version]
    switch.join_prune(group, joins=[any_source(version)], upstream=251)
    switch.join_prune(group, joins=[any_source(version)], upstream=252)
    switch.join_prune(group, prunes=[any_source(version)], upstream=251)
    switch.run(100)
    assert switch.changes == [(0, group, ANY_SOURCE)]
    switch.join_prune(group, prunes=[any_source(version)], upstream=251)
    assert switch.changes == [(0, group, ANY_SOURCE)], "nothing was joined there"


@FAMILIES
def test_a_prune_of_a_source_on_the_rp_tree_takes_nothing_away(version: int) -> None:
    """RFC 7761 section 4.5.6 has a router prune there also a source that it hears on this very LAN."""
    switch, group = with_router(version), GROUPS[version]
    switch.join_prune(group, joins=[any_source(version)], prunes=[PimSource(SOURCES[version], is_rpt=True)])
    switch.join_prune(group, prunes=[PimSource(SOURCES[version], is_rpt=True)])
    switch.join_prune(group + 1, joins=[PimSource(SOURCES[version], is_rpt=True)])
    assert switch.changes == [(0, group, ANY_SOURCE)]


@FAMILIES
def test_hosts_and_routers_of_a_port_are_merged_and_end_each_by_itself(version: int) -> None:
    switch, group, source = with_router(version), GROUPS[version], SOURCES[version]
    switch.report(group, RecordType.ALLOW_NEW_SOURCES, source)
    switch.join_prune(group, joins=[PimSource(source + 1)])
    assert switch.changes[-1] == (0, group, include(source, source + 1))
    assert switch.switch.port_filter(0, 0, group) == include(source, source + 1)
    switch.report(group, RecordType.BLOCK_OLD_SOURCES, source)
    assert switch.changes[-1] == (0, group, include(source + 1))
    switch.join_prune(group, prunes=[PimSource(source + 1)])
    assert switch.changes[-1] == (0, group, NO_SOURCE)


@FAMILIES
@pytest.mark.parametrize("goodbye", [True, False])
def test_joins_end_with_the_last_pim_router_of_the_port(version: int, goodbye: bool) -> None:
    switch, group = VirtualSwitch(), GROUPS[version]
    switch.hello(version, hold_time=30)
    switch.join_prune(group, joins=[any_source(version)], hold_time=FOREVER)
    if goodbye:
        switch.hello(version, hold_time=0)
    else:
        switch.run(30)
    assert switch.changes == [(0, group, ANY_SOURCE), (0, group, NO_SOURCE)]


@FAMILIES
def test_a_join_shows_its_router_to_a_node_that_has_just_started(version: int) -> None:
    """Its last Hello was sent before, and the next one comes half a minute later."""
    switch, group = VirtualSwitch(), GROUPS[version]
    switch.join_prune(group, joins=[any_source(version)])
    assert switch.new_routers == [0]
    assert [(str(view.address), view.seen_by) for view in switch.switch.routers()] == [
        (str(router_address(version, 200)), "pim")
    ]
    switch.run(104)
    switch.hello(version)
    switch.run(100)
    assert switch.changes == [(0, group, ANY_SOURCE)]


@FAMILIES
def test_pim_of_the_machine_s_own_kernel_counts(version: int) -> None:
    """A router of this machine sends on the TAP with the node's own MAC; the node itself sends no PIM."""
    switch = VirtualSwitch()
    hello = hello_frame(version)
    switch.receive(EthernetFrame(hello.destination, MAC, hello.ethertype, hello.payload))
    assert switch.new_routers == [0]
    assert switch.drops.snapshot() == {}


@FAMILIES
def test_prefixes_of_groups_and_link_local_groups_are_no_memberships(version: int) -> None:
    """(*,*,RP) was taken out of PIM by RFC 7761; 224.0.0.0/24 and scope 2 go everywhere (RFC 4541 section 2.1.2)."""
    switch = with_router(version)
    group = GROUPS[version]
    link_local: IPAddress = IPv4Address("224.0.0.5") if version == 4 else IPv6Address("ff02::5")
    switch.join_prune(group, joins=[any_source(version)], prefix_length=4 if version == 4 else 8)
    switch.join_prune(link_local, joins=[any_source(version)])
    switch.join_prune(group, joins=[PimSource(group)])
    assert switch.changes == []
    assert switch.drops.snapshot() == {"pim_group_prefix": 1, "pim_source_not_unicast": 1}


def test_joins_are_bounded_and_the_newest_is_refused_and_counted() -> None:
    switch, group, source = (
        with_router(4, MembershipConfig(max_groups_per_node=2, max_sources_per_group=2)),
        GROUPS[4],
        SOURCES[4],
    )
    switch.report(group, RecordType.CHANGE_TO_EXCLUDE_MODE)
    switch.join_prune(group, joins=[PimSource(source), PimSource(source + 1), PimSource(source + 2)])
    switch.join_prune(group + 1, joins=[any_source(4)])
    assert switch.drops.snapshot() == {"pim_sources_full": 1, "pim_groups_full": 1}
    assert switch.switch.filters() == {(0, group): ANY_SOURCE}
    switch.join_prune(group, prunes=[PimSource(source), PimSource(source + 1)])
    switch.join_prune(group + 1, joins=[any_source(4)])
    assert switch.switch.filter(0, group + 1) == ANY_SOURCE, "the room came back"


def test_joins_are_per_port_and_vlan_and_end_with_a_port_that_falls_silent_or_goes() -> None:
    switch, group, source = VirtualSwitch(), GROUPS[4], SOURCES[4]
    switch.join_prune(group, joins=[PimSource(source)], port=1)
    switch.join_prune(group, joins=[PimSource(source + 1)], vlan=7)
    assert switch.switch.filters() == {(0, group): include(source), (7, group): include(source + 1)}
    assert switch.switch.set_forwarding(switch.now, 1, forwarding=False).changes[-1].filter == NO_SOURCE
    assert switch.switch.set_forwarding(switch.now, 1, forwarding=True).changes[-1].filter == include(source)
    assert switch.switch.remove_port(switch.now, 1).changes[-1].filter == NO_SOURCE


def test_thousands_of_joins_that_end_together_end_in_short_turns() -> None:
    switch = with_router(4)
    groups = [GROUPS[4] + number for number in range(1000)]
    for group in groups:
        switch.join_prune(group, joins=[any_source(4)], hold_time=100)
    switch.run(99)
    switch.changes.clear()
    switch.now = switch.switch.next_deadline() or switch.now
    assert 0 < len(switch.switch.advance(switch.now).changes) <= 128
    for _ in range(10):
        switch.switch.advance(switch.now)
    assert switch.switch.group_keys() == []
