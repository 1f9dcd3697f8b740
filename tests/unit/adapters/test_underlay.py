"""Routes to other machines, as this machine's routes have them."""

from __future__ import annotations

from ipaddress import ip_address

from treecast.adapters.netdevice import mtu_of
from treecast.adapters.underlay import path_mtus_to, routes_to, underlay_route_type
from treecast.base.underlay_routes import UnderlayRouteType


def test_a_route_names_its_interface_and_what_that_carries_and_there_is_none_without_a_route() -> None:
    here, nowhere = ip_address("127.0.0.5"), ip_address("240.0.0.1")
    routes = routes_to([here, nowhere])
    assert routes[here].interface == "lo"
    assert routes[here].mtu_bytes == mtu_of("lo") > 0


def test_a_route_leads_to_one_machine_or_to_a_subnet() -> None:
    addresses = {"127.0.0.5": UnderlayRouteType.UNICAST, "127.255.255.255": UnderlayRouteType.BROADCAST}
    assert {text: underlay_route_type(ip_address(text)) for text in addresses} == addresses


def test_loopback_has_no_path_mtu() -> None:
    here = ip_address("127.0.0.5")
    assert path_mtus_to([here, ip_address("::1")]) == {}
