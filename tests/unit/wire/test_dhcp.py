"""DHCP and DHCPv6 replies: the fields that name a client and its address, and what is refused."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import dhcp, dhcpv6
from treecast.wire.dhcp import DhcpAcknowledgement, DhcpRequest
from treecast.wire.dhcpv6 import Dhcpv6Reply, LeasedAddress
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

CLIENT = MacAddress.parse("02:00:00:00:00:0a")
GIVEN4, GIVEN6 = IPv4Address("10.1.0.7"), IPv6Address("fd00::7")
COOKIE = b"\x63\x82\x53\x63"
ACK = b"\x35\x01\x05"
LEASE = b"\x33\x04\x00\x00\x0e\x10"


def udp(source_port: int, message: bytes) -> bytes:
    return source_port.to_bytes(2, "big") + b"\0\x44" + (8 + len(message)).to_bytes(2, "big") + b"\0\0" + message


def ipv4(payload: bytes) -> Ipv4Packet:
    return Ipv4Packet(IPv4Address("10.1.0.1"), GIVEN4, 17, 64, payload)


def ipv6(payload: bytes) -> Ipv6Packet:
    return Ipv6Packet(IPv6Address("fe80::1"), IPv6Address("fe80::a"), 17, 64, payload)


def bootp(*, head: bytes = b"\x02\x01\x06\x00", address: IPv4Address = GIVEN4, mac: bytes = CLIENT.packed) -> bytes:
    return head + bytes(12) + address.packed + bytes(8) + mac + bytes(10) + bytes(192)


def option(code: int, value: bytes) -> bytes:
    return code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def leased(address: IPv6Address = GIVEN6, valid_s: int = 3600) -> bytes:
    return option(5, address.packed + (1800).to_bytes(4, "big") + valid_s.to_bytes(4, "big"))


def test_an_acknowledgement_names_the_client_its_address_and_the_lease() -> None:
    packet = ipv4(udp(67, bootp() + COOKIE + b"\0" + ACK + LEASE + b"\xff" + b"anything"))
    assert dhcp.is_server_message(packet)
    assert dhcp.parse(packet) == DhcpAcknowledgement(CLIENT, GIVEN4, 3600)


def test_the_ethernet_padding_behind_the_datagram_is_not_read() -> None:
    assert dhcp.parse(ipv4(udp(67, bootp() + COOKIE + ACK + b"\xff") + bytes(20))) is not None


@pytest.mark.parametrize(
    "message",
    [
        bootp() + COOKIE + b"\x35\x01\x02\xff",
        bootp() + COOKIE + b"\xff",
        bootp(address=IPv4Address(0)) + COOKIE + ACK,
        bootp(mac=b"\x01" + bytes(5)) + COOKIE + ACK,
    ],
    ids=["offer", "no message type", "answer to DHCPINFORM", "group address as client"],
)
def test_what_gives_nobody_an_address_is_nothing(message: bytes) -> None:
    assert dhcp.parse(ipv4(udp(67, message))) is None


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"\0\x43\0\x44", "dhcp_truncated"),
        (udp(67, bootp()), "dhcp_truncated"),
        (udp(67, bootp() + b"BOOT"), "dhcp_not_dhcp"),
        (udp(67, bootp(head=b"\x03\x01\x06\0") + COOKIE + ACK), "dhcp_not_a_reply"),
        (udp(67, bootp(head=b"\x02\x20\x08\0") + COOKIE + ACK), "dhcp_not_ethernet"),
        (udp(67, bootp() + COOKIE + b"\x35"), "dhcp_bad_options"),
        (udp(67, bootp() + COOKIE + b"\x35\x02\x05"), "dhcp_bad_options"),
        (udp(67, bootp() + COOKIE + ACK * (dhcp.MAX_OPTIONS + 1)), "dhcp_bad_options"),
        (udp(67, bootp() + COOKIE + ACK)[:-1], "dhcp_bad_length"),
    ],
)
def test_bad_dhcp_is_refused_by_name(datagram: bytes, reason: str) -> None:
    with pytest.raises(MalformedError) as refused:
        dhcp.parse(ipv4(datagram))
    assert refused.value.reason == reason


def test_fragments_and_other_ports_are_no_server_messages() -> None:
    payload = udp(67, bootp() + COOKIE + ACK)
    assert not dhcp.is_server_message(Ipv4Packet(GIVEN4, GIVEN4, 17, 64, payload, more_fragments=True))
    assert not dhcp.is_server_message(ipv4(udp(68, bootp())))
    assert not dhcpv6.is_server_message(ipv6(udp(546, b"")))


def test_a_reply_names_the_client_and_its_addresses() -> None:
    duid = b"\x00\x01\x00\x01\x2a\x00\x00\x00" + CLIENT.packed
    other = IPv6Address("fd00::8")
    message = (
        b"\x07abc"
        + option(1, duid)
        + option(2, b"server")
        + option(3, bytes(12) + leased() + leased(other, 0))
        + option(4, bytes(4) + leased(other))
    )
    packet = ipv6(udp(547, message))
    assert dhcpv6.is_server_message(packet)
    reply = dhcpv6.parse(packet)
    assert reply == Dhcpv6Reply(
        duid, (LeasedAddress(GIVEN6, 3600), LeasedAddress(other, 0), LeasedAddress(other, 3600))
    )
    assert reply.duid_link_layer == CLIENT


@pytest.mark.parametrize(
    ("duid", "mac"),
    [
        (b"\x00\x03\x00\x01" + CLIENT.packed, CLIENT),
        (b"\x00\x03\x00\x01" + CLIENT.packed[:5], None),
        (b"\x00\x03\x00\x06" + CLIENT.packed, None),
        (b"\x00\x04" + bytes(16), None),
        (b"", None),
    ],
)
def test_a_duid_has_a_mac_only_where_it_is_of_ethernet(duid: bytes, mac: MacAddress | None) -> None:
    assert Dhcpv6Reply(duid, ()).duid_link_layer == mac


def test_a_relay_s_wrapping_is_not_a_reply() -> None:
    assert dhcpv6.parse(ipv6(udp(547, b"\x0d\0" + bytes(32) + option(9, b"\x07abc")))) is None


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"\x02\x23", "dhcpv6_truncated"),
        (udp(547, b"\x07abc")[:-1], "dhcpv6_truncated"),
        (udp(547, b"\x07abc" + option(1, b"d"))[:-1], "dhcpv6_bad_length"),
        (udp(547, b"\x07abc\0\x01\0\x09"), "dhcpv6_bad_options"),
        (udp(547, b"\x07abc" + option(3, bytes(11))), "dhcpv6_bad_options"),
        (udp(547, b"\x07abc" + option(3, bytes(12) + option(5, bytes(23)))), "dhcpv6_bad_options"),
        (udp(547, b"\x07abc" + option(9, b"") * (dhcpv6.MAX_OPTIONS + 1)), "dhcpv6_bad_options"),
    ],
)
def test_bad_dhcpv6_is_refused_by_name(datagram: bytes, reason: str) -> None:
    with pytest.raises(MalformedError) as refused:
        dhcpv6.parse(ipv6(datagram))
    assert refused.value.reason == reason


def asking(options: bytes, *, head: bytes = b"\x01\x01\x06\x00") -> Ipv4Packet:
    message = bootp(head=head, address=IPv4Address(0)) + COOKIE + b"\x35\x01\x03" + options
    udp_bytes = b"\0\x44\0\x43" + (8 + len(message)).to_bytes(2, "big") + b"\0\0" + message
    return Ipv4Packet(IPv4Address(0), IPv4Address("255.255.255.255"), 17, 64, udp_bytes)


def test_a_request_names_its_client() -> None:
    packet = asking(b"\x0c\x06camera\xff")
    assert dhcp.is_client_message(packet)
    assert not dhcp.is_server_message(packet)
    assert dhcp.parse_request(packet) == DhcpRequest(CLIENT, b"camera")
    assert dhcp.parse_request(asking(b"\xff")) == DhcpRequest(CLIENT, None)


def test_a_reply_to_a_server_s_port_is_no_request() -> None:
    with pytest.raises(MalformedError) as refused:
        dhcp.parse_request(asking(b"\xff", head=b"\x02\x01\x06\x00"))
    assert refused.value.reason == "dhcp_not_a_request"


def test_what_a_server_or_a_relay_sends_to_a_server_is_of_no_client() -> None:
    assert not dhcp.is_client_message(ipv4(b"\0\x43\0\x43" + bytes(8)))
    assert not dhcp.is_client_message(Ipv4Packet(GIVEN4, GIVEN4, 17, 64, b"\0\x44\0\x43", more_fragments=True))
