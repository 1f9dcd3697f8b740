"""The Linux kernel as host: it answers our queries, and the router follows what its programs ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv6Address

import pytest

from tests.lab.multicast.kernel_port import (
    BLOCK_SOURCE,
    INTERFACE,
    JOIN_GROUP,
    JOIN_SOURCE_GROUP,
    KERNEL_IPV4,
    LEAVE_GROUP,
    LEAVE_SOURCE_GROUP,
    LINK_LOCAL,
    MAC,
    QUICK,
    UNBLOCK_SOURCE,
    KernelPort,
    addresses,
)
from treecast.base.addresses import IPAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.multicast.protocol import NO_ADDRESS
from treecast.wire import igmp, mld
from treecast.wire.group_membership import LeaveGroup, MembershipMessage, MembershipQuery, MembershipReport, OlderReport

G4, G6 = addresses("239.1.1.1", "ff15::1234")
SOURCES = {4: addresses("192.0.2.1", "192.0.2.2"), 6: addresses("2001:db8::1", "2001:db8::2")}
FAMILIES = pytest.mark.parametrize(("version", "group"), [(4, G4), (6, G6)], ids=["igmp", "mld"])
MakePort = Callable[..., KernelPort]


@pytest.fixture
def kernel_port() -> Iterator[MakePort]:
    made: list[KernelPort] = []

    def make(sysctls: dict[str, int] | None = None) -> KernelPort:
        made.append(KernelPort(sysctls))
        return made[-1]

    yield make
    for port in made:
        port.close()


def force(name: str, version: int) -> dict[str, int]:
    family = "ipv4" if name == "igmp" else "ipv6"
    return {f"net/{family}/conf/{where}/force_{name}_version": version for where in ("all", INTERFACE)}


def include(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(sources))


def exclude(*sources: IPAddress) -> SourceFilter:
    return SourceFilter(FilterMode.EXCLUDE, frozenset(sources))


@FAMILIES
def test_the_kernel_answers_our_queries_so_a_membership_outlives_its_interval(
    kernel_port: MakePort, version: int, group: IPAddress
) -> None:
    port = kernel_port()
    port.start()
    port.program(version).call(JOIN_GROUP, group)
    port.pump(lambda: port.filter(group) == ANY_SOURCE, 2)
    port.pump_for(2 * QUICK.intervals.group_membership_interval)
    assert port.filter(group) == ANY_SOURCE
    assert port.drops.snapshot() == {}


def test_ipv4_queries_are_answered_from_no_address_and_ignored_from_the_kernels_own(kernel_port: MakePort) -> None:
    port = kernel_port()
    port.program(4).call(JOIN_GROUP, G4)
    port.pump_for(1.5)  # the unsolicited reports
    for rp_filter in (0, 1, 2):
        port.namespace.sysctl(f"net/ipv4/conf/{INTERFACE}/rp_filter", rp_filter)
        for group in (igmp.NO_GROUP, G4):
            query = MembershipQuery(3, group, 0.1, False, 2, 125)
            assert count_answers(port, igmp.message_frame(query, MAC, KERNEL_IPV4)) == 0
            assert count_answers(port, igmp.message_frame(query, MAC, NO_ADDRESS)) == 1


def test_ipv6_queries_are_answered_from_the_kernels_own_link_local_address(kernel_port: MakePort) -> None:
    port = kernel_port()
    port.program(6).call(JOIN_GROUP, G6)
    port.pump_for(2.5)  # the unsolicited reports
    for group in (mld.NO_GROUP, G6):
        query = MembershipQuery(2, group, 0.1, False, 2, 125)
        assert count_answers(port, mld.message_frame(query, MAC, LINK_LOCAL)) == 1
        assert count_answers(port, mld.message_frame(query, MAC, IPv6Address(0))) == 0


def count_answers(port: KernelPort, query: bytes) -> int:
    """How many reports about the test's groups follow within 0.4 s of a query with 0.1 s to answer."""
    port.heard.clear()
    port.write(query)
    port.pump_for(0.4)
    reports = [message for message in port.messages() if isinstance(message, MembershipReport)]
    return sum(any(record.group in (G4, G6) for record in report.records) for report in reports)


@FAMILIES
def test_the_router_follows_source_filters_of_programs(kernel_port: MakePort, version: int, group: IPAddress) -> None:
    port = kernel_port()
    port.start()
    first, second = SOURCES[version]
    program = port.program(version)
    port.pump_for(0.6)  # hosts count as tracked from here on
    steps: list[tuple[int, IPAddress | None, SourceFilter]] = [
        (JOIN_SOURCE_GROUP, first, include(first)),
        (JOIN_SOURCE_GROUP, second, include(first, second)),
        (LEAVE_SOURCE_GROUP, first, include(second)),
        (LEAVE_SOURCE_GROUP, second, NO_SOURCE),
        (JOIN_GROUP, None, ANY_SOURCE),
        (BLOCK_SOURCE, first, exclude(first)),
        (BLOCK_SOURCE, second, exclude(first, second)),
        (UNBLOCK_SOURCE, first, exclude(second)),
        (LEAVE_GROUP, None, NO_SOURCE),
    ]
    for option, source, wanted in steps:
        program.call(option, group, source)
        port.pump_until_filter_is(group, wanted, 10)
    port.pump_for(1.5)  # repeated state-change reports and queries under way change nothing
    assert port.filter(group) == NO_SOURCE
    assert port.drops.snapshot() == {}


@FAMILIES
def test_two_programs_of_one_host_are_merged(kernel_port: MakePort, version: int, group: IPAddress) -> None:
    port = kernel_port()
    port.start()
    first, second = SOURCES[version]
    programs = [port.program(version) for _ in range(3)]
    programs[0].call(JOIN_SOURCE_GROUP, group, first)
    programs[1].call(JOIN_SOURCE_GROUP, group, second)
    port.pump(lambda: port.filter(group) == include(first, second), 2)
    programs[2].call(JOIN_GROUP, group)
    port.pump(lambda: port.filter(group) == ANY_SOURCE, 2)
    programs[2].call(LEAVE_GROUP, group)
    port.pump(lambda: port.filter(group) == include(first, second), 2)


@pytest.mark.parametrize(("family", "group", "version"), [("igmp", G4, 2), ("mld", G6, 1)], ids=["igmpv2", "mldv1"])
def test_kernels_of_older_versions_join_stay_and_leave(
    kernel_port: MakePort, family: str, group: IPAddress, version: int
) -> None:
    port = kernel_port(force(family, version))
    port.start()
    program = port.program(group.version)
    program.call(JOIN_GROUP, group)
    port.pump(lambda: port.filter(group) == ANY_SOURCE, 2)
    assert next(view for view in port.router.groups() if view.group == group).version == version
    port.pump_for(1.5 * QUICK.intervals.group_membership_interval)
    assert port.filter(group) == ANY_SOURCE, "it answers our queries"
    program.call(LEAVE_GROUP, group)
    port.pump(lambda: port.filter(group) == NO_SOURCE, 1.5)
    assert {type(message) for message in port.messages() if about(message, group)} == {OlderReport, LeaveGroup}
    assert port.drops.snapshot() == {}


def test_a_kernel_of_igmpv1_joins_and_leaves_by_silence(kernel_port: MakePort) -> None:
    port = kernel_port(force("igmp", 1))
    port.start()
    program = port.program(4)
    program.call(JOIN_GROUP, G4)
    port.pump(lambda: port.filter(G4) == ANY_SOURCE, 2)
    program.call(LEAVE_GROUP, G4)
    port.pump(lambda: port.filter(G4) == NO_SOURCE, QUICK.intervals.group_membership_interval + 1)
    assert {type(message) for message in port.messages() if about(message, G4)} == {OlderReport}


def about(message: MembershipMessage, group: IPAddress) -> bool:
    match message:
        case MembershipReport(records=records):
            return any(record.group == group for record in records)
        case _:
            return message.group == group
