"""Multicast Router Discovery (RFC 4286): advertisements and terminations of multicast routers."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import IPAddress
from treecast.base.errors import MalformedError
from treecast.base.time import Duration
from treecast.wire import ipv4, ipv6
from treecast.wire.checksum import internet_checksum, ipv6_pseudo_header
from treecast.wire.ethernet import EthernetFrame, EtherType

ALL_SNOOPERS_IPV4 = IPv4Address("224.0.0.106")
ALL_SNOOPERS_IPV6 = IPv6Address("ff02::6a")

_ADVERTISEMENT, _TERMINATION = {4: 0x30, 6: 151}, {4: 0x32, 6: 153}
_ADVERTISEMENT_BYTES, _TERMINATION_BYTES = 8, 4
_INTERVALS_TO_SILENCE = 3
"""Section 3.3.2: the Neighbor Dead Interval is three advertisement intervals."""


@dataclass(frozen=True, slots=True)
class MulticastRouterAdvertisement:
    """``hold_time`` 0: the router ends."""

    source: IPAddress
    hold_time: Duration

    def __str__(self) -> str:
        return f"MRD router advertisement of {self.source}, hold time {self.hold_time:g} s"


def is_mrd(frame: EthernetFrame) -> bool:
    """Whether the frame claims to carry an advertisement or a termination, before any check but of lengths."""
    payload = frame.payload
    if frame.ethertype == EtherType.IPV4 and len(payload) >= ipv4.HEADER_BYTES:
        at = (payload[0] & 0x0F) * 4
        return payload[9] == ipv4.PROTOCOL_IGMP and payload[at : at + 1] in (b"\x30", b"\x32")
    if frame.ethertype == EtherType.IPV6:
        upper = ipv6.upper_layer_of(payload)
        return upper.protocol == ipv6.NEXT_HEADER_ICMPV6 and upper.data[:1] in (b"\x97", b"\x99")
    return False


def parse(frame: EthernetFrame) -> MulticastRouterAdvertisement:
    """The advertisement or termination of a frame. MalformedError ``ipv4_*``, ``ipv6_*`` or ``mrd_*``."""
    if frame.ethertype == EtherType.IPV4:
        packet = ipv4.parse(frame.payload)
        if packet.protocol != ipv4.PROTOCOL_IGMP or packet.destination != ALL_SNOOPERS_IPV4 or packet.is_fragment:
            raise MalformedError("mrd_not_mrd")
        if packet.ttl != 1 or packet.source.is_unspecified or packet.source.is_multicast:
            raise MalformedError("mrd_bad_source")
        return MulticastRouterAdvertisement(packet.source, _hold_time(packet.payload, 4, b""))
    if frame.ethertype == EtherType.IPV6:
        packet6 = ipv6.parse(frame.payload)
        upper = ipv6.upper_layer(packet6)
        if upper.protocol != ipv6.NEXT_HEADER_ICMPV6 or packet6.destination != ALL_SNOOPERS_IPV6 or not upper.is_whole:
            raise MalformedError("mrd_not_mrd")
        if packet6.hop_limit != 1 or not packet6.source.is_link_local:
            raise MalformedError("mrd_bad_source")
        addresses = packet6.source, packet6.destination
        pseudo_header = ipv6_pseudo_header(*addresses, len(upper.data), ipv6.NEXT_HEADER_ICMPV6)
        return MulticastRouterAdvertisement(packet6.source, _hold_time(upper.data, 6, pseudo_header))
    raise MalformedError("mrd_not_mrd")


def _hold_time(message: bytes, ip_version: int, pseudo_header: bytes) -> Duration:
    if len(message) < _TERMINATION_BYTES:
        raise MalformedError("mrd_truncated")
    if internet_checksum(pseudo_header + message) != 0:
        raise MalformedError("mrd_bad_checksum")
    if message[0] == _TERMINATION[ip_version]:
        return 0
    if message[0] != _ADVERTISEMENT[ip_version]:
        raise MalformedError("mrd_not_mrd")
    if len(message) < _ADVERTISEMENT_BYTES:
        raise MalformedError("mrd_truncated")
    return _INTERVALS_TO_SILENCE * message[1]
