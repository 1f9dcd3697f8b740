"""Multicast routers on a port: found, believed for a while, and told what other nodes want, as a host would."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.sim.multicast.virtual_switch import ROUTER, VirtualSwitch, hello_frame, mac, mrd_frame
from treecast.base.addresses import IPAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.multicast import MembershipConfig
from treecast.wire import ethernet, igmp
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    RecordType,
)

IS_IN, IS_EX = RecordType.MODE_IS_INCLUDE, RecordType.MODE_IS_EXCLUDE
ALLOW, BLOCK = RecordType.ALLOW_NEW_SOURCES, RecordType.BLOCK_OLD_SOURCES
TO_EX, TO_IN = RecordType.CHANGE_TO_EXCLUDE_MODE, RecordType.CHANGE_TO_INCLUDE_MODE
NOBODY: dict[int, IPAddress] = {4: IPv4Address(0), 6: IPv6Address(0)}
GROUPS: dict[int, IPAddress] = {4: IPv4Address("239.1.1.1"), 6: IPv6Address("ff15::1")}
FIRST_SOURCE: dict[int, IPAddress] = {4: IPv4Address("192.0.2.1"), 6: IPv6Address("2001:db8::1")}
NEWEST = {4: 3, 6: 2}
FAMILIES = pytest.mark.parametrize("version", [4, 6], ids=["igmp", "mld"])


def include(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(sources))


def records(messages: list[MembershipMessage]) -> list[GroupRecord]:
    return [record for message in messages if isinstance(message, MembershipReport) for record in message.records]


def with_router(version: int, config: MembershipConfig | None = None) -> VirtualSwitch:
    """A switch whose port 0 has a PIM router; nothing said is noted yet."""
    switch = VirtualSwitch(config)
    switch.run(100)
    switch.hello(version)
    switch.said.clear()
    return switch


@FAMILIES
def test_a_query_with_an_address_shows_a_router_until_it_falls_silent(version: int) -> None:
    switch = VirtualSwitch()
    switch.query(NOBODY[version])
    assert switch.new_routers == [0]
    assert [(view.seen_by, view.port, view.vlan) for view in switch.switch.routers()] == [("query", 0, 0)]
    switch.run(2 * 125 + 5)
    assert not switch.switch.routers()
    assert not switch.switch.has_routers(0)


def test_a_query_without_an_address_shows_none() -> None:
    """RFC 4541 section 2.1.1: 0.0.0.0 is the source of a snooping switch's queries."""
    switch = VirtualSwitch()
    query = MembershipQuery(3, NOBODY[4], 1, False, 2, 125)
    switch.receive(ethernet.parse(igmp.message_frame(query, mac(ROUTER), IPv4Address(0))))
    assert switch.new_routers == []
    assert not switch.switch.routers()


@FAMILIES
@pytest.mark.parametrize(("hold_time", "lives_s"), [(None, 105), (30, 30), (0xFFFF, 65_535)])
def test_a_pim_hello_shows_a_router_for_its_hold_time(version: int, hold_time: int | None, lives_s: int) -> None:
    switch = VirtualSwitch()
    switch.hello(version, hold_time=hold_time)
    assert [(view.seen_by, view.expires - switch.now) for view in switch.switch.routers()] == [("pim", lives_s)]
    assert switch.new_routers == [0]
    switch.hello(version, hold_time=hold_time)
    assert switch.new_routers == [0], "it is the same one"
    switch.run(lives_s)
    assert not switch.switch.routers()


@FAMILIES
def test_a_hello_with_no_hold_time_is_a_goodbye(version: int) -> None:
    switch = with_router(version)
    switch.hello(version, hold_time=0)
    assert not switch.switch.routers()
    assert not switch.switch.has_routers(0)


@FAMILIES
def test_router_discovery_shows_a_router_for_three_intervals_or_until_its_termination(version: int) -> None:
    """RFC 4286 sections 3 and 5."""
    advertise, terminate = (0x30, 0x32) if version == 4 else (151, 153)
    switch = VirtualSwitch()
    switch.receive(mrd_frame(version, bytes((advertise, 20, 0, 0, 0, 125, 0, 2))))
    assert [(view.seen_by, view.expires - switch.now) for view in switch.switch.routers()] == [("mrd", 60)]
    switch.run(60)
    assert not switch.switch.routers()
    switch.receive(mrd_frame(version, bytes((advertise, 20, 0, 0, 0, 125, 0, 2))))
    switch.receive(mrd_frame(version, bytes((terminate, 0, 0, 0))))
    assert not switch.switch.routers()
    assert switch.new_routers == [0, 0]
    switch.receive(mrd_frame(version, bytes((advertise, 20, 0, 0))))
    assert switch.drops.snapshot() == {"mrd_truncated": 1}


def test_routers_of_a_port_are_bounded_and_counted() -> None:
    switch = VirtualSwitch()
    for router in range(1, 41):
        switch.query(NOBODY[4], router=router)
    assert len(switch.switch.routers()) == 32
    assert switch.drops.snapshot()["multicast_routers_full"] == 8


def test_a_malformed_hello_is_counted_and_shows_no_router() -> None:
    switch = VirtualSwitch()
    good = hello_frame(4, 105)
    payload = good.payload[:-1] + bytes((good.payload[-1] ^ 1,))
    switch.receive(type(good)(good.destination, good.source, good.ethertype, payload))
    assert switch.drops.snapshot() == {"pim_bad_checksum": 1}
    assert not switch.switch.routers()


@FAMILIES
def test_a_router_is_told_at_once_and_again_what_others_want(version: int) -> None:
    switch = with_router(version, MembershipConfig(robustness=3))
    group, source = GROUPS[version], FIRST_SOURCE[version]
    switch.set_proxied(group, include(source))
    assert records(switch.reports()) == [GroupRecord(ALLOW, group, (source,))]
    later = switch.run(2.1)
    assert records(switch.reports(later)) == [GroupRecord(ALLOW, group, (source,))] * 2
    assert not switch.reports(switch.run(20))


@FAMILIES
@pytest.mark.parametrize(
    ("before", "wanted", "said"),
    [
        ([1], [1, 2], [(ALLOW, (2,))]),
        ([1, 2], [2, 3], [(ALLOW, (3,)), (BLOCK, (1,))]),
        ([1], None, [(TO_EX, ())]),
        (None, [2], [(TO_IN, (2,))]),
        (None, [], [(TO_IN, ())]),
        ([1], [], [(BLOCK, (1,))]),
    ],
)
def test_each_change_is_said_in_the_records_of_rfc_9776_section_5_1(
    version: int,
    before: list[int] | None,
    wanted: list[int] | None,
    said: list[tuple[RecordType, tuple[int, ...]]],
) -> None:
    group, base = GROUPS[version], FIRST_SOURCE[version]

    def filter_of(numbers: list[int] | None) -> SourceFilter:
        return ANY_SOURCE if numbers is None else include(*(base + number for number in numbers))

    switch = with_router(version)
    switch.set_proxied(group, filter_of(before))
    switch.run(5)
    switch.said.clear()
    switch.set_proxied(group, filter_of(wanted))
    expected = [GroupRecord(kind, group, tuple(base + number for number in numbers)) for kind, numbers in said]
    assert records(switch.reports()) == expected


@FAMILIES
def test_a_general_query_is_answered_with_the_current_state_within_its_response_time(version: int) -> None:
    switch = with_router(version)
    group, source = GROUPS[version], FIRST_SOURCE[version]
    switch.set_proxied(group, include(source))
    switch.set_proxied(group + 1, ANY_SOURCE)
    switch.run(5)
    switch.said.clear()
    switch.query(NOBODY[version], response=2)
    answers = switch.run(2)
    assert records(switch.reports(answers)) == [
        GroupRecord(IS_IN, group, (source,)),
        GroupRecord(IS_EX, group + 1),
    ]
    assert len({said.at for said in answers}) == 1


@FAMILIES
def test_queries_for_a_group_and_for_sources_are_answered_as_far_as_wanted(version: int) -> None:
    switch = with_router(version)
    group, source = GROUPS[version], FIRST_SOURCE[version]
    switch.set_proxied(group, include(source))
    switch.run(5)
    for asked, expected in (
        ((), [GroupRecord(IS_IN, group, (source,))]),
        ((source, source + 1), [GroupRecord(IS_IN, group, (source,))]),
        ((source + 1,), []),
    ):
        switch.query(group, *asked)
        assert records(switch.reports(switch.run(1.5))) == expected
    switch.query(group + 5)
    assert not switch.reports(switch.run(1.5))


@pytest.mark.parametrize(("family", "older", "leaves"), [(4, 1, False), (4, 2, True), (6, 1, True)])
def test_an_older_querier_hears_its_own_version(family: int, older: int, leaves: bool) -> None:
    """RFC 9776 section 7.2.1: until the older querier has been silent for its timeout."""
    switch = VirtualSwitch()
    switch.run(60)
    switch.query(NOBODY[family], version=older)
    switch.said.clear()
    group = GROUPS[family]
    switch.set_proxied(group, include(FIRST_SOURCE[family]))
    assert switch.reports() == [OlderReport(older, group)], "which means any source: it cannot say less"
    switch.query(NOBODY[family], version=older)
    assert OlderReport(older, group) in switch.reports(switch.run(10))
    switch.said.clear()
    switch.set_proxied(group, NO_SOURCE)
    assert switch.reports() == ([LeaveGroup(group)] if leaves else [])


@FAMILIES
def test_older_answers_come_when_all_hosts_have_answered_for_they_would_silence_them(version: int) -> None:
    """RFC 2236 section 3: a host that hears a report of its group within its delay sends none."""
    switch, group = VirtualSwitch(), GROUPS[version]
    older = OlderReport(NEWEST[version] - 1, group)
    switch.query(NOBODY[version], version=NEWEST[version] - 1, router=50)
    switch.set_proxied(group, ANY_SOURCE)
    switch.run(60)
    switch.said.clear()
    switch.query(NOBODY[version], version=NEWEST[version] - 1, router=50, response=10)
    assert not switch.reports(switch.run(9.9))
    assert switch.reports(switch.run(0.2)) == [older]
    switch.query(group, version=NEWEST[version] - 1, router=50)
    assert not switch.reports(switch.run(0.9))
    assert switch.reports(switch.run(0.2)) == [older]


@FAMILIES
def test_a_host_that_leaves_is_known_to_have_left_though_we_report_its_group_by_an_older_version(version: int) -> None:
    switch, group = VirtualSwitch(), GROUPS[version]
    switch.query(NOBODY[version], version=NEWEST[version] - 1, router=250)
    switch.hear(OlderReport(NEWEST[version] - 1, group), version)
    switch.run(30)
    switch.hear(LeaveGroup(group), version)
    switch.said.clear()
    switch.set_proxied(group, ANY_SOURCE)
    assert not switch.reports(switch.run(0.9)), "the hosts that are left answer the query first"
    assert OlderReport(NEWEST[version] - 1, group) in switch.reports(switch.run(0.2))
    switch.run(1)
    assert switch.switch.filter(0, group) == NO_SOURCE


@FAMILIES
def test_a_report_waits_for_the_answers_to_one_query_however_many_follow(version: int) -> None:
    switch, group = VirtualSwitch(), GROUPS[version]
    switch.query(NOBODY[version], version=NEWEST[version] - 1, router=50)
    switch.run(30)
    switch.query(group, version=NEWEST[version] - 1, router=50)
    switch.said.clear()
    switch.set_proxied(group, ANY_SOURCE)
    for _ in range(3):
        switch.run(0.4)
        switch.query(group, version=NEWEST[version] - 1, router=50)
    assert switch.reports() == [OlderReport(NEWEST[version] - 1, group)]


@FAMILIES
def test_hosts_that_a_change_of_ours_silences_stay_members_for_an_interval(version: int) -> None:
    """The change is reported at once, while the hosts are answering a general query."""
    switch, group = VirtualSwitch(), GROUPS[version]
    switch.hear(OlderReport(NEWEST[version] - 1, group), version)
    switch.run(200)
    switch.query(NOBODY[version], version=NEWEST[version] - 1, router=50)
    switch.said.clear()
    switch.set_proxied(group, ANY_SOURCE)
    assert switch.reports() == [OlderReport(NEWEST[version] - 1, group)]
    switch.run(250)
    assert switch.switch.filter(0, group) == ANY_SOURCE
    switch.run(20)
    assert switch.switch.filter(0, group) == NO_SOURCE


@FAMILIES
def test_the_newest_version_comes_back_after_the_older_querier(version: int) -> None:
    switch = VirtualSwitch()
    switch.query(NOBODY[version], version=1)
    for _ in range(3):
        switch.run(100)
        switch.query(NOBODY[version], router=ROUTER)
    switch.said.clear()
    switch.set_proxied(GROUPS[version], ANY_SOURCE)
    assert records(switch.reports()) == [GroupRecord(TO_EX, GROUPS[version])]


@FAMILIES
def test_our_own_queries_are_answered_too_for_the_router_waits_for_answers(version: int) -> None:
    switch = with_router(version)
    switch.set_proxied(GROUPS[version], ANY_SOURCE)
    switch.run(5)
    for _ in range(4):
        switch.hello(version)
        said = switch.run(100)
    assert GroupRecord(IS_EX, GROUPS[version]) in records(switch.reports(said))


def test_a_port_without_router_and_a_vlan_without_router_hear_nothing() -> None:
    switch = VirtualSwitch()
    switch.report(GROUPS[4], TO_EX, port=1)
    switch.hello(4, port=1, vlan=9)
    switch.said.clear()
    switch.set_proxied(GROUPS[4], ANY_SOURCE)
    switch.run(10)
    assert not switch.reports()
    switch.set_proxied(GROUPS[4], ANY_SOURCE, vlan=9)
    assert {(said.port, said.vlan) for said in switch.said if isinstance(said.message, MembershipReport)} == {(1, 9)}


def test_ten_thousand_groups_are_said_in_reports_that_fit_the_smallest_mtu() -> None:
    switch = with_router(4)
    groups = [IPv4Address("239.1.0.0") + number for number in range(10_000)]
    for group in groups:
        switch.switch.set_proxied(switch.now, 0, group, ANY_SOURCE)
    switch.run(5)
    switch.said.clear()
    switch.query(NOBODY[4], response=1)
    reports = switch.reports(switch.run(1))
    assert [record.group for record in records(reports)] == groups
    assert all(isinstance(report, MembershipReport) and len(report.records) <= 156 for report in reports)
