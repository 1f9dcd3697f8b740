"""Scapy's PIM Hellos, Joins and Prunes are read as scapy means them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.pim import (
    PIMv2GroupAddrs,
    PIMv2Hdr,
    PIMv2Hello,
    PIMv2HelloHoldtime,
    PIMv2HelloLANPruneDelay,
    PIMv2HelloLANPruneDelayValue,
    PIMv2JoinAddrs,
    PIMv2JoinPrune,
    PIMv2PruneAddrs,
)
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from treecast.base.addresses import IPAddress, MacAddress
from treecast.wire import ethernet, pim
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.pim import PimGroup, PimHello, PimJoinPrune, PimSource

quick = settings(max_examples=40, deadline=None, derandomize=True)
VERSIONS = pytest.mark.parametrize("version", [4, 6])
ROUTER = {4: "192.0.2.1", 6: "fe80::1"}
UPSTREAM = {4: "192.0.2.2", 6: "fe80::2"}
GROUP: dict[int, IPv4Address | IPv6Address] = {4: IPv4Address("239.0.0.0"), 6: IPv6Address("ff35::")}
SOURCE: dict[int, IPv4Address | IPv6Address] = {4: IPv4Address("198.51.100.0"), 6: IPv6Address("2001:db8::")}
named = st.tuples(st.integers(1, 200), st.booleans(), st.booleans())
asked = st.tuples(st.integers(1, 1000), st.lists(named, max_size=4), st.lists(named, max_size=4))


def read(version: int, message: object) -> PimHello | PimJoinPrune:
    """Reads a frame that carries scapy's message."""
    if version == 4:
        group: IPAddress = pim.ALL_PIM_ROUTERS_IPV4
        packet = bytes(IP(src=ROUTER[4], dst=str(group), ttl=1, proto=103) / message)
    else:
        group = pim.ALL_PIM_ROUTERS_IPV6
        packet = bytes(IPv6(src=ROUTER[6], dst=str(group), hlim=1, nh=103) / message)
    ethertype = EtherType.IPV4 if version == 4 else EtherType.IPV6
    return pim.parse(EthernetFrame(ethernet.multicast_mac(group), MacAddress(b"\x02\0\0\0\0\1"), ethertype, packet))


@VERSIONS
@quick
@given(hold_time=st.integers(0, 0xFFFE))
def test_hellos(version: int, hold_time: int) -> None:
    delay = PIMv2HelloLANPruneDelay(value=[PIMv2HelloLANPruneDelayValue()])
    theirs = PIMv2Hdr(type=0) / PIMv2Hello(option=[delay, PIMv2HelloHoldtime(holdtime=hold_time)])
    assert read(version, theirs) == PimHello(ip_address(ROUTER[version]), hold_time)


@VERSIONS
@quick
@given(hold_time=st.integers(0, 0xFFFE), groups=st.lists(asked, max_size=5))
def test_joins_and_prunes(
    version: int,
    hold_time: int,
    groups: list[tuple[int, list[tuple[int, bool, bool]], list[tuple[int, bool, bool]]]],
) -> None:
    family, length = (1, 32) if version == 4 else (2, 128)

    def theirs(kind: type, sources: list[tuple[int, bool, bool]]) -> list[object]:
        common = {"addr_family": family, "mask_len": length}
        return [kind(src_ip=str(SOURCE[version] + n), wildcard=w, rpt=r, **common) for n, w, r in sources]

    def ours(sources: list[tuple[int, bool, bool]]) -> tuple[PimSource, ...]:
        return tuple(PimSource(SOURCE[version] + n, w, r) for n, w, r in sources)

    message = PIMv2Hdr(type=3) / PIMv2JoinPrune(
        up_addr_family=family,
        up_neighbor_ip=UPSTREAM[version],
        holdtime=hold_time,
        jp_ips=[
            PIMv2GroupAddrs(
                addr_family=family,
                mask_len=length,
                gaddr=str(GROUP[version] + number),
                join_ips=theirs(PIMv2JoinAddrs, joins),
                prune_ips=theirs(PIMv2PruneAddrs, prunes),
            )
            for number, joins, prunes in groups
        ],
    )
    expected = tuple(
        PimGroup(GROUP[version] + number, length, ours(joins), ours(prunes)) for number, joins, prunes in groups
    )
    assert read(version, message) == PimJoinPrune(
        ip_address(ROUTER[version]), ip_address(UPSTREAM[version]), hold_time, expected
    )
