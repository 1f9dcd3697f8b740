"""Seeded mutations of good frames: flipped bits, changed bytes, cuts, insertions, and repaired checksums."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from random import Random

from treecast.base.addresses import IPAddress, MacAddress
from treecast.wire import arp, ethernet, igmp, mld, ndp
from treecast.wire.arp import ArpOperation, ArpPacket
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
)

MAC = MacAddress(b"\x02\0\0\0\0\x01")
V4, V6 = IPv4Address("10.0.0.1"), IPv6Address("fe80::1")
G4, G6 = IPv4Address("239.1.1.1"), IPv6Address("ff15::1")
CASES = 20_000
SCALE = int(os.environ.get("TREECAST_FUZZ_SCALE", "1"))
"""How many times as many cases as in ``make test``: the same ones, and then others."""


def igmp_messages() -> list[MembershipMessage]:
    return _messages(G4, IPv4Address(0), (V4, IPv4Address("192.0.2.1")), 3)


def mld_messages() -> list[MembershipMessage]:
    return _messages(G6, IPv6Address(0), (V6, IPv6Address("2001:db8::1")), 2)


def _messages(
    group: IPAddress, general: IPAddress, sources: tuple[IPAddress, ...], newest: int
) -> list[MembershipMessage]:
    records = tuple(GroupRecord(kind, group, sources) for kind in RecordType)
    return [
        MembershipQuery(newest, general, 10, False, 2, 125),
        MembershipQuery(newest, group, 1, True, 2, 125, sources),
        MembershipQuery(newest - 1, group, 1),
        MembershipReport(records),
        OlderReport(1, group),
        OlderReport(newest - 1, group),
        LeaveGroup(group),
    ]


def igmp_frames() -> list[bytes]:
    return [igmp.message_frame(message, MAC, V4) for message in igmp_messages()]


def mld_frames() -> list[bytes]:
    return [mld.message_frame(message, MAC, V6) for message in mld_messages()]


def arp_frames() -> list[bytes]:
    request = ArpPacket(ArpOperation.REQUEST, MAC, V4, MAC, V4)
    return [arp.reply_frame(request, MAC), ethernet.emit(EthernetFrame(MAC, MAC, EtherType.ARP, arp.emit(request)))]


def ndp_frames() -> list[bytes]:
    option = (ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, MAC),)
    messages: list[ndp.NdpMessage] = [
        ndp.RouterSolicitation(option),
        ndp.RouterAdvertisement(64, 0, 1800, 0, 0, option),
        ndp.NeighborSolicitation(V6, option),
        ndp.NeighborAdvertisement(V6, False, True, True, option),
    ]
    return [ndp.frame(m, source_mac=MAC, source=V6, destination_mac=MAC, destination=V6) for m in messages]


def mutations(rng: Random, seeds: Sequence[bytes], cases: int = CASES) -> Iterator[bytes]:
    """Byte strings, so many times SCALE: mutants of the seeds, and now and then pure noise."""
    for _ in range(cases * SCALE):
        if rng.random() < 0.05:
            yield rng.randbytes(rng.randrange(120))
            continue
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            rng.choice(_MUTATIONS)(rng, data)
        yield repaired(bytes(data)) if rng.random() < 0.7 else bytes(data)


def repaired(frame: bytes) -> bytes:
    """The frame with right checksums where it still looks like IPv4 or IPv6 control traffic, so that parsers go on."""
    kind, payload = frame[12:14], frame[14:]
    if kind == b"\x08\x00" and len(payload) > 24:
        head = (payload[0] & 0x0F) * 4
        if 20 <= head < len(payload) - 4:
            total = len(payload).to_bytes(2, "big")
            header = with_checksum(payload[:2] + total + payload[4:10] + b"\0\0" + payload[12:head], 10)
            body = payload[head:]
            return frame[:14] + header + with_checksum(body[:2] + b"\0\0" + body[4:], 2)
    if kind == b"\x86\xdd" and len(payload) > 52:
        at = 48 if payload[6] == 0 else 40
        length = (len(payload) - 40).to_bytes(2, "big")
        body = payload[at : at + 2] + b"\0\0" + payload[at + 4 :]
        protocol = payload[6] or payload[40]
        pseudo = ipv6_pseudo_header(IPv6Address(payload[8:24]), IPv6Address(payload[24:40]), len(body), protocol)
        return frame[:14] + payload[:4] + length + payload[6:at] + with_checksum(body, 2, pseudo)
    return frame


def _flip(rng: Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _cut(rng: Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _insert(rng: Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randrange(1, 20))


_MUTATIONS: tuple[Callable[[Random, bytearray], None], ...] = (_flip, _flip, _set, _set, _set, _cut, _insert)
