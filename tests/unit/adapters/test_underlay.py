"""Ways to other machines, as this machine's routes have them."""

from __future__ import annotations

from ipaddress import ip_address

from treecast.adapters.netdevice import mtu_of
from treecast.adapters.underlay import has_way, path_mtus_to, ways_to


def test_a_way_names_its_interface_and_what_that_carries_and_there_is_none_without_a_route() -> None:
    here, nowhere = ip_address("127.0.0.5"), ip_address("240.0.0.1")
    ways = ways_to([here, nowhere])
    assert ways[here].interface == "lo"
    assert ways[here].mtu_bytes == mtu_of("lo") > 0


def test_loopback_has_a_way_and_no_path_mtu() -> None:
    here = ip_address("127.0.0.5")
    assert has_way(here)
    assert path_mtus_to([here, ip_address("::1")]) == {}
