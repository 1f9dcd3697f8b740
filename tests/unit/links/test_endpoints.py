"""A node advertises the endpoints at which it can be reached."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from treecast.base.addresses import Endpoint, IPAddress
from treecast.links.endpoints import advertised_endpoints

CABLE, LAN, OVERLAY = IPv4Address("192.0.2.7"), IPv4Address("192.168.1.7"), IPv4Address("10.77.0.1")
CABLE_IPV6 = IPv6Address("2001:db8::7")
ANY = Endpoint(IPv4Address(0), 7700)
ANY_IPV6 = Endpoint(IPv6Address(0), 7700)
NETWORKS = (IPv4Network("10.77.0.0/16"), IPv6Network("fd00::/64"))


def told(
    *addresses: IPAddress,
    listening: tuple[Endpoint, ...] = (ANY,),
    on_the_bridge: tuple[IPAddress, ...] = (),
    sources: tuple[IPAddress, ...] = (),
) -> list[IPAddress]:
    apart = [address for address in addresses if address not in on_the_bridge]
    found = advertised_endpoints(listening, addresses, apart=apart, sources=set(sources), overlay=NETWORKS)
    return [endpoint.address for endpoint in found]


def test_any_address_is_spelled_out_by_those_of_the_machine_of_its_ip_version() -> None:
    assert told(CABLE, LAN, CABLE_IPV6) == [CABLE, LAN]
    assert told(CABLE, LAN, CABLE_IPV6, listening=(ANY, ANY_IPV6)) == [CABLE, LAN, CABLE_IPV6]


def test_an_address_that_was_named_is_told_as_it_is() -> None:
    named = Endpoint(CABLE, 7800)
    assert advertised_endpoints([named, named], [LAN], apart=[LAN], sources=set(), overlay=NETWORKS) == (named,)


def test_the_overlays_own_addresses_are_no_endpoints() -> None:
    assert told(CABLE, OVERLAY) == [CABLE]
    assert told(OVERLAY, on_the_bridge=(OVERLAY,)) == []


def test_addresses_on_a_bridged_lan_are_told_only_where_there_are_no_others() -> None:
    assert told(CABLE, LAN, on_the_bridge=(LAN,)) == [CABLE]
    assert told(LAN, on_the_bridge=(LAN,)) == [LAN]


def test_addresses_on_a_bridged_lan_are_told_where_datagrams_to_peers_leave_from_one() -> None:
    assert told(CABLE, LAN, on_the_bridge=(LAN,), sources=(LAN,)) == [CABLE, LAN]
    assert told(CABLE, LAN, on_the_bridge=(LAN,), sources=(CABLE,)) == [CABLE]
