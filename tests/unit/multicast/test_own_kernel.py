"""A gateway program of this machine makes its kernel a router on the port that is also a host there."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address

import pytest

from tests.sim.multicast.virtual_switch import MAC, VirtualSwitch
from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.membership import ANY_SOURCE, NO_SOURCE
from treecast.multicast import NO_ADDRESS, OwnKernel, SwitchOutput, neighbour_of
from treecast.wire import ethernet, igmp, mld
from treecast.wire.group_membership import MembershipQuery, RecordType

FAMILIES = pytest.mark.parametrize("version", [4, 6], ids=["igmp", "mld"])
GROUPS: dict[int, IPAddress] = {4: IPv4Address("239.1.1.1"), 6: IPv6Address("ff15::1")}
NOBODY: dict[int, IPAddress] = {4: IPv4Address(0), 6: IPv6Address(0)}
KERNEL = MacAddress(b"\x02\0\0\0\0\x77")
OWN, NEIGHBOUR, LAN_NEIGHBOUR = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.254"), IPv4Address("192.0.2.254")
LAN_IPV4 = IPv4Address("192.0.2.7")
ALL = b"\x01\x00\x5e\x00\x00\x16"


def on_a_tap() -> VirtualSwitch:
    switch = VirtualSwitch(ipv4_source="0.0.0.0")
    switch.note(switch.switch.set_ipv4(switch.now, NO_ADDRESS, OwnKernel(MAC, NEIGHBOUR)))
    switch.run(60)
    return switch


def query_of_the_kernel(switch: VirtualSwitch, version: int, group: IPAddress, mac: MacAddress = MAC) -> None:
    newest = 3 if version == 4 else 2
    query = MembershipQuery(newest, group, 1, False, 2, 125)
    frame = (
        igmp.message_frame(query, mac, OWN) if version == 4 else mld.message_frame(query, mac, IPv6Address("fe80::1"))
    )
    switch.receive(ethernet.parse(frame))


def reports(output: SwitchOutput) -> list[tuple[bytes, IPv4Address]]:
    """The MAC that it goes to, and the address that it is from."""
    frames = [ethernet.parse(sent.frame) for sent in output.frames]
    found = [(frame.destination.packed, igmp.parse_frame(frame)) for frame in frames if frame.ethertype == 0x0800]
    return [(to, IPv4Address(str(r.source))) for to, r in found if not isinstance(r.message, MembershipQuery)]


@FAMILIES
def test_a_query_of_the_own_kernel_shows_a_router_and_is_answered(version: int) -> None:
    """The kernel has the node's MAC on a TAP; the port never brings back what the node itself sends there."""
    switch = on_a_tap()
    query_of_the_kernel(switch, version, NOBODY[version])
    assert switch.new_routers == [0]
    assert [view.seen_by for view in switch.switch.routers()] == ["query"]
    switch.set_proxied(GROUPS[version], ANY_SOURCE)
    switch.run(5)
    switch.said.clear()
    query_of_the_kernel(switch, version, GROUPS[version])
    assert len(switch.reports(switch.run(1))) == 1
    assert switch.drops.snapshot() == {}


@FAMILIES
def test_a_query_of_the_own_kernel_elects_nobody_and_ends_no_membership(version: int) -> None:
    """Nothing says that the kernel hears it itself (IP_MULTICAST_LOOP may be off), and answers."""
    switch, group = on_a_tap(), GROUPS[version]
    switch.report(group, RecordType.CHANGE_TO_EXCLUDE_MODE)
    query_of_the_kernel(switch, version, NOBODY[version])
    query_of_the_kernel(switch, version, group)
    assert all(router.querier().is_querier for _, _, port in switch.switch.segments() for router in port.routers())
    switch.run(30)
    assert switch.switch.filter(0, group) == ANY_SOURCE


def test_the_own_kernel_on_a_tap_hears_reports_from_a_neighbour() -> None:
    switch = on_a_tap()
    query_of_the_kernel(switch, 4, NOBODY[4])
    switch.switch.set_proxied(switch.now, 0, GROUPS[4], ANY_SOURCE)
    assert reports(switch.switch.advance(switch.now)) == [(ALL, NEIGHBOUR)]


def test_the_own_kernel_on_a_lan_gets_a_report_of_its_own_beside_that_of_the_lan() -> None:
    switch = on_a_tap()
    switch.note(switch.switch.set_ipv4(switch.now, LAN_IPV4, OwnKernel(KERNEL, LAN_NEIGHBOUR)))
    query_of_the_kernel(switch, 4, NOBODY[4], KERNEL)
    switch.switch.set_proxied(switch.now, 0, GROUPS[4], ANY_SOURCE)
    assert reports(switch.switch.advance(switch.now)) == [(ALL, LAN_IPV4), (KERNEL.packed, LAN_NEIGHBOUR)]
    switch.switch.set_proxied(switch.now, 0, GROUPS[4], NO_SOURCE)
    assert reports(switch.switch.advance(switch.now)) == [(ALL, LAN_IPV4), (KERNEL.packed, LAN_NEIGHBOUR)]


@pytest.mark.parametrize(
    ("queriers", "answered_from"),
    [
        (["10.99.1.77"], "10.99.1.254"),
        (["10.99.1.77", "0.0.0.0"], "10.99.1.254"),
        (["10.99.1.77", "192.0.2.9"], "192.0.2.7"),
        (["172.16.0.1"], "192.0.2.7"),
    ],
)
def test_of_several_subnets_on_a_lan_the_querier_gets_reports_from_its_own(
    queriers: list[str], answered_from: str
) -> None:
    """igmpproxy refuses what comes from another subnet than its own. A switch may query from 0.0.0.0."""
    switch = on_a_tap()
    subnets = (IPv4Interface("192.0.2.7/24"), IPv4Interface("10.99.1.254/16"))
    switch.note(switch.switch.set_ipv4(switch.now, LAN_IPV4, None, lan=subnets))
    query = MembershipQuery(3, IPv4Address(0), 1, False, 2, 125)
    for querier in queriers:
        switch.receive(ethernet.parse(igmp.message_frame(query, KERNEL, IPv4Address(querier))))
    switch.switch.set_proxied(switch.now, 0, GROUPS[4], ANY_SOURCE)
    assert reports(switch.switch.advance(switch.now)) == [(ALL, IPv4Address(answered_from))]


@FAMILIES
def test_on_a_lan_a_query_with_the_node_s_own_mac_is_its_own_that_came_back(version: int) -> None:
    switch = on_a_tap()
    switch.note(switch.switch.set_ipv4(switch.now, LAN_IPV4, OwnKernel(KERNEL, LAN_NEIGHBOUR)))
    query_of_the_kernel(switch, version, NOBODY[version], MAC)
    assert switch.new_routers == []
    assert switch.drops.snapshot() == {("igmp_own_query" if version == 4 else "mld_own_query"): 1}


@pytest.mark.parametrize(
    ("address", "neighbour"),
    [
        ("10.77.0.1/16", "10.77.255.254"),
        ("10.77.255.254/16", "10.77.255.253"),
        ("10.0.0.1/30", "10.0.0.2"),
        ("10.0.0.2/30", "10.0.0.1"),
        ("10.0.0.0/31", "10.0.0.1"),
        ("10.0.0.1/31", "10.0.0.0"),
        ("10.0.0.1/32", "0.0.0.0"),
    ],
)
def test_a_neighbour_is_another_address_of_the_subnet(address: str, neighbour: str) -> None:
    assert neighbour_of(IPv4Interface(address)) == IPv4Address(neighbour)
