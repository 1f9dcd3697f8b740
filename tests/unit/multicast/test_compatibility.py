"""Hosts of older versions (RFC 9776 section 7.3.2, RFC 9777 section 8.3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.multicast.virtual_port import BLOCK, IS_EX, TO_EX, TO_IN, VirtualPort, exclude, include, specific
from treecast.multicast import IGMP, MLD, MembershipConfig, Protocol

OLDER = pytest.mark.parametrize(("protocol", "version"), [(IGMP, 2), (MLD, 1)], ids=["igmpv2", "mldv1"])


@OLDER
def test_an_older_report_joins_and_its_leave_asks_before_it_takes_effect(protocol: Protocol, version: int) -> None:
    port = VirtualPort(protocol).started()
    port.older_report(version)
    assert port.filter() == exclude()
    assert port.view().version == version
    assert specific(port.leave()) == [((), False)]
    port.run(1.9)
    assert port.filter() == exclude()
    port.run(0.2)
    assert port.filter() == include()


@OLDER
def test_another_older_host_answers_the_query_and_the_group_stays(protocol: Protocol, version: int) -> None:
    port = VirtualPort(protocol).started()
    port.older_report(version)
    port.leave()
    port.run(0.7)
    port.older_report(version, host=2)
    port.run(100)
    assert port.filter() == exclude()


@OLDER
def test_block_and_source_lists_are_ignored_while_an_older_host_is_present(protocol: Protocol, version: int) -> None:
    port = VirtualPort(protocol).started()
    port.older_report(version)
    assert port.report(BLOCK, (1,), host=2) == []
    assert port.report(TO_EX, (1,), host=2) == []
    assert port.filter() == exclude()
    assert port.timers() == {}


@OLDER
def test_the_newest_version_returns_when_the_older_hosts_fell_silent(protocol: Protocol, version: int) -> None:
    port = VirtualPort(protocol).started()
    port.older_report(version)
    for _ in range(3):
        port.run(100)
        port.report(IS_EX, host=2)
    assert port.view().version == protocol.newest_version
    port.report(TO_IN, host=2)
    assert port.filter() == include(), "with hosts of the newest version only, a leave is immediate again"


def test_an_igmpv1_host_makes_leaves_ignored() -> None:
    port = VirtualPort().started()
    port.older_report(1)
    port.older_report(2, host=2)
    assert port.view().version == 1
    assert port.leave(host=2) == []
    assert port.report(TO_IN, host=3) == []
    port.run(259)
    assert port.filter() == exclude()
    port.run(2)
    assert port.filter() == include()


def test_after_the_igmpv1_timer_the_igmpv2_timer_still_counts() -> None:
    port = VirtualPort().started()
    port.older_report(1)
    port.run(100)
    port.older_report(2, host=2)
    port.run(161)
    assert port.view().version == 2


def test_a_port_configured_for_igmpv2_sends_igmpv2_queries_and_refuses_igmpv3_reports() -> None:
    port = VirtualPort(IGMP, MembershipConfig(igmp_version=2))
    assert [query.version for query in port.start()] == [2]
    port.report(TO_EX)
    assert port.drops.snapshot() == {"igmp_newer_version": 1}
    port.older_report(2)
    port.run(60)
    assert [(query.version, query.group) for query in port.leave()] == [(2, port.group())]


def test_a_port_configured_for_igmpv1_sends_igmpv1_queries_and_members_leave_by_silence() -> None:
    port = VirtualPort(IGMP, MembershipConfig(igmp_version=1))
    assert [query.version for query in port.start()] == [1]
    port.older_report(1)
    assert port.leave() == []
    port.run(259)
    assert port.filter() == exclude()
    port.run(2)
    assert port.filter() == include()


@pytest.mark.parametrize(("protocol", "version"), [(IGMP, 4), (IGMP, 0), (MLD, 3)])
def test_a_version_that_does_not_exist_is_refused(protocol: Protocol, version: int) -> None:
    fields: dict[str, Any] = {f"{protocol.name}_version": version}
    with pytest.raises(ValueError, match=f"{protocol.name}_version must be between 1 and"):
        MembershipConfig(**fields)
