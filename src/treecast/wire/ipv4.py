"""IPv4 packets (RFC 791) with options, as far as the control plane reads them: Router Alert (RFC 2113)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from treecast.base.errors import MalformedError
from treecast.wire.checksum import internet_checksum, with_checksum
from treecast.wire.one_line import octets

HEADER_BYTES = 20
MAX_OPTION_BYTES = 40
PROTOCOL_IGMP = 2
ROUTER_ALERT_OPTION = b"\x94\x04\x00\x00"
INTERNETWORK_CONTROL = 0xC0
"""The type-of-service octet of IGMP messages (RFC 9776 section 4)."""

_DONT_FRAGMENT = 0x4000
_MORE_FRAGMENTS = 0x2000


@dataclass(frozen=True, slots=True)
class Ipv4Packet:
    """One packet. ``fragment_offset`` counts units of 8 octets; ``options`` is padded to 4 octets on emission."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    ttl: int
    payload: bytes
    type_of_service: int = 0
    identification: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment_offset: int = 0
    options: bytes = b""

    def __str__(self) -> str:
        fragment = f" fragment at {8 * self.fragment_offset}" if self.is_fragment else ""
        ends = f"from {self.source} to {self.destination}"
        return f"IPv4 {ends} protocol {self.protocol} TTL {self.ttl}{fragment}, {octets(self.payload)}"

    @property
    def is_fragment(self) -> bool:
        return self.more_fragments or self.fragment_offset > 0

    @property
    def router_alert(self) -> bool:
        """Whether the packet has the option "router shall examine packet" (RFC 2113 section 2.1)."""
        return any(kind == ROUTER_ALERT_OPTION[0] and value == b"\0\0" for kind, value in _options(self.options))


def parse(data: bytes) -> Ipv4Packet:
    """A packet, without the link's padding. MalformedError ``ipv4_*`` when a length, checksum or option is wrong."""
    if len(data) < HEADER_BYTES:
        raise MalformedError("ipv4_truncated")
    first, tos, total, identification, fragment, ttl, protocol = struct.unpack_from("!BBHHHBB", data)
    if first >> 4 != 4:
        raise MalformedError("ipv4_bad_version")
    header_bytes = (first & 0x0F) * 4
    if not HEADER_BYTES <= header_bytes <= total:
        raise MalformedError("ipv4_bad_length")
    if len(data) < total:
        raise MalformedError("ipv4_truncated")
    header = bytes(data[:header_bytes])
    if internet_checksum(header) != 0:
        raise MalformedError("ipv4_bad_checksum")
    options = header[HEADER_BYTES:]
    for _ in _options(options):
        pass
    return Ipv4Packet(
        source=IPv4Address(header[12:16]),
        destination=IPv4Address(header[16:20]),
        protocol=protocol,
        ttl=ttl,
        payload=bytes(data[header_bytes:total]),
        type_of_service=tos,
        identification=identification,
        dont_fragment=bool(fragment & _DONT_FRAGMENT),
        more_fragments=bool(fragment & _MORE_FRAGMENTS),
        fragment_offset=fragment & 0x1FFF,
        options=options,
    )


def emit(packet: Ipv4Packet) -> bytes:
    """The packet's bytes with a right header checksum."""
    options = packet.options + b"\0" * (-len(packet.options) % 4)
    if len(options) > MAX_OPTION_BYTES:
        raise ValueError(f"IPv4 options have at most {MAX_OPTION_BYTES} bytes, not {len(options)}")
    header_bytes = HEADER_BYTES + len(options)
    fragment = packet.dont_fragment * _DONT_FRAGMENT | packet.more_fragments * _MORE_FRAGMENTS | packet.fragment_offset
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | header_bytes // 4,
        packet.type_of_service,
        header_bytes + len(packet.payload),
        packet.identification,
        fragment,
        packet.ttl,
        packet.protocol,
        0,
        packet.source.packed,
        packet.destination.packed,
    )
    return with_checksum(header + options, 10) + packet.payload


def _options(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and value of each option up to End of Option List. MalformedError ``ipv4_bad_options``."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            raise MalformedError("ipv4_bad_options")
        yield options[at], options[at + 2 : at + length]
        at += length
