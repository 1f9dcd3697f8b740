"""This machine's addresses on a LAN, asked of the kernel without netlink."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from treecast.adapters.interface import addresses_of, lan_addresses

LOOPBACK = IPv4Interface("127.0.0.1/8")
ELSEWHERE = IPv4Network("10.77.0.0/16")


def test_the_addresses_of_the_first_interface_that_has_any_come_with_their_prefixes() -> None:
    assert LOOPBACK in lan_addresses(("no-such-one", "lo"), ELSEWHERE)
    assert addresses_of("lo")[0] == lan_addresses(("lo",), ELSEWHERE)


def test_an_interface_that_is_not_there_or_has_addresses_of_the_overlay_only_has_none() -> None:
    assert lan_addresses(("no-such-one",), ELSEWHERE) == ()
    assert LOOPBACK not in lan_addresses(("lo",), IPv4Network("127.0.0.0/8"))
