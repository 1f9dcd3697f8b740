"""IPv6 packets (RFC 8200) with the one extension header the control plane reads: Hop-by-Hop Options.

A packet with other extension headers keeps them in ``payload`` and their number in ``next_header``. ``upper_layer`` is
what is behind them, by the rule of ``headers.rs`` of crates/core: what the data plane finds there, so does this.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from treecast.base.errors import MalformedError
from treecast.wire.one_line import octets

HEADER_BYTES = 40
NEXT_HEADER_HOP_BY_HOP = 0
NEXT_HEADER_ICMPV6 = 58
NO_NEXT_HEADER = 59
ROUTER_ALERT_MLD = b"\x05\x02\x00\x00\x01\x00"
"""Hop-by-hop options: Router Alert with value 0, "MLD message" (RFC 2711 section 2.1), and PadN to 8 octets."""

MAX_EXTENSION_HEADERS = 7
"""The number of headers that the data plane looks behind."""

_ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS = 43, 44, 51, 60
_EXTENSION_HEADERS = (NEXT_HEADER_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION_OPTIONS)
_OPTION_PAD1 = 0
_OPTION_PADN = 1
_OPTION_ROUTER_ALERT = 5


@dataclass(frozen=True, slots=True)
class Ipv6Packet:
    """One packet. ``hop_by_hop`` holds that header's options (8n - 2 octets); None where the header is absent."""

    source: IPv6Address
    destination: IPv6Address
    next_header: int
    hop_limit: int
    payload: bytes
    traffic_class: int = 0
    flow_label: int = 0
    hop_by_hop: bytes | None = None

    def __str__(self) -> str:
        ends = f"from {self.source} to {self.destination}"
        hop_by_hop = "" if self.hop_by_hop is None else " hop-by-hop options"
        fields = f"next header {self.next_header} hop limit {self.hop_limit}{hop_by_hop}"
        return f"IPv6 {ends} {fields}, {octets(self.payload)}"

    @property
    def router_alert(self) -> int | None:
        """The value of the Router Alert option (RFC 2711); None where absent."""
        for kind, value in _options(self.hop_by_hop or b""):
            if kind == _OPTION_ROUTER_ALERT and len(value) == 2:
                return int.from_bytes(value, "big")
        return None


def parse(data: bytes) -> Ipv6Packet:
    """A packet, without the link's padding. MalformedError ``ipv6_*`` when a length or option is wrong."""
    if len(data) < HEADER_BYTES:
        raise MalformedError("ipv6_truncated")
    first, payload_bytes, next_header, hop_limit = struct.unpack_from("!IHBB", data)
    if first >> 28 != 6:
        raise MalformedError("ipv6_bad_version")
    if len(data) < HEADER_BYTES + payload_bytes:
        raise MalformedError("ipv6_truncated")
    payload = bytes(data[HEADER_BYTES : HEADER_BYTES + payload_bytes])
    hop_by_hop = None
    if next_header == NEXT_HEADER_HOP_BY_HOP:
        next_header, hop_by_hop, payload = _split_hop_by_hop(payload)
    return Ipv6Packet(
        source=IPv6Address(bytes(data[8:24])),
        destination=IPv6Address(bytes(data[24:40])),
        next_header=next_header,
        hop_limit=hop_limit,
        payload=payload,
        traffic_class=first >> 20 & 0xFF,
        flow_label=first & 0xFFFFF,
        hop_by_hop=hop_by_hop,
    )


@dataclass(frozen=True, slots=True)
class UpperLayer:
    """The part behind the extension headers. ``protocol`` NO_NEXT_HEADER: there is nothing to be found.

    ``is_fragment``: behind a fragment header; ``is_whole``: nothing of it is in another packet, as in an atomic
    fragment (RFC 6946).
    """

    protocol: int
    data: bytes
    is_fragment: bool = False
    is_whole: bool = True

    def __str__(self) -> str:
        fragment = f" {'whole' if self.is_whole else 'part'} in a fragment" if self.is_fragment else ""
        return f"upper layer protocol {self.protocol}{fragment}, {octets(self.data)}"


def upper_layer(packet: Ipv6Packet) -> UpperLayer:
    """The upper layer past the extension headers, in whichever order they come (RFC 8200 section 4)."""
    number, rest = packet.next_header, packet.payload
    is_fragment, is_whole = False, True
    for _ in range(MAX_EXTENSION_HEADERS + (packet.hop_by_hop is None)):
        if number not in _EXTENSION_HEADERS:
            break
        length = _extension_bytes(number, rest)
        if length is None:
            return UpperLayer(NO_NEXT_HEADER, b"", is_fragment, is_whole)
        if number == _FRAGMENT:
            offset_and_more = int.from_bytes(rest[2:4], "big")
            is_fragment, is_whole = True, is_whole and not offset_and_more & 0xFFF9
            if offset_and_more & 0xFFF8:
                return UpperLayer(NO_NEXT_HEADER, b"", is_fragment, is_whole)
        number, rest = rest[0], rest[length:]
    else:
        return UpperLayer(NO_NEXT_HEADER, b"", is_fragment, is_whole)
    return UpperLayer(number, rest, is_fragment, is_whole)


def upper_layer_of(data: bytes) -> UpperLayer:
    """The upper layer of bytes that may be no packet: then there is nothing to be found."""
    try:
        return upper_layer(parse(data))
    except MalformedError:
        return UpperLayer(NO_NEXT_HEADER, b"")


def _extension_bytes(number: int, rest: bytes) -> int | None:
    """The length of the extension header that ``rest`` begins with; None where it is cut off."""
    if len(rest) < 8:
        return None
    length = {_FRAGMENT: 8, _AUTHENTICATION: rest[1] * 4 + 8}.get(number, rest[1] * 8 + 8)
    return length if length <= len(rest) else None


def emit(packet: Ipv6Packet) -> bytes:
    """The packet's bytes."""
    next_header, payload = packet.next_header, packet.payload
    if packet.hop_by_hop is not None:
        if len(packet.hop_by_hop) % 8 != 6:
            raise ValueError(f"hop-by-hop options fill 8n - 2 bytes, not {len(packet.hop_by_hop)}")
        head = bytes((next_header, len(packet.hop_by_hop) // 8))
        next_header, payload = NEXT_HEADER_HOP_BY_HOP, head + packet.hop_by_hop + payload
    first = 6 << 28 | packet.traffic_class << 20 | packet.flow_label
    header = struct.pack("!IHBB", first, len(payload), next_header, packet.hop_limit)
    return header + packet.source.packed + packet.destination.packed + payload


def _split_hop_by_hop(payload: bytes) -> tuple[int, bytes, bytes]:
    """Next header, options and the rest of a payload that begins with a Hop-by-Hop Options header."""
    if len(payload) < 8 or len(payload) < (payload[1] + 1) * 8:
        raise MalformedError("ipv6_truncated")
    end = (payload[1] + 1) * 8
    options = payload[2:end]
    for _ in _options(options):
        pass
    return payload[0], options, payload[end:]


def _options(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each option, padding left out. MalformedError ``ipv6_bad_options``."""
    at = 0
    while at < len(options):
        if options[at] == _OPTION_PAD1:
            at += 1
            continue
        end = at + 2 + options[at + 1] if at + 1 < len(options) else len(options) + 1
        if end > len(options):
            raise MalformedError("ipv6_bad_options")
        if options[at] != _OPTION_PADN:
            yield options[at], options[at + 2 : end]
        at = end
