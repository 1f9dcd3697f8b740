"""Explicit host tracking: what one host wants, and who counts as the same host."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.sim.multicast.virtual_port import ALLOW, BLOCK, IS_EX, IS_IN, TO_EX, TO_IN, exclude, include
from treecast.base.addresses import MacAddress
from treecast.base.membership import SourceFilter
from treecast.base.time import Instant
from treecast.multicast.tracking import HostId, TrackedHosts
from treecast.wire.group_membership import RecordType

A, B, C = (IPv4Address("192.0.2.1") + number for number in range(3))
MAC, OTHER_MAC = MacAddress(b"\x02\0\0\0\0\x01"), MacAddress(b"\x02\0\0\0\0\x02")
HERE, NOWHERE = IPv4Address("10.0.0.1"), IPv4Address(0)
FIRST = HostId(MAC, HERE)


def follow(
    hosts: TrackedHosts,
    received: RecordType,
    *sources: IPv4Address,
    host: HostId = FIRST,
    expires: float = 260.0,
) -> bool:
    end = Instant(expires)
    return hosts.follow(host, 3, received, sources, now=Instant(0), expires=end, max_hosts=2, max_sources=8)


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([(ALLOW, A), (ALLOW, B)], include(A, B)),
        ([(ALLOW, A, B), (BLOCK, A)], include(B)),
        ([(IS_IN, A), (IS_IN, B)], include(A, B)),
        ([(TO_IN, A), (TO_IN, B)], include(A, B)),
        ([(TO_EX, A), (TO_IN, B)], include(B)),
        ([(TO_EX, A), (BLOCK, B)], exclude(A, B)),
        ([(TO_EX, A, B), (ALLOW, B)], exclude(A)),
        ([(TO_EX, A), (IS_IN, C)], exclude(A)),
        ([(IS_EX, A), (IS_EX, B)], exclude(B)),
    ],
)
def test_a_host_is_followed_through_its_records(
    records: list[tuple[RecordType, IPv4Address]], wanted: SourceFilter
) -> None:
    hosts = TrackedHosts()
    for received, *sources in records:
        assert follow(hosts, received, *sources)
    assert [interest.filter for _, interest in hosts] == [wanted]


@pytest.mark.parametrize(("join", "leave"), [((TO_EX,), (TO_IN,)), ((ALLOW, A), (BLOCK, A)), ((TO_EX, A), (TO_IN,))])
def test_a_host_that_wants_nothing_is_forgotten(join: tuple[RecordType], leave: tuple[RecordType]) -> None:
    hosts = TrackedHosts()
    follow(hosts, *join)
    follow(hosts, *leave)
    assert len(hosts) == 0


def test_a_host_is_the_same_before_and_after_it_has_an_address() -> None:
    hosts = TrackedHosts()
    follow(hosts, TO_EX, host=HostId(MAC, NOWHERE))
    follow(hosts, IS_EX, host=HostId(MAC, HERE))
    follow(hosts, TO_IN, host=HostId(MAC, NOWHERE))
    assert len(hosts) == 0


def test_two_addresses_behind_one_mac_are_two_hosts() -> None:
    hosts = TrackedHosts()
    follow(hosts, TO_EX, host=HostId(MAC, HERE))
    follow(hosts, TO_EX, host=HostId(MAC, HERE + 1))
    follow(hosts, TO_IN, host=HostId(MAC, HERE))
    assert hosts.want_exclude_mode()


def test_hosts_expire_one_by_one() -> None:
    hosts = TrackedHosts()
    follow(hosts, TO_EX, expires=100)
    follow(hosts, TO_EX, host=HostId(OTHER_MAC, HERE), expires=200)
    assert hosts.next_deadline() == Instant(100)
    hosts.expire(Instant(100.0))
    assert [host.mac for host, _ in hosts] == [OTHER_MAC]


def test_a_host_with_too_many_sources_is_taken_to_want_everything() -> None:
    hosts = TrackedHosts()
    follow(hosts, ALLOW, *(A + number for number in range(9)))
    assert [interest.filter for _, interest in hosts] == [exclude()]
