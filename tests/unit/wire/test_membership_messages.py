"""IGMP and MLD messages: bytes of the RFCs and of real kernels, and a named reason for each broken rule."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, igmp, ipv4, ipv6, mld
from treecast.wire.checksum import ipv6_pseudo_header, with_checksum
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    RecordType,
    decode_float,
    encode_float,
)
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet

MAC = MacAddress(b"\x02\0\0\0\0\x01")
V4, G4, S4 = IPv4Address("10.0.0.1"), IPv4Address("239.1.1.1"), IPv4Address("192.0.2.9")
V6, G6, S6 = IPv6Address("fe80::1"), IPv6Address("ff3e::1234"), IPv6Address("2001:db8::9")


@pytest.mark.parametrize(
    ("code", "mantissa_bits", "value"),
    [
        (0, 4, 0),
        (127, 4, 127),
        (0x80, 4, 128),
        (0x8F, 4, 248),
        (0x90, 4, 256),
        (0xFF, 4, 31744),
        (0x7FFF, 12, 32767),
        (0x8000, 12, 32768),
        (0xFFFF, 12, 8387584),
    ],
)
def test_float_codes_are_those_of_the_rfcs(code: int, mantissa_bits: int, value: int) -> None:
    assert decode_float(code, mantissa_bits) == value
    assert encode_float(value, mantissa_bits) == code


@pytest.mark.parametrize(("value", "code"), [(135, 0x80), (249, 0x8F), (10**9, 0xFF), (-1, 0)])
def test_values_between_codes_are_rounded_down_and_capped(value: int, code: int) -> None:
    assert encode_float(value, 4) == code


def test_an_igmpv3_general_query_has_these_bytes() -> None:
    query = MembershipQuery(3, igmp.NO_GROUP, 10, False, 2, 125)
    frame = ethernet.parse(igmp.message_frame(query, MAC, V4))
    packet = ipv4.parse(frame.payload)
    assert packet.payload.hex(" ") == "11 64 ec 1e 00 00 00 00 02 7d 00 00"
    assert str(frame.destination) == "01:00:5e:00:00:01"
    assert (packet.ttl, packet.type_of_service, packet.options.hex()) == (1, 0xC0, "94040000")
    assert packet.destination == IPv4Address("224.0.0.1")


def test_an_mldv2_group_and_source_query_has_these_bytes() -> None:
    query = MembershipQuery(2, G6, 1, True, 2, 125, (S6,))
    frame = ethernet.parse(mld.message_frame(query, MAC, V6))
    packet = ipv6.parse(frame.payload)
    expected = bytes.fromhex("03e80000") + G6.packed + bytes.fromhex("0a7d0001") + S6.packed
    assert packet.payload[:2] + packet.payload[4:] == bytes.fromhex("8200") + expected
    assert (str(frame.destination), packet.destination) == ("33:33:00:00:12:34", G6)
    assert (packet.hop_limit, packet.router_alert) == (1, 0)


def test_an_igmpv3_report_of_a_linux_kernel_is_read() -> None:
    message = igmp.parse(bytes.fromhex("2200e9fb0000000104000000ef010101"))
    assert message == MembershipReport((GroupRecord(RecordType.CHANGE_TO_EXCLUDE_MODE, G4),))


def test_an_mldv2_report_of_a_linux_kernel_is_read() -> None:
    data = bytes.fromhex("8f005e9a0000000104000000ff3e0000000000000000000000001234")
    message = mld.parse(data, IPv6Address("fe80::ff:fe00:1"), mld.MLDV2_ROUTERS)
    assert message == MembershipReport((GroupRecord(RecordType.CHANGE_TO_EXCLUDE_MODE, G6),))


EXCLUDING_4, INCLUDING_6 = GroupRecord(RecordType.MODE_IS_EXCLUDE, G4), GroupRecord(RecordType.MODE_IS_INCLUDE, G6)
IGMP_MESSAGES = [
    MembershipQuery(1, igmp.NO_GROUP, 0),
    MembershipQuery(2, G4, 25.5),
    MembershipQuery(3, G4, 1, True, 7, 31744, (S4, V4)),
    MembershipReport(
        (GroupRecord(RecordType.ALLOW_NEW_SOURCES, G4, (S4, V4)), GroupRecord(RecordType.MODE_IS_EXCLUDE, G4))
    ),
    MembershipReport(()),
    OlderReport(1, G4),
    OlderReport(2, G4),
    LeaveGroup(G4),
]
MLD_MESSAGES = [
    MembershipQuery(1, mld.NO_GROUP, 65.535),
    MembershipQuery(2, mld.NO_GROUP, 10, False, 2, 125),
    MembershipQuery(2, G6, 1, True, 7, 31744, (S6, V6)),
    MembershipReport(
        (GroupRecord(RecordType.BLOCK_OLD_SOURCES, G6, (S6,)), GroupRecord(RecordType.MODE_IS_INCLUDE, G6))
    ),
    OlderReport(1, G6),
    LeaveGroup(G6),
]


@pytest.mark.parametrize("message", IGMP_MESSAGES, ids=repr)
def test_igmp_messages_survive_the_wire(message: MembershipMessage) -> None:
    received = igmp.parse_frame(ethernet.parse(igmp.message_frame(message, MAC, V4)))
    assert (received.message, received.source_mac, received.source) == (message, MAC, V4)


@pytest.mark.parametrize("message", MLD_MESSAGES, ids=repr)
def test_mld_messages_survive_the_wire(message: MembershipMessage) -> None:
    received = mld.parse_frame(ethernet.parse(mld.message_frame(message, MAC, V6)))
    assert (received.message, received.source_mac, received.source) == (message, MAC, V6)


def test_auxiliary_data_unknown_record_types_and_trailing_bytes_are_passed_over() -> None:
    records = "0601 0000 ef010102 deadbeef" + "0900 0000 ef010103" + "0100 0001 ef010101 c0000209"
    body = bytes.fromhex("22000000 00000003" + records + "ffff")
    assert igmp.parse(with_checksum(body, 2)) == MembershipReport(
        (
            GroupRecord(RecordType.BLOCK_OLD_SOURCES, G4 + 1),
            GroupRecord(RecordType.MODE_IS_INCLUDE, G4, (S4,)),
        )
    )


def igmp_body(text: str) -> bytes:
    return with_checksum(bytes.fromhex(text), 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "igmp_truncated"),
        (igmp_body("16000000 ef0101"), "igmp_truncated"),
        (bytes.fromhex("16000001 ef010101"), "igmp_bad_checksum"),
        (igmp_body("13000000 ef010101"), "igmp_unknown_type"),
        (igmp_body("11640000 00000000 00"), "igmp_bad_length"),
        (igmp_body("11640000 00000000 027d00"), "igmp_bad_length"),
        (igmp_body("11640000 ef010101 027d0002 c0000209"), "igmp_truncated_sources"),
        (igmp_body("22000000 00000001"), "igmp_truncated_records"),
        (igmp_body("22000000 0000ffff 04000000 ef010101"), "igmp_truncated_records"),
        (igmp_body("22000000 00000001 0100ffff ef010101"), "igmp_truncated_records"),
        (igmp_body("22000000 00000001 01ff0000 ef010101"), "igmp_truncated_records"),
    ],
)
def test_a_bad_igmp_message_has_a_named_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        igmp.parse(data)


def mld_body(text: str) -> bytes:
    body = bytes.fromhex(text)
    return with_checksum(body, 2, ipv6_pseudo_header(V6, mld.ALL_NODES, len(body), 58))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "mld_truncated"),
        (mld_body("82000000 03e80000" + "00" * 15), "mld_truncated"),
        (mld_body("80000000 00000000"), "mld_unknown_type"),
        (bytes.fromhex("82000000 03e80000" + "00" * 16), "mld_bad_checksum"),
        (mld_body("82000000 03e80000" + "00" * 17), "mld_bad_length"),
        (mld_body("82000000 03e80000" + "00" * 16 + "027d0001"), "mld_truncated_sources"),
        (mld_body("8f000000 00000001"), "mld_truncated_records"),
        (mld_body("8f000000 00000001 01000001" + G6.packed.hex()), "mld_truncated_records"),
    ],
)
def test_a_bad_mld_message_has_a_named_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        mld.parse(data, V6, mld.ALL_NODES)


def igmp_packet(message: MembershipMessage) -> Ipv4Packet:
    return ipv4.parse(ethernet.parse(igmp.message_frame(message, MAC, V4)).payload)


def in_frame(packet: Ipv4Packet | Ipv6Packet) -> EthernetFrame:
    if isinstance(packet, Ipv4Packet):
        return EthernetFrame(MAC, MAC, EtherType.IPV4, ipv4.emit(packet))
    return EthernetFrame(MAC, MAC, EtherType.IPV6, ipv6.emit(packet))


REPORT = igmp_packet(OlderReport(2, G4))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (replace(REPORT, ttl=2), "igmp_ttl_not_1"),
        (replace(REPORT, protocol=17), "igmp_not_igmp"),
        (replace(REPORT, more_fragments=True), "igmp_fragment"),
        (replace(REPORT, source=G4), "igmp_source_not_unicast"),
        (replace(REPORT, source=IPv4Address("255.255.255.255")), "igmp_source_not_unicast"),
    ],
)
def test_each_broken_rule_about_the_ipv4_packet_has_its_own_reason(packet: Ipv4Packet, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        igmp.parse_frame(in_frame(packet))


@pytest.mark.parametrize("message", [MembershipQuery(1, igmp.NO_GROUP, 0), OlderReport(1, G4)], ids=repr)
def test_igmpv1_needs_no_router_alert(message: MembershipMessage) -> None:
    packet = igmp_packet(message)
    assert packet.options == b""
    assert igmp.parse_frame(in_frame(packet)).message == message


def mld_packet(message: MembershipMessage, source: IPv6Address = V6) -> Ipv6Packet:
    return ipv6.parse(ethernet.parse(mld.message_frame(message, MAC, source)).payload)


DONE = mld_packet(LeaveGroup(G6))
NOWHERE, GLOBAL = IPv6Address(0), IPv6Address("2001:db8::1")
PLAIN_QUERY = MembershipQuery(2, mld.NO_GROUP, 10)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (replace(DONE, hop_limit=2), "mld_hop_limit_not_1"),
        (replace(DONE, hop_by_hop=None), "mld_no_router_alert"),
        (replace(DONE, hop_by_hop=bytes.fromhex("050200010100")), "mld_no_router_alert"),
        (replace(DONE, next_header=17), "mld_not_mld"),
        (mld_packet(LeaveGroup(G6), GLOBAL), "mld_source_not_link_local"),
        (mld_packet(PLAIN_QUERY, GLOBAL), "mld_source_not_link_local"),
        (mld_packet(PLAIN_QUERY, NOWHERE), "mld_source_not_link_local"),
    ],
)
def test_each_broken_rule_about_the_ipv6_packet_has_its_own_reason(packet: Ipv6Packet, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        mld.parse_frame(in_frame(packet))


DESTINATION_OPTIONS, ATOMIC, FIRST = (
    bytes.fromhex(text) for text in ("00010400000000", "00000000000009", "00000100000009")
)


@pytest.mark.parametrize(("number", "rest"), [(60, DESTINATION_OPTIONS), (43, bytes(7)), (44, ATOMIC)], ids=str)
def test_a_message_behind_other_extension_headers_is_read(number: int, rest: bytes) -> None:
    packet = replace(DONE, next_header=number, payload=bytes([58]) + rest + DONE.payload)
    assert mld.parse_frame(in_frame(packet)).message == LeaveGroup(G6)


def test_a_message_of_which_other_packets_have_the_rest_is_refused() -> None:
    packet = replace(DONE, next_header=44, payload=bytes([58]) + FIRST + DONE.payload)
    with pytest.raises(MalformedError, match=r"^mld_fragment$"):
        mld.parse_frame(in_frame(packet))


def test_a_host_that_has_no_address_yet_may_report() -> None:
    assert mld.parse_frame(in_frame(mld_packet(OlderReport(1, G6), NOWHERE))).source == NOWHERE
