"""Ethernet, IPv4, IPv6 and ARP: exact bytes, and a named reason for each way to be wrong."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import arp, ethernet, ipv4, ipv6
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.checksum import internet_checksum
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

HERE, THERE = MacAddress(b"\x02\0\0\0\0\x01"), MacAddress(b"\x02\0\0\0\0\x02")
V4, OTHER_V4 = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
V6, OTHER_V6 = IPv6Address("fe80::1"), IPv6Address("fe80::2")


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2
    assert internet_checksum(b"\x01") == 0xFFFF ^ 0x0100


def test_an_untagged_frame() -> None:
    frame = EthernetFrame(THERE, HERE, 0x0800, b"payload")
    assert ethernet.emit(frame) == bytes.fromhex("020000000002 020000000001 0800") + b"payload"
    assert ethernet.parse(ethernet.emit(frame)) == frame


def test_a_tagged_frame_and_its_vlan() -> None:
    frame = EthernetFrame(THERE, HERE, 0x86DD, b"x", VlanTag(5, priority=6, drop_eligible=True))
    assert ethernet.emit(frame)[12:18] == bytes.fromhex("8100 d005 86dd")
    assert ethernet.parse(ethernet.emit(frame)) == frame
    assert frame.vlan_id == 5


def test_a_priority_tag_is_no_vlan() -> None:
    assert EthernetFrame(THERE, HERE, 0x0800, b"", VlanTag(0, priority=3)).vlan_id is None


@pytest.mark.parametrize("data", [b"", bytes(13), bytes(12) + b"\x81\0", bytes(12) + b"\x81\0\0\0\x08"])
def test_a_short_frame_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError, match=r"^ethernet_truncated$"):
        ethernet.parse(data)


@pytest.mark.parametrize(
    ("group", "mac"),
    [
        (IPv4Address("239.129.1.2"), "01:00:5e:01:01:02"),
        (IPv4Address("224.0.0.22"), "01:00:5e:00:00:16"),
        (IPv6Address("ff02::1:ff12:3456"), "33:33:ff:12:34:56"),
    ],
)
def test_groups_map_to_macs(group: IPv4Address | IPv6Address, mac: str) -> None:
    assert str(ethernet.multicast_mac(group)) == mac


V4_PACKET = Ipv4Packet(V4, OTHER_V4, 2, 1, b"\x11\x00\x00\x00", options=ipv4.ROUTER_ALERT_OPTION)


def test_an_ipv4_packet_with_router_alert_and_link_padding() -> None:
    data = ipv4.emit(V4_PACKET)
    assert data == bytes.fromhex("4600001c00000000 010210da 0a000001 0a000002 94040000 11000000")
    assert internet_checksum(data[:24]) == 0
    assert ipv4.parse(data + bytes(18)) == V4_PACKET
    assert V4_PACKET.router_alert


@pytest.mark.parametrize(
    ("options", "alert"),
    [
        (b"", False),
        (b"\x01\x94\x04\x00\x00\x00\x00\x00", True),
        (b"\x00\x94\x04\x00\x00\x00\x00\x00", False),
        (b"\x94\x04\x00\x01", False),
    ],
)
def test_router_alert_is_found_among_options(options: bytes, alert: bool) -> None:
    packet = ipv4.parse(ipv4.emit(Ipv4Packet(V4, OTHER_V4, 17, 64, b"", options=options)))
    assert packet.router_alert is alert


def v4_with(offset: int, value: int, *, repair: bool = True) -> bytes:
    data = bytearray(ipv4.emit(V4_PACKET))
    data[offset] = value
    if repair:
        data[10:12] = b"\0\0"
        data[10:12] = internet_checksum(bytes(data[:24])).to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(19), "ipv4_truncated"),
        (ipv4.emit(V4_PACKET)[:-1], "ipv4_truncated"),
        (v4_with(0, 0x66), "ipv4_bad_version"),
        (v4_with(0, 0x44), "ipv4_bad_length"),
        (v4_with(3, 23), "ipv4_bad_length"),
        (v4_with(8, 9, repair=False), "ipv4_bad_checksum"),
        (v4_with(21, 1), "ipv4_bad_options"),
        (v4_with(21, 5), "ipv4_bad_options"),
    ],
)
def test_a_bad_ipv4_packet_has_a_named_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        ipv4.parse(data)


V6_PACKET = Ipv6Packet(V6, OTHER_V6, 58, 1, b"\x82\0\0\0", hop_by_hop=ipv6.ROUTER_ALERT_MLD)


def test_an_ipv6_packet_with_router_alert_and_link_padding() -> None:
    data = ipv6.emit(V6_PACKET)
    head = bytes.fromhex("60000000 000c 00 01") + V6.packed + OTHER_V6.packed
    assert data == head + bytes.fromhex("3a00 05020000 0100 82000000")
    assert ipv6.parse(data + bytes(6)) == V6_PACKET
    assert V6_PACKET.router_alert == 0


def test_a_packet_without_hop_by_hop_options_has_no_router_alert() -> None:
    packet = Ipv6Packet(V6, OTHER_V6, 17, 64, b"x", traffic_class=0xB8, flow_label=0x12345)
    assert ipv6.parse(ipv6.emit(packet)) == packet
    assert packet.router_alert is None


def v6_with(offset: int, value: int) -> bytes:
    data = bytearray(ipv6.emit(V6_PACKET))
    data[offset] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(39), "ipv6_truncated"),
        (ipv6.emit(V6_PACKET)[:-1], "ipv6_truncated"),
        (v6_with(0, 0x40), "ipv6_bad_version"),
        (v6_with(41, 1), "ipv6_truncated"),
        (v6_with(43, 5), "ipv6_bad_options"),
        (v6_with(47, 1), "ipv6_bad_options"),
    ],
)
def test_a_bad_ipv6_packet_has_a_named_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        ipv6.parse(data)


REQUEST = ArpPacket(ArpOperation.REQUEST, HERE, V4, MacAddress(bytes(6)), OTHER_V4)


def test_an_arp_request_and_its_reply() -> None:
    data = arp.emit(REQUEST)
    assert data == bytes.fromhex("0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002")
    assert arp.parse(data + bytes(18)) == REQUEST
    frame = ethernet.parse(arp.reply_frame(REQUEST, THERE))
    assert (frame.destination, frame.source, frame.ethertype) == (HERE, THERE, EtherType.ARP)
    assert arp.parse(frame.payload) == ArpPacket(ArpOperation.REPLY, THERE, OTHER_V4, HERE, V4)


def test_probes_and_gratuitous_arp_are_told_apart() -> None:
    assert ArpPacket(ArpOperation.REQUEST, HERE, IPv4Address(0), HERE, V4).is_probe
    assert ArpPacket(ArpOperation.REPLY, HERE, V4, BROADCAST_MAC, V4).is_gratuitous
    assert not REQUEST.is_probe
    assert not REQUEST.is_gratuitous


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (1, 6, "arp_not_ethernet_ipv4"),
        (4, 8, "arp_not_ethernet_ipv4"),
        (7, 9, "arp_unknown_operation"),
        (8, 1, "arp_sender_not_unicast"),
    ],
)
def test_a_bad_arp_packet_has_a_named_reason(offset: int, value: int, reason: str) -> None:
    data = bytearray(arp.emit(REQUEST))
    data[offset] = value
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        arp.parse(bytes(data))
    with pytest.raises(MalformedError, match=r"^arp_truncated$"):
        arp.parse(bytes(data[:27]))
