"""PIM Hello (RFC 7761 section 4.9.2): that there is a multicast router, and for how long to believe it.

Nothing else of PIM is read: whoever sends Hellos is a router, and its port is given what routers need (RFC 4541).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress
from treecast.base.errors import MalformedError
from treecast.base.time import Duration
from treecast.wire import ipv4, ipv6
from treecast.wire.checksum import internet_checksum, ipv6_pseudo_header
from treecast.wire.ethernet import EthernetFrame, EtherType

PROTOCOL_PIM = 103
ALL_PIM_ROUTERS_IPV4 = IPv4Address("224.0.0.13")
ALL_PIM_ROUTERS_IPV6 = IPv6Address("ff02::d")
DEFAULT_HOLD_TIME: Duration = 105
"""RFC 7761 section 4.11: 3.5 Hello periods of 30 s."""

FOREVER: Duration = float("inf")
"""Holdtime 0xffff: never time out."""

_VERSION_2_HELLO = 0x20
_OPTION_HOLD_TIME = 1


@dataclass(frozen=True, slots=True)
class PimHello:
    """``hold_time`` 0: the router says goodbye."""

    source: IPAddress
    hold_time: Duration


def is_pim(frame: EthernetFrame) -> bool:
    """Whether the frame claims to carry PIM, before any check but of lengths."""
    if frame.ethertype == EtherType.IPV4:
        return len(frame.payload) >= ipv4.HEADER_BYTES and frame.payload[9] == PROTOCOL_PIM
    if frame.ethertype == EtherType.IPV6:
        return len(frame.payload) >= ipv6.HEADER_BYTES and frame.payload[6] == PROTOCOL_PIM
    return False


def parse_hello(frame: EthernetFrame) -> PimHello:
    """The Hello that a frame carries. MalformedError ``ipv4_*``, ``ipv6_*`` or ``pim_*`` for anything else."""
    source: IPAddress
    if frame.ethertype == EtherType.IPV4:
        packet = ipv4.parse(frame.payload)
        source, payload, pseudo_header = packet.source, packet.payload, b""
        expected = packet.protocol == PROTOCOL_PIM and packet.destination == ALL_PIM_ROUTERS_IPV4
        usable = not (packet.is_fragment or source.is_unspecified or source.is_multicast)
    elif frame.ethertype == EtherType.IPV6:
        packet6 = ipv6.parse(frame.payload)
        source, payload = packet6.source, packet6.payload
        pseudo_header = ipv6_pseudo_header(packet6.source, packet6.destination, len(payload), PROTOCOL_PIM)
        expected = packet6.next_header == PROTOCOL_PIM and packet6.destination == ALL_PIM_ROUTERS_IPV6
        usable = packet6.source.is_link_local
    else:
        raise MalformedError("pim_not_pim")
    if not expected:
        raise MalformedError("pim_not_pim")
    if not usable:
        raise MalformedError("pim_bad_source")
    return PimHello(source, _hold_time(payload, pseudo_header))


def _hold_time(message: bytes, pseudo_header: bytes) -> Duration:
    """The Holdtime option of a Hello, or the default."""
    if len(message) < 4:
        raise MalformedError("pim_truncated")
    if message[0] != _VERSION_2_HELLO:
        raise MalformedError("pim_not_hello")
    if internet_checksum(pseudo_header + message) != 0:
        raise MalformedError("pim_bad_checksum")
    at = 4
    while at < len(message):
        kind, length = int.from_bytes(message[at : at + 2], "big"), int.from_bytes(message[at + 2 : at + 4], "big")
        value = message[at + 4 : at + 4 + length]
        if at + 4 > len(message) or len(value) < length:
            raise MalformedError("pim_truncated")
        if kind == _OPTION_HOLD_TIME and length == 2:
            seconds = int.from_bytes(value, "big")
            return FOREVER if seconds == 0xFFFF else seconds
        at += 4 + length
    return DEFAULT_HOLD_TIME
