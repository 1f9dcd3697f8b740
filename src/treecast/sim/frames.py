"""Kinds of Ethernet frames: the model of ``headers.rs`` and ``frame.rs`` of crates/core.

It follows RFC 4541 and ``docs/protocol.md``, byte by byte and without care for speed; a differential test holds the two
against each other on random frames and tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress
from treecast.base.flows import KeyFlow

BROADCAST = b"\xff" * 6
BEACON_GROUP = bytes.fromhex("035443000001")
BEACON_GROUP_V4 = bytes([224, 0, 0, 254])
MAX_EXTENSION_HEADERS = 7
MDNS = {4: IPv4Address("224.0.0.251"), 6: IPv6Address("ff02::fb")}
ROUTERS = {4: IPv4Address("224.0.0.13"), 6: IPv6Address("ff02::d")}
ADDRESSES_KEPT = 4096


@lru_cache(maxsize=ADDRESSES_KEPT)
def ipv4_address(text: str) -> IPv4Address:
    """An address by its text. Tests write the same few groups with each frame that they send."""
    return IPv4Address(text)


class Delivery(Enum):
    """Delivery of a frame, before any table is looked up."""

    PUNT = auto()
    """Python alone gets it."""
    UNICAST = auto()
    FLOOD = auto()
    GROUP = auto()


@dataclass(frozen=True, slots=True)
class FrameKind:
    """``shown``: Python gets it, alone or as a copy. ``dropped`` is the reason where the bytes are refused."""

    delivery: Delivery = Delivery.PUNT
    shown: bool = False
    vlan: int = 0
    group: IPAddress | None = None
    source: IPAddress | None = None
    dropped: str = ""

    def is_of(self, flow: KeyFlow) -> bool:
        """Whether a frame to a group is one of these."""
        vlan, groups, source = flow
        return self.vlan == vlan and self.group in groups and source in {None, self.source}


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet. ``protocol`` is the upper layer's, None where there is none to be found; ``rest`` its bytes."""

    version: int
    source: IPAddress
    destination: IPAddress
    protocol: int | None
    rest: bytes

    @property
    def from_dhcp_server(self) -> bool:
        port = 67 if self.version == 4 else 547
        return self.protocol == 17 and self.rest[:2] == port.to_bytes(2, "big")

    @property
    def to_dhcp_server(self) -> bool:
        return self.version == 4 and self.protocol == 17 and self.rest[2:4] == b"\0\x43"

    @property
    def is_mdns_response(self) -> bool:
        to_group = self.protocol == 17 and self.destination == MDNS[self.version]
        return to_group and self.rest[2:4] == b"\x14\xe9" and self.rest[10:11] >= b"\x80"

    @property
    def is_snooped_pim(self) -> bool:
        """Hellos, Joins and Prunes (RFC 8220)."""
        snooped = self.rest[:1] in {b"\x20", b"\x23"}
        return self.protocol == 103 and snooped and self.destination == ROUTERS[self.version]

    @property
    def icmpv6_type(self) -> int:
        return self.rest[0] if self.version == 6 and self.protocol == 58 and self.rest else -1

    @property
    def is_membership(self) -> bool:
        """IGMP of a known type, or of one that another fragment has (RFC 4541 section 2.1.1: others are flooded)."""
        known = {0x11, 0x12, 0x16, 0x17, 0x22, 0x30, 0x31, 0x32}
        return self.version == 4 and self.protocol == 2 and (not self.rest or self.rest[0] in known)

    @property
    def is_mld(self) -> bool:
        return self.icmpv6_type in {130, 131, 132, 143}


def frame_kind(frame: bytes) -> FrameKind:
    """The kind of any bytes."""
    start = 18 if frame[12:14] == b"\x81\x00" else 14
    if len(frame) < start:
        return FrameKind(dropped="frame_short")
    vlan = int.from_bytes(frame[14:16], "big") & 0xFFF if start == 18 else 0
    ethertype, destination = int.from_bytes(frame[start - 2 : start], "big"), frame[:6]
    if ethertype == 0x88B5 and destination == BEACON_GROUP:
        return FrameKind(Delivery.PUNT, shown=True, vlan=vlan)
    packet = ip_packet(ethertype, frame[start:])
    if destination[0] & 1 == 0:
        return _to_one(ethertype, packet, vlan)
    return _to_many(destination, ethertype, packet, vlan)


def never_crosses(frame: bytes) -> bool:
    """Whether no node sends it to another: of what Python alone has, ARP and ND may go on."""
    start = 18 if frame[12:14] == b"\x81\x00" else 14
    ethertype, kind = int.from_bytes(frame[start - 2 : start], "big"), frame_kind(frame)
    packet = ip_packet(ethertype, frame[start:])
    is_of_neighbours = ethertype == 0x0806 or (packet is not None and 133 <= packet.icmpv6_type <= 137)
    return kind.delivery is Delivery.PUNT and kind.shown and not is_of_neighbours


def _to_one(ethertype: int, packet: Packet | None, vlan: int) -> FrameKind:
    if packet is not None and (packet.is_membership or packet.is_mld):
        return FrameKind(Delivery.PUNT, shown=True, vlan=vlan)
    shown = ethertype == 0x0806
    if packet is not None:
        is_dhcp = packet.from_dhcp_server or packet.to_dhcp_server
        shown = is_dhcp or 133 <= packet.icmpv6_type <= 137
    return FrameKind(Delivery.UNICAST, shown, vlan)


def _to_many(destination: bytes, ethertype: int, packet: Packet | None, vlan: int) -> FrameKind:
    if destination[:5] == bytes.fromhex("0180c20000") and destination[5] < 16:
        return FrameKind(dropped="mac_reserved")
    if ethertype == 0x0806:
        return FrameKind(Delivery.PUNT, shown=True, vlan=vlan)
    if packet is None:
        malformed = ethertype in {0x0800, 0x86DD} and destination != BROADCAST
        return FrameKind(dropped="frame_malformed") if malformed else FrameKind(Delivery.FLOOD, vlan=vlan)
    if packet.is_membership or packet.icmpv6_type in {*range(130, 138), 143, 151, 152, 153}:
        return FrameKind(Delivery.PUNT, shown=True, vlan=vlan)
    is_dhcp = packet.from_dhcp_server or packet.to_dhcp_server
    shown = is_dhcp or packet.is_snooped_pim or packet.is_mdns_response
    if destination == BROADCAST:
        return FrameKind(Delivery.FLOOD, shown, vlan)
    return _to_group(destination, packet, shown, vlan)


def _to_group(destination: bytes, packet: Packet, shown: bool, vlan: int) -> FrameKind:
    group = packet.destination
    if not group.is_multicast or destination != _group_mac(group):
        return FrameKind(Delivery.FLOOD, vlan=vlan)
    octets = group.packed
    scope = octets[1] & 0x0F if group.version == 6 else None
    if octets == BEACON_GROUP_V4 and packet.protocol == 253:
        return FrameKind(Delivery.PUNT, shown=True, vlan=vlan)
    if octets[:3] == bytes([224, 0, 0]) or scope == 2:
        return FrameKind(Delivery.FLOOD, shown, vlan)
    if scope in {0, 1}:
        return FrameKind(dropped="group_scope")
    return FrameKind(Delivery.GROUP, vlan=vlan, group=group, source=packet.source)


def _group_mac(group: IPAddress) -> bytes:
    """RFC 1112 section 6.4, RFC 2464 section 7."""
    octets = group.packed
    if group.version == 4:
        return bytes([1, 0, 0x5E, octets[1] & 0x7F, *octets[2:]])
    return b"\x33\x33" + octets[-4:]


def ip_packet(ethertype: int, data: bytes) -> Packet | None:
    """None for what is no IP packet, or contradicts itself."""
    if ethertype == 0x0800:
        return _ipv4(data)
    return _ipv6(data) if ethertype == 0x86DD else None


def _ipv4(data: bytes) -> Packet | None:
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    header, total = (data[0] & 0x0F) * 4, int.from_bytes(data[2:4], "big")
    if header < 20 or not header <= total <= len(data):
        return None
    later_fragment = int.from_bytes(data[6:8], "big") & 0x1FFF != 0
    rest = b"" if later_fragment else data[header:total]
    return Packet(4, IPv4Address(data[12:16]), IPv4Address(data[16:20]), data[9], rest)


def _ipv6(data: bytes) -> Packet | None:
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    end = 40 + int.from_bytes(data[4:6], "big")
    if end > len(data):
        return None
    protocol, rest = _upper_layer(data[6], data[40:end])
    return Packet(6, IPv6Address(data[8:24]), IPv6Address(data[24:40]), protocol, rest)


def _upper_layer(protocol: int, rest: bytes) -> tuple[int | None, bytes]:
    """The upper layer past the extension headers (RFC 8200 section 4)."""
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        match protocol:
            case 0 | 43 | 60 if len(rest) >= 2:
                length = rest[1] * 8 + 8
            case 51 if len(rest) >= 2:
                length = rest[1] * 4 + 8
            case 44 if len(rest) >= 4 and int.from_bytes(rest[2:4], "big") & 0xFFF8 == 0:
                length = 8
            case 0 | 43 | 44 | 51 | 60:
                return None, b""
            case _:
                return protocol, rest
        if len(rest) < length:
            return None, b""
        protocol, rest = rest[0], rest[length:]
    return None, b""
