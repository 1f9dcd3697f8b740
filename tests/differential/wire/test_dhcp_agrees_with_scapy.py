"""Scapy's DHCP and DHCPv6 replies are read as scapy means them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DUID_LL,
    DUID_LLT,
    DHCP6_Reply,
    DHCP6OptClientId,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
    DHCP6OptServerId,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from treecast.base.addresses import MacAddress
from treecast.wire import dhcp, dhcpv6, ipv4, ipv6
from treecast.wire.dhcp import DhcpAcknowledgement
from treecast.wire.dhcpv6 import LeasedAddress

quick = settings(max_examples=40, deadline=None, derandomize=True)
macs = st.binary(min_size=6, max_size=6).map(lambda data: MacAddress(bytes((data[0] & 0xFE,)) + data[1:]))
ipv4s = st.integers(1, 2**32 - 1).map(IPv4Address)
ipv6s = st.integers(1, 2**120).map(IPv6Address)
seconds = st.integers(0, 2**32 - 1)


@quick
@given(macs, ipv4s, seconds)
def test_dhcp_acknowledgements(mac: MacAddress, address: IPv4Address, lease_s: int) -> None:
    options = [("message-type", "ack"), ("server_id", "192.0.2.1"), ("lease_time", lease_s), ("router", "192.0.2.1")]
    theirs = (
        IP(src="192.0.2.1", dst="255.255.255.255")
        / UDP(sport=67, dport=68)
        / BOOTP(op=2, chaddr=mac.packed, yiaddr=str(address))
        / DHCP(options=[*options, "end"])
    )
    packet = ipv4.parse(bytes(theirs))
    assert dhcp.is_server_message(packet)
    assert dhcp.parse(packet) == DhcpAcknowledgement(mac, address, lease_s)


@quick
@given(macs, st.lists(st.tuples(ipv6s, seconds), max_size=4), st.sampled_from((DUID_LL, DUID_LLT)))
def test_dhcpv6_replies(mac: MacAddress, given_: list[tuple[IPv6Address, int]], duid: type) -> None:
    addresses = [DHCP6OptIAAddress(addr=str(address), preflft=1, validlft=valid) for address, valid in given_]
    theirs = (
        IPv6(src="fe80::1", dst="fe80::2")
        / UDP(sport=547, dport=546)
        / DHCP6_Reply(trid=7)
        / DHCP6OptServerId(duid=DUID_LL(lladdr="02:00:00:00:00:01"))
        / DHCP6OptClientId(duid=duid(lladdr=str(mac)))
        / DHCP6OptIA_NA(iaid=1, ianaopts=addresses)
    )
    reply = dhcpv6.parse(ipv6.parse(bytes(theirs)))
    assert reply is not None
    assert reply.duid_link_layer == mac
    assert reply.addresses == tuple(LeasedAddress(address, valid) for address, valid in given_)
