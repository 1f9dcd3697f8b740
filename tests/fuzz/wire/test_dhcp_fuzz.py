"""Any bytes behind a DHCP server's port give a record, nothing, or a refusal with its name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from random import Random

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DUID_LL, DHCP6_Reply, DHCP6OptClientId, DHCP6OptIA_NA, DHCP6OptIAAddress
from scapy.layers.inet import UDP

from tests.fuzz.wire.mutations import mutations
from treecast.base.errors import MalformedError
from treecast.wire import dhcp, dhcpv6
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

SEED = 20260727


def test_dhcp_survives_anything() -> None:
    options = [("message-type", "ack"), ("lease_time", 3600), ("hostname", "x" * 40), "end"]
    ack = BOOTP(op=2, chaddr=bytes((2, 0, 0, 0, 0, 1)), yiaddr="10.0.0.7") / DHCP(options=options)
    seeds = [bytes(UDP(sport=67, dport=68) / ack)]
    read = 0
    for data in mutations(Random(SEED), seeds):
        try:
            read += dhcp.parse(Ipv4Packet(IPv4Address(1), IPv4Address(2), 17, 64, data)) is not None
        except MalformedError as error:
            assert error.reason.startswith("dhcp_")
    assert read > 0


def test_dhcpv6_survives_anything() -> None:
    addresses = [DHCP6OptIAAddress(addr=f"fd00::{n}", preflft=1, validlft=2) for n in range(1, 4)]
    reply = DHCP6_Reply() / DHCP6OptClientId(duid=DUID_LL(lladdr="02:00:00:00:00:01"))
    seeds = [bytes(UDP(sport=547, dport=546, chksum=1) / reply / DHCP6OptIA_NA(ianaopts=addresses))]
    read = 0
    for data in mutations(Random(SEED), seeds):
        try:
            reply_read = dhcpv6.parse(Ipv6Packet(IPv6Address(1), IPv6Address(2), 17, 64, data))
            read += reply_read is not None and len(reply_read.addresses) > 0
        except MalformedError as error:
            assert error.reason.startswith("dhcpv6_")
    assert read > 0
