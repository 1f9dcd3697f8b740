"""Joins, leaves, expiry and queries of one port, in virtual time, for IGMP and MLD."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.sim.multicast.virtual_port import (
    ALLOW,
    BLOCK,
    IS_EX,
    IS_IN,
    ROUTER_MAC,
    TO_EX,
    TO_IN,
    Sent,
    VirtualPort,
    exclude,
    include,
    specific,
)
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.time import Instant
from treecast.multicast import IGMP, MLD, GroupMembershipRouter, MembershipConfig, PortSource, Protocol
from treecast.wire import ethernet
from treecast.wire.ethernet import VlanTag
from treecast.wire.group_membership import GroupRecord, MembershipReport

GMI = 260.0
BOTH = pytest.mark.parametrize("protocol", [IGMP, MLD], ids=lambda protocol: protocol.name)


@BOTH
def test_start_sends_the_startup_queries_then_one_every_query_interval(protocol: Protocol) -> None:
    port = VirtualPort(protocol)
    began = port.now
    port.start()
    port.run(400)
    assert [sent.at - began for sent in port.sent] == [0, 31.25, 156.25, 281.25]
    assert all(sent.query.is_general and sent.query.version == protocol.newest_version for sent in port.sent)
    first = port.sent[0].query
    assert (first.max_response_time, first.robustness, first.query_interval) == (1, 2, 125)  # it knows nothing yet
    assert port.sent[-1].query.max_response_time == 10


@BOTH
def test_a_join_is_told_once_and_repeated_reports_change_nothing(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX)
    port.report(TO_EX)
    port.report(IS_EX, host=2)
    assert [(group, filter_) for _, group, filter_ in port.changes] == [(port.group(), exclude())]
    assert dict(port.router.filters()) == {port.group(): exclude()}


@BOTH
def test_a_membership_without_reports_ends_after_the_group_membership_interval(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(IS_EX)
    joined = port.now
    port.run(1000)
    assert port.changes[-1] == (joined + GMI, port.group(), include())
    assert not port.router.filters()
    assert not port.router.groups()


@BOTH
def test_a_source_without_reports_ends_and_the_others_stay(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(ALLOW, (1, 2))
    port.run(100)
    port.report(IS_IN, (2,))
    port.run(200)
    assert port.filter() == include(port.source(2))
    port.run(100)
    assert port.filter() == include()


@BOTH
def test_in_exclude_mode_a_requested_source_that_expires_is_excluded(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX)
    port.report(IS_IN, (1,))
    port.run(100)
    port.report(IS_EX, (1,))
    assert port.filter() == exclude()
    port.run(161)
    assert port.filter() == exclude(port.source(1))


@BOTH
def test_when_the_group_timer_ends_requested_sources_stay_in_include_mode(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX)
    port.run(50)
    port.report(ALLOW, (1,), host=2)
    port.run(211)
    assert port.filter() == include(port.source(1))


@BOTH
def test_leave_of_the_last_tracked_host_takes_effect_at_once(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX)
    assert port.report(TO_IN) == []
    assert port.changes[-1] == (port.now, port.group(), include())


@BOTH
def test_a_source_blocked_by_its_last_tracked_host_is_gone_at_once(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(ALLOW, (1, 2))
    port.report(ALLOW, (2,), host=2)
    queries = port.report(BLOCK, (1, 2))
    assert port.filter() == include(port.source(2))
    assert specific(queries) == [(port.sources((2,)), False)]


@BOTH
def test_the_exclude_host_leaves_and_the_include_hosts_keep_their_sources(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX)
    port.report(ALLOW, (1,), host=2)
    port.report(TO_IN)
    assert port.filter() == include(port.source(1))


@BOTH
def test_sources_that_an_exclude_host_made_superfluous_come_back_when_it_leaves(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(ALLOW, (1,))
    port.report(TO_EX, host=2)
    assert port.timers() == {}, "the table deletes A-B"
    port.report(TO_IN, host=2)
    assert port.filter() == include(port.source(1))


@BOTH
def test_a_leave_while_another_host_wants_the_group_is_settled_by_queries(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX)
    port.report(TO_EX, host=2)
    asked_at = port.now
    assert specific(port.report(TO_IN)) == [((), False)]
    port.run(0.5)
    port.report(IS_EX, host=2)
    assert port.run(10) == [Sent(asked_at + 1, port.sent[-1].query)]
    assert port.sent[-1].query.suppress, "the group is known to be wanted again: the S flag is set"
    assert port.filter() == exclude()


@BOTH
def test_without_fast_leave_the_last_member_query_time_passes_first(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(fast_leave=False)).started()
    port.report(TO_EX)
    left = port.now
    queries = port.report(TO_IN)
    assert [(query.group, query.max_response_time) for query in queries] == [(port.group(), 1)]
    assert port.view().leaving
    port.run(10)
    assert [sent.at - left for sent in port.sent] == [0, 1]
    assert port.changes[-1] == (left + 2, port.group(), include())


@BOTH
def test_hosts_count_as_tracked_only_after_they_could_answer_the_first_query(protocol: Protocol) -> None:
    port = VirtualPort(protocol)
    port.start()
    port.report(TO_EX)
    assert specific(port.report(TO_IN)) == [((), False)]
    assert port.filter() == exclude()
    port.run(2)
    assert port.filter() == include()


@BOTH
def test_group_and_source_queries_split_into_doubted_and_renewed_sources(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(fast_leave=False)).started()
    port.report(ALLOW, (1, 2))
    assert specific(port.report(BLOCK, (1, 2))) == [(port.sources((1, 2)), False)]
    port.run(0.5)
    port.report(IS_IN, (2,), host=2)
    assert specific([sent.query for sent in port.run(0.5)]) == [(port.sources((1,)), False), (port.sources((2,)), True)]
    port.run(1)
    assert port.filter() == include(port.source(2))


@BOTH
def test_records_of_one_report_give_one_change(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(ALLOW, (1,))
    group = port.group()
    swap = (GroupRecord(BLOCK, group, port.sources((1,))), GroupRecord(ALLOW, group, port.sources((2,))))
    port.hear(MembershipReport(swap))
    assert [filter_ for _, _, filter_ in port.changes] == [include(port.source(1)), include(port.source(2))]


@BOTH
def test_leaving_a_group_nobody_joined_makes_no_state(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    for received, sources in ((TO_IN, ()), (IS_IN, ()), (BLOCK, (1,)), (ALLOW, ())):
        assert port.report(received, sources) == []
    assert not port.router.groups()
    assert not port.changes


@pytest.mark.parametrize(
    ("protocol", "group"),
    [
        (IGMP, IPv4Address("224.0.0.251")),
        (MLD, IPv6Address("ff02::fb")),
        (MLD, IPv6Address("ff01::1")),
        (MLD, IPv6Address("ff12::5")),
    ],
)
def test_link_scoped_groups_are_counted_and_not_tracked(protocol: Protocol, group: IPAddress) -> None:
    port = VirtualPort(protocol).started()
    port.hear(MembershipReport((GroupRecord(TO_EX, group),)))
    assert not port.router.groups()
    assert port.router.counts().link_scoped_records == 1
    assert not port.drops.snapshot()


@BOTH
def test_views_show_mode_sources_timers_version_and_hosts(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.report(TO_EX, (3,), host=2)
    port.report(ALLOW, (1,), host=1)
    view = port.view()
    assert view.version == protocol.newest_version
    assert port.timers() == {port.source(1): GMI, port.source(3): None}
    assert port.group_timer() == GMI
    assert [(host.address, host.filter) for host in view.hosts] == [
        (port.host_address(1), include(port.source(1))),
        (port.host_address(2), exclude(port.source(3))),
    ]


def test_filters_come_in_the_order_of_their_groups() -> None:
    port = VirtualPort().started()
    for number in (7, 1, 300, 5):
        port.report(TO_EX, group=number)
    assert list(port.router.filters()) == [port.group(number) for number in (1, 5, 7, 300)]


def test_messages_of_another_vlan_are_refused_and_queries_carry_our_tag() -> None:
    drops = Drops()
    tag = VlanTag(7)
    source = PortSource(ROUTER_MAC, IPv4Address(0), tag)
    router = GroupMembershipRouter(IGMP, MembershipConfig(), source, drops)
    output = router.start(Instant(0.0))
    assert ethernet.parse(output.frames[0]).vlan == tag
    router.receive(Instant(1.0), VirtualPort().frame(MembershipReport(()), 1))
    assert drops.snapshot() == {"igmp_other_vlan": 1}


def test_mld_refuses_a_source_that_is_not_link_local() -> None:
    mac = MacAddress(bytes(6))
    with pytest.raises(ValueError, match="link-local"):
        GroupMembershipRouter(MLD, MembershipConfig(), PortSource(mac, IPv6Address("2001:db8::1")), Drops())
