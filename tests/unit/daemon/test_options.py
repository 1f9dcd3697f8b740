"""The options that a node reports as on."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from treecast.base.addresses import ALL_GROUPS
from treecast.base.on_demand import OnDemandConfig
from treecast.base.relaying import Relaying
from treecast.daemon.options import UpOptions
from treecast.multicast import MembershipConfig


def test_a_node_with_nothing_asked_of_it_has_its_group_routes() -> None:
    options = UpOptions(Path("alice"), (), (), "treecast0", ALL_GROUPS, "info")
    assert options.in_words("treecast0") == ["groups by treecast0: 224.0.0.0/4, ff00::/8"]


def test_a_bridge_has_the_group_routes_of_the_interface_that_is_in_it() -> None:
    options = UpOptions(Path("alice"), (), (), "treecast0", ALL_GROUPS, "info", keep_interface=True)
    assert options.in_words("treecast0", "tcbr-eth1") == [
        "groups by tcbr-eth1: 224.0.0.0/4, ff00::/8",
        "treecast0 stays when the node ends",
    ]


def test_everything_that_was_asked_for_is_a_line_with_the_name_that_the_interface_has_now() -> None:
    options = UpOptions(
        directory=Path("alice"),
        listen=(),
        peers=(),
        interface="tap7",
        groups=(),
        log_level="info",
        keep_interface=True,
        router_groups=(IPv4Network("239.1.0.0/16"), IPv6Network("ff15::/16")),
        super_packets=False,
        underlay_mtu_bytes=1400,
        membership=MembershipConfig(query_interval=60, fast_leave=False),
        relaying=Relaying(relays=False, uplink_bps=20_000_000, max_children=4),
        max_links=8,
        on_demand=OnDemandConfig(above_bps=4_000_000, links=3),
    )
    assert options.in_words("tcx") == [
        "groups by tcx: none (programs name the interface)",
        "groups for routers: 239.1.0.0/16, ff15::/16",
        "tcx stays when the node ends",
        "underlay MTU of at most 1400 bytes",
        "datagrams for groups one by one",
        "no relay of other nodes' streams",
        "uplink of 20.0 Mb/s",
        "at most 4 children over all trees",
        "at most 8 links are chosen",
        "links on demand: at most 3, above 4.0 Mb/s for 5 s or 10.0 MB in a minute, until below 100.0 kb/s for 180 s",
        "membership: query-interval=60, fast-leave=off",
    ]


def test_a_node_that_makes_no_links_on_demand_says_so() -> None:
    options = UpOptions(Path("a"), (), (), "tc", (), "info", max_links=8, on_demand=OnDemandConfig(links=0))
    assert options.in_words("tc")[-1] == "links on demand: none"
