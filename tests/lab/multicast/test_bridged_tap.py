"""Our TAP in a Linux bridge: hosts of all versions on one LAN, the machine itself, the bridge as another querier."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.multicast.bridged_tap import HIGHEST, BridgedTap, now
from tests.lab.multicast.kernel_port import JOIN_GROUP, JOIN_SOURCE_GROUP, LEAVE_GROUP, QUICK, addresses
from treecast.base.addresses import IPAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter

G4, G6 = addresses("239.7.7.7", "ff15::777")
S4, S6 = addresses("192.0.2.9", "2001:db8::9")
FAMILIES = pytest.mark.parametrize(("version", "group"), [(4, G4), (6, G6)], ids=["igmp", "mld"])
MakeLan = Callable[..., BridgedTap]
INTERVAL = QUICK.intervals.group_membership_interval


@pytest.fixture
def lan() -> Iterator[MakeLan]:
    made: list[BridgedTap] = []

    def make(bridge_options: str = "", hosts: list[dict[str, int]] | None = None, **source: Any) -> BridgedTap:
        made.append(BridgedTap(QUICK, bridge_options, hosts, **source))
        return made[-1]

    yield make
    for own in made:
        own.close()


def force(version: int) -> dict[str, int]:
    """A host of IGMP ``version``, and of MLD ``version`` - 1 (there is no MLDv0)."""
    igmp = {f"net/ipv4/conf/{where}/force_igmp_version": version for where in ("all", "default")}
    return igmp | {f"net/ipv6/conf/{where}/force_mld_version": max(version - 1, 1) for where in ("all", "default")}


@FAMILIES
def test_the_machine_itself_is_heard_though_the_queries_come_from_its_own_address(
    lan: MakeLan, version: int, group: IPAddress
) -> None:
    """The IPv4 source of our queries is the bridge's own address, for the LAN's sake."""
    own = lan()
    own.start()
    program = own.program(0, version)
    program.call(JOIN_GROUP, group)
    own.pump(lambda: own.filter(group) == ANY_SOURCE, 2)
    own.pump_for(1.5 * INTERVAL)
    assert own.filter(group) == ANY_SOURCE
    program.call(LEAVE_GROUP, group)
    own.pump(lambda: own.filter(group) == NO_SOURCE, 2)


@FAMILIES
def test_older_and_newer_hosts_on_one_lan_get_what_they_want(lan: MakeLan, version: int, group: IPAddress) -> None:
    """RFC 9776 section 7.3.2: with an older host in the group nobody can exclude; alone, sources count again."""
    own = lan(hosts=[force(2), force(2), force(3)])
    own.start()
    source = S4 if version == 4 else S6
    programs = {host: own.program(host, version) for host in (1, 2, 3)}
    programs[3].call(JOIN_SOURCE_GROUP, group, source)
    only = SourceFilter(FilterMode.INCLUDE, frozenset((source,)))
    own.pump(lambda: own.filter(group) == only, 3)
    for host in (1, 2):
        programs[host].call(JOIN_GROUP, group)
    own.pump(lambda: own.filter(group) == ANY_SOURCE, 3)
    own.pump_for(1.2 * INTERVAL)
    assert own.filter(group) == ANY_SOURCE
    programs[2].call(LEAVE_GROUP, group)
    own.pump_for(1.0)
    assert own.filter(group) == ANY_SOURCE, "the other older host is still there"
    programs[1].call(LEAVE_GROUP, group)
    own.pump(lambda: own.filter(group) == only, 3 * INTERVAL)


def test_a_host_of_igmpv1_beside_one_of_igmpv3_leaves_by_silence(lan: MakeLan) -> None:
    own = lan(hosts=[force(1), force(3)])
    own.start()
    oldest, newest = own.program(1, 4), own.program(2, 4)
    newest.call(JOIN_SOURCE_GROUP, G4, S4)
    only = SourceFilter(FilterMode.INCLUDE, frozenset((S4,)))
    own.pump(lambda: own.filter(G4) == only, 3)
    oldest.call(JOIN_GROUP, G4)
    own.pump(lambda: own.filter(G4) == ANY_SOURCE, 3)
    oldest.call(LEAVE_GROUP, G4)
    own.pump_for(1.0)
    assert own.filter(G4) == ANY_SOURCE, "IGMPv1 has no leave"
    own.pump(lambda: own.filter(G4) == only, 3 * INTERVAL)


@FAMILIES
def test_a_bridge_that_queries_hears_what_the_other_nodes_want(lan: MakeLan, version: int, group: IPAddress) -> None:
    """The bridge is the LAN's querier and snoops: our reports put the TAP into its multicast table."""
    options = "mcast_querier 1 mcast_query_interval 100 mcast_startup_query_interval 100 mcast_igmp_version 3"
    own = lan(options, source=HIGHEST)
    own._ip("link set br0 type bridge mcast_snooping 1 mcast_mld_version 2 mcast_query_use_ifaddr 1")
    own.start_with_a_query(version, 10)
    assert [(view.seen_by, view.address.version) for view in own.switch.routers()] == [("query", version)]
    own.switch.set_proxied(now(), 0, group, ANY_SOURCE)
    own.pump(lambda: group_at_tap(own, group), 3)
    own.switch.set_proxied(now(), 0, group, NO_SOURCE)
    own.pump(lambda: not group_at_tap(own, group), 5)


def group_at_tap(own: BridgedTap, group: IPAddress) -> bool:
    with own.namespace.enter():
        shown = subprocess.run(["bridge", "-j", "mdb", "show"], check=True, capture_output=True, text=True).stdout
    entries = json.loads(shown)[0]["mdb"]
    return any(entry["port"] == "treecast0" and entry["grp"] == str(group) for entry in entries)
