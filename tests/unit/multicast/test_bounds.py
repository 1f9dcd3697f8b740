"""Every table has a maximum, every refusal a name (and every value a range)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from tests.sim.multicast.virtual_port import ALLOW, IS_EX, TO_EX, TO_IN, VirtualPort, exclude, include, specific
from treecast.base.time import Instant
from treecast.multicast import IGMP, MLD, MembershipConfig, Protocol
from treecast.multicast.router import MAX_GROUPS_PER_TURN
from treecast.wire.group_membership import GroupRecord, MembershipReport

BOTH = pytest.mark.parametrize("protocol", [IGMP, MLD], ids=lambda protocol: protocol.name)


@BOTH
def test_the_newest_group_is_refused_when_the_table_is_full(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(max_groups=2)).started()
    for number in (1, 2, 3):
        port.report(TO_EX, group=number)
    assert list(port.router.filters()) == [port.group(1), port.group(2)]
    assert port.drops.snapshot() == {f"{protocol.name}_groups_full": 1}
    port.report(TO_IN, group=1)
    port.report(TO_EX, group=3)
    assert list(port.router.filters()) == [port.group(2), port.group(3)]


@BOTH
def test_the_newest_sources_are_refused_and_counted_one_by_one(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(max_sources_per_group=3)).started()
    port.report(ALLOW, (5, 6))
    port.report(ALLOW, (6, 3, 4, 1))
    assert port.filter() == include(*port.sources((3, 5, 6)))
    assert port.drops.snapshot() == {f"{protocol.name}_sources_full": 2}


@BOTH
def test_sources_that_come_back_from_tracked_hosts_are_bounded_too(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(max_sources_per_group=2)).started()
    port.report(ALLOW, (1, 2), host=1)
    port.report(TO_EX, host=2)
    port.report(ALLOW, (3,), host=3)
    port.report(TO_IN, host=2)
    assert port.filter() == include(*port.sources((1, 3)))


@BOTH
def test_excluded_sources_beyond_the_limit_are_forwarded(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(max_sources_per_group=2)).started()
    port.report(TO_EX, (1, 2, 3))
    assert port.filter() == exclude(*port.sources((1, 2)))


@BOTH
def test_a_host_that_cannot_be_tracked_makes_leaves_ask_first(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(max_hosts_per_group=1)).started()
    port.report(TO_EX, host=1)
    port.report(TO_EX, host=2)
    assert port.drops.snapshot() == {f"{protocol.name}_hosts_full": 1}
    assert specific(port.report(TO_IN, host=1)) == [((), False)]
    port.run(0.1)
    port.report(IS_EX, host=2)
    port.run(5)
    assert port.filter() == exclude()


@BOTH
def test_tracked_hosts_are_bounded_over_all_groups_and_room_comes_back(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(max_tracked_hosts=2)).started()
    for number in (1, 2, 3):
        port.report(TO_EX, group=number)
    assert port.drops.snapshot() == {f"{protocol.name}_hosts_full": 1}
    assert [len(view.hosts) for view in port.router.groups()] == [1, 1, 0]
    port.run(300)
    assert not port.router.groups()
    for number in (4, 5):
        port.report(TO_EX, group=number)
    assert [len(view.hosts) for view in port.router.groups()] == [1, 1]


@BOTH
def test_alarms_do_not_pile_up_when_a_host_joins_and_leaves_for_ever(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(fast_leave=False)).started()
    for _ in range(2000):
        port.report(TO_EX)
        port.report(TO_IN)
        port.now = Instant(port.now + 0.001)
    assert len(port.router._wake_ups) < 100


@BOTH
def test_unusable_groups_and_sources_are_counted_and_the_rest_of_the_report_counts(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    records = (
        GroupRecord(TO_EX, port.source(1)),
        GroupRecord(ALLOW, port.group(), (port.source(1), port.group(2))),
    )
    port.hear(MembershipReport(records))
    assert port.filter() == include(port.source(1))
    name = protocol.name
    assert port.drops.snapshot() == {f"{name}_group_not_multicast": 1, f"{name}_source_not_unicast": 1}


def test_queries_with_many_sources_are_split_to_fit_the_smallest_mtu() -> None:
    port = VirtualPort(MLD, MembershipConfig(max_sources_per_group=200, fast_leave=False)).started()
    port.report(ALLOW, range(1, 81))
    queries = port.report(TO_IN)
    assert [len(query.sources) for query in queries] == [75, 5]


@BOTH
def test_ssm_groups_refuse_any_source_joins_when_that_is_enforced(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(enforce_ssm=True)).started()
    address = IPv4Address("232.1.1.1") if protocol is IGMP else IPv6Address("ff35::1")
    port.hear(MembershipReport((GroupRecord(TO_EX, address),)))
    assert port.drops.snapshot() == {f"{protocol.name}_any_source_of_ssm_group": 1}
    port.hear(MembershipReport((GroupRecord(ALLOW, address, port.sources((1,))),)))
    assert dict(port.router.filters()) == {address: include(port.source(1))}


@pytest.mark.parametrize(
    "values",
    [
        {"robustness": 0},
        {"robustness": 8},
        {"query_interval": 0.5},
        {"query_interval": 40000},
        {"query_response_interval": 0.01},
        {"query_response_interval": 125},
        {"startup_query_interval": 0},
        {"startup_query_count": 0},
        {"last_member_query_interval": 0},
        {"last_member_query_count": 0},
        {"max_groups": 0},
        {"max_sources_per_group": 0},
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        MembershipConfig(**values)


def test_defaults_are_those_of_rfc_9776_section_8() -> None:
    config = MembershipConfig()
    intervals = config.intervals
    assert config.effective_startup_query_interval == 31.25
    assert config.effective_startup_query_count == 2
    assert intervals.group_membership_interval == 260
    assert intervals.other_querier_present_interval == 255
    assert intervals.older_host_present_interval == 260
    assert intervals.last_member_query_time == 2


@BOTH
def test_memberships_that_end_together_end_in_turns_of_bounded_length(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    groups = range(1, 1001)
    port.hear(MembershipReport(tuple(GroupRecord(TO_EX, port.group(number)) for number in groups)))
    port.changes.clear()
    sizes = []
    end = Instant(port.now + 260)
    while port.router.filters():
        port.now = max(port.now, port.router.next_deadline() or end)
        changes = port.router.advance(port.now).changes
        if changes:
            sizes.append(len(changes))
    assert port.now == end
    assert sum(sizes) == 1000
    assert max(sizes) == MAX_GROUPS_PER_TURN
