"""Neighbor Discovery: every validation rule of RFC 4861 that concerns NS, NA, RS and RA."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, ipv6, ndp
from treecast.wire.checksum import ipv6_pseudo_header, with_checksum
from treecast.wire.ipv6 import NEXT_HEADER_ICMPV6, Ipv6Packet
from treecast.wire.ndp import (
    NdpMessage,
    NdpOption,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
)

MAC, OTHER_MAC = MacAddress(b"\x02\0\0\0\0\x01"), MacAddress(b"\x02\0\0\0\0\x02")
SOURCE, TARGET, NOWHERE = IPv6Address("fe80::1"), IPv6Address("2001:db8::5"), IPv6Address(0)
SOLICITED_NODE = IPv6Address("ff02::1:ff00:5")
SOURCE_MAC = ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, MAC)
TARGET_MAC = ndp.link_layer_option(ndp.OPTION_TARGET_LINK_LAYER, MAC)
PREFIX = NdpOption(3, bytes(30))


def packet(message: NdpMessage, source: IPv6Address, destination: IPv6Address) -> Ipv6Packet:
    return Ipv6Packet(source, destination, NEXT_HEADER_ICMPV6, 255, ndp.emit(message, source, destination))


WITH_MAC = NeighborSolicitation(TARGET, (SOURCE_MAC,))
SOLICITED = NeighborAdvertisement(TARGET, False, True, False)
SOLICITATION = packet(NeighborSolicitation(TARGET, (SOURCE_MAC,)), SOURCE, SOLICITED_NODE)


@pytest.mark.parametrize(
    "message",
    [
        NeighborSolicitation(TARGET, (SOURCE_MAC,)),
        NeighborAdvertisement(TARGET, False, True, False, (TARGET_MAC,)),
        NeighborAdvertisement(TARGET, True, False, True),
        RouterSolicitation((SOURCE_MAC,)),
        RouterAdvertisement(64, 0xC0, 1800, 30000, 1000, (SOURCE_MAC, PREFIX)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_survive_the_wire(message: NdpMessage) -> None:
    assert ndp.parse(packet(message, SOURCE, SOURCE)) == message


def test_a_solicitation_has_these_bytes() -> None:
    data = SOLICITATION.payload
    assert data[:2] + data[4:] == bytes.fromhex("8700 00000000") + TARGET.packed + bytes.fromhex("0101 020000000001")
    assert ndp.link_layer_address(ndp.parse(SOLICITATION)) == MAC


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(SOLICITATION, hop_limit=254), "ndp_hop_limit_not_255"),
        (replace(SOLICITATION, next_header=17), "ndp_not_icmpv6"),
        (replace(SOLICITATION, payload=b""), "ndp_not_icmpv6"),
        (replace(SOLICITATION, payload=b"\x80" + bytes(30)), "ndp_unknown_type"),
        (replace(SOLICITATION, payload=SOLICITATION.payload[:23]), "ndp_truncated"),
        (replace(SOLICITATION, source=TARGET), "ndp_bad_checksum"),
        (packet(NeighborSolicitation(SOLICITED_NODE), SOURCE, SOLICITED_NODE), "ndp_target_not_unicast"),
        (
            packet(NeighborSolicitation(TARGET, (SOURCE_MAC,)), NOWHERE, SOLICITED_NODE),
            "ndp_unspecified_source_with_link_layer",
        ),
        (packet(NeighborSolicitation(TARGET), NOWHERE, TARGET), "ndp_destination_not_solicited_node"),
        (packet(RouterSolicitation((SOURCE_MAC,)), NOWHERE, SOURCE), "ndp_unspecified_source_with_link_layer"),
        (packet(RouterAdvertisement(0, 0, 0, 0, 0), TARGET, ndp.ALL_NODES), "ndp_source_not_link_local"),
        (packet(NeighborAdvertisement(ndp.ALL_NODES, False, False, False), SOURCE, SOURCE), "ndp_target_not_unicast"),
        (
            packet(NeighborAdvertisement(TARGET, False, True, False), SOURCE, ndp.ALL_NODES),
            "ndp_solicited_to_multicast",
        ),
    ],
)
def test_each_broken_rule_has_its_own_reason(bad: Ipv6Packet, reason: str) -> None:
    with pytest.raises(MalformedError, match=f"^{reason}$"):
        ndp.parse(bad)


@pytest.mark.parametrize("options", [b"\x01\x00\0\0\0\0\0\0", b"\x01\x02\0\0\0\0\0\0", b"\x01"])
def test_options_of_a_wrong_length_are_malformed(options: bytes) -> None:
    body = bytes((135, 0, 0, 0, 0, 0, 0, 0)) + TARGET.packed + options
    body = with_checksum(body, 2, ipv6_pseudo_header(SOURCE, SOLICITED_NODE, len(body), NEXT_HEADER_ICMPV6))
    with pytest.raises(MalformedError, match=r"^ndp_bad_options$"):
        ndp.parse(Ipv6Packet(SOURCE, SOLICITED_NODE, NEXT_HEADER_ICMPV6, 255, body))


def test_a_code_other_than_zero_is_malformed() -> None:
    body = bytes((133, 1, 0, 0, 0, 0, 0, 0))
    body = with_checksum(body, 2, ipv6_pseudo_header(SOURCE, SOURCE, len(body), NEXT_HEADER_ICMPV6))
    with pytest.raises(MalformedError, match=r"^ndp_bad_code$"):
        ndp.parse(Ipv6Packet(SOURCE, SOURCE, NEXT_HEADER_ICMPV6, 255, body))


def test_an_advertisement_answers_the_one_who_asked() -> None:
    solicitation = NeighborSolicitation(TARGET)
    data = ndp.advertisement_frame(solicitation, solicitor=SOURCE, solicitor_mac=OTHER_MAC, mac=MAC)
    frame = ethernet.parse(data)
    answer = ipv6.parse(frame.payload)
    assert (frame.destination, frame.source, answer.source, answer.destination) == (OTHER_MAC, MAC, TARGET, SOURCE)
    assert ndp.parse(answer) == NeighborAdvertisement(TARGET, False, True, True, (TARGET_MAC,))


def test_duplicate_address_detection_is_answered_to_all_nodes() -> None:
    solicitation = NeighborSolicitation(TARGET)
    data = ndp.advertisement_frame(solicitation, solicitor=NOWHERE, solicitor_mac=OTHER_MAC, mac=MAC)
    frame = ethernet.parse(data)
    answer = ipv6.parse(frame.payload)
    assert (str(frame.destination), answer.destination) == ("33:33:00:00:00:01", ndp.ALL_NODES)
    assert ndp.parse(answer) == NeighborAdvertisement(TARGET, False, False, True, (TARGET_MAC,))
