"""Querier election and what other routers' queries do (RFC 9776 section 6.6)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.sim.multicast.virtual_port import ALLOW, ROUTER_MAC, TO_EX, TO_IN, VirtualPort, exclude, include, specific
from treecast.base.addresses import MacAddress
from treecast.base.counters import Drops
from treecast.base.time import Instant
from treecast.multicast import IGMP, MLD, GroupMembershipRouter, MembershipConfig, PortSource, Protocol
from treecast.wire import ethernet, igmp
from treecast.wire.group_membership import MembershipQuery

BOTH = pytest.mark.parametrize("protocol", [IGMP, MLD], ids=lambda protocol: protocol.name)
LOWER, HIGHER = 1, 200  # The router's own address ends in 100.


def general(port: VirtualPort, robustness: int = 2, query_interval: float = 125) -> MembershipQuery:
    newest = port.protocol.newest_version
    return MembershipQuery(newest, port.protocol.general, 10, False, robustness, query_interval)


def about(port: VirtualPort, sources: tuple[int, ...] = (), *, suppress: bool = False) -> MembershipQuery:
    return MembershipQuery(port.protocol.newest_version, port.group(), 1, suppress, 2, 125, port.sources(sources))


@BOTH
def test_a_lower_address_becomes_querier_and_we_fall_silent_until_it_does(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port), host=LOWER)
    began = port.now
    querier = port.router.querier()
    assert (querier.is_querier, querier.address) == (False, port.host_address(LOWER))
    sent = port.run(600)
    assert sent[0].at - began == 255, "the Other Querier Present Interval: 2 x 125 + 10 / 2 s"
    assert port.router.querier().is_querier


@BOTH
def test_a_higher_address_changes_nothing(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port), host=HIGHER)
    assert port.router.querier().is_querier


@BOTH
def test_an_even_lower_address_replaces_the_elected_querier(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    for host in (50, 20, 60):
        port.hear(general(port), host=host)
    assert port.router.querier().address == port.host_address(20)


@BOTH
def test_the_values_of_the_elected_querier_are_adopted_and_given_back(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port, robustness=3, query_interval=60), host=LOWER)
    port.report(TO_EX, host=5)
    assert port.group_timer() == 3 * 60 + 10
    port.run(3 * 60 + 5)
    querier = port.router.querier()
    assert (querier.is_querier, querier.robustness, querier.query_interval) == (True, 2, 125)


@BOTH
def test_a_non_querier_sends_no_specific_queries_and_waits_for_those_of_the_querier(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(fast_leave=False)).started()
    port.hear(general(port), host=LOWER)
    port.report(TO_EX, host=5)
    assert port.report(TO_IN, host=5) == []
    assert port.group_timer() == 260
    port.hear(about(port), host=LOWER)
    assert port.group_timer() == 2
    port.run(3)
    assert port.filter() == include()


@BOTH
def test_a_query_with_the_s_flag_lowers_no_timer(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port), host=LOWER)
    port.report(TO_EX, (3,), host=5)
    port.hear(about(port, suppress=True), host=LOWER)
    assert port.group_timer() == 260
    assert port.filter() == exclude(port.source(3))


@BOTH
def test_a_group_and_source_query_lowers_the_timers_of_its_sources_only(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port), host=LOWER)
    port.report(ALLOW, (1, 2), host=5)
    port.hear(about(port, (1,)), host=LOWER)
    assert port.timers() == {port.source(1): 2, port.source(2): 260}


@BOTH
def test_losing_the_election_ends_queries_under_way(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(fast_leave=False)).started()
    port.report(TO_EX)
    assert specific(port.report(TO_IN)) == [((), False)]
    port.hear(general(port), host=LOWER)
    assert port.run(1.5) == []


@BOTH
def test_our_own_query_that_comes_back_is_counted(protocol: Protocol) -> None:
    port = VirtualPort(protocol)
    output = port.router.start(port.now)
    port.router.receive(port.now, output.frames[0])
    assert port.router.querier().is_querier
    assert port.drops.snapshot() == {f"{protocol.name}_own_query": 1}


def test_a_query_from_no_address_never_wins() -> None:
    port = VirtualPort().started()
    frame = igmp.message_frame(general(port), MacAddress(b"\x02\0\0\0\0\x01"), IPv4Address(0))
    port.router.receive(port.now, frame)
    assert port.router.querier().is_querier


def test_a_port_without_address_yields_to_any_address() -> None:
    source = PortSource(ROUTER_MAC, IPv4Address(0))
    router = GroupMembershipRouter(IGMP, MembershipConfig(), source, Drops())
    router.start(Instant(0.0))
    port = VirtualPort()
    router.receive(Instant(1.0), port.frame(general(port), HIGHER))
    assert router.querier().address == port.host_address(HIGHER)


@BOTH
def test_a_new_source_address_takes_part_in_the_election_anew(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port), host=50)
    source = PortSource(ROUTER_MAC, port.host_address(10))
    assert port.router.set_source(port.now, source).frames
    port.hear(general(port), host=50)
    assert port.router.querier().is_querier


@BOTH
def test_a_lost_start_is_made_good_by_the_second_startup_query(protocol: Protocol) -> None:
    port = VirtualPort(protocol, MembershipConfig(startup_query_interval=1, startup_query_count=4))
    port.start()
    began = port.now
    assert [sent.at - began for sent in port.run(200)] == [1, 2, 3, 128]


@BOTH
def test_hosts_that_come_are_queried_at_once_and_many_together_once_in_five_seconds(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    began = port.now
    port.router.query_arrivals(port.now)
    for _ in range(8):
        port.run(0.5)
        port.router.query_arrivals(port.now)
    assert [sent.at - began for sent in port.run(20.0)] == [5.0]
    assert [sent.at - began for sent in port.sent] == [0.0, 5.0]
    assert all(sent.query.is_general and sent.query.max_response_time == 1.0 for sent in port.sent)


@BOTH
def test_hosts_that_come_are_queried_beside_another_querier_too_which_stays_so(protocol: Protocol) -> None:
    port = VirtualPort(protocol).started()
    port.hear(general(port), host=LOWER)
    port.router.query_arrivals(port.now)
    (frame,) = port.router.advance(port.now).frames
    parsed = protocol.parse_frame(ethernet.parse(frame))
    assert parsed.source.is_unspecified is (protocol is IGMP)
    assert not port.router.querier().is_querier
    assert port.run(200) == []
