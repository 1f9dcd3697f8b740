"""Peers that cannot be: addresses of no single machine, and the overlay's own."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

import pytest

from treecast.base.addresses import Endpoint, HostPort, IPAddress
from treecast.base.errors import OperatorError
from treecast.base.time import Instant
from treecast.daemon.peer_addresses import require_underlay_peers, why_no_peer
from treecast.daemon.peer_names import PeerNames
from treecast.identity.network import Network

NETWORK = Network("test", bytes(32), IPv4Network("10.77.0.0/16"), IPv6Network("fd00:1:2:3::/64"), bytes(32))
BOB = HostPort("bob.example", 7700)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("224.0.0.1", "multicast"),
        ("239.1.2.3", "multicast"),
        ("ff02::1", "multicast"),
        ("::ffff:224.0.0.1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("0.0.0.0", "no machine's address"),
        ("0.1.2.3", "no machine's address"),
        ("::", "no machine's address"),
        ("10.77.0.1", r"of the overlay itself \(10.77.0.0/16\)"),
        ("::ffff:10.77.0.1", r"of the overlay itself \(10.77.0.0/16\)"),
        ("fd00:1:2:3::9", r"of the overlay itself \(fd00:1:2:3::/64\)"),
    ],
)
def test_a_peer_at_an_address_where_no_node_can_be_is_refused_with_what_to_give(host: str, word: str) -> None:
    with pytest.raises(OperatorError, match=f"{word}.*: give the underlay address of a machine that runs a node"):
        require_underlay_peers((HostPort("192.0.2.1", 7700), HostPort(host, 7700)), NETWORK)


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "127.0.0.1", "10.78.0.1", "2001:db8::1", "fe80::1%lo", "fe80::1%1", "bob.example"]
)
def test_other_peers_are_taken(host: str) -> None:
    require_underlay_peers((HostPort(host, 7700),), NETWORK)


def test_a_zone_at_an_address_that_has_none_is_refused_and_no_misspelt_name() -> None:
    with pytest.raises(OperatorError, match=r"has a zone, and is no link-local .*: give \[2001:db8::1\]:7701"):
        require_underlay_peers((HostPort("2001:db8::1%eth0", 7701),), NETWORK)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("fe80::1", "is a link-local address without a zone"),
        ("fe80::1%nowhere", "has the zone nowhere, which is no interface of this machine"),
        ("fe80::1%999999999", "has the zone 999999999, which is no interface of this machine"),
    ],
)
def test_a_link_local_peer_on_no_interface_of_this_machine_is_refused_with_the_form(host: str, word: str) -> None:
    with pytest.raises(OperatorError, match=rf"{word}: give the interface .* in the form \[fe80::1%eth0\]"):
        require_underlay_peers((HostPort(host, 7700),), NETWORK)


def resolved(monkeypatch: pytest.MonkeyPatch, *found: str) -> tuple[list[tuple[Endpoint, ...]], list[str]]:
    """The endpoints sought once bob's name has these addresses, and the problems."""

    async def resolver(_: str) -> tuple[IPAddress, ...]:
        answered.set()
        return tuple(ip_address(address) for address in found)

    async def until_answered() -> None:
        following = asyncio.ensure_future(names.follow())
        await answered.wait()
        await asyncio.sleep(0)
        following.cancel()

    answered, sought = asyncio.Event(), list[tuple[Endpoint, ...]]()
    monkeypatch.setattr("treecast.daemon.peer_names.addresses_of", resolver)
    names = PeerNames((BOB,), lambda _, endpoints: sought.append(endpoints), lambda a: why_no_peer(a, NETWORK))
    asyncio.run(until_answered())
    return sought, [problem.text for problem in names.problems(Instant(0.0))]


def test_a_name_that_resolves_to_an_address_of_the_overlay_is_a_problem_and_not_sought(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sought, (problem,) = resolved(monkeypatch, "10.77.0.1")
    assert sought == [()]
    assert "the name of peer bob.example:7700 stands for 10.77.0.1, an address of the overlay itself" in problem


def test_of_a_name_with_several_addresses_those_of_the_underlay_are_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    sought, found = resolved(monkeypatch, "10.77.0.1", "192.0.2.1")
    assert (sought, found) == ([(), (Endpoint(IPv4Address("192.0.2.1"), 7700),)], [])
