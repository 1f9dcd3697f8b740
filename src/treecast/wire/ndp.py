"""IPv6 Neighbor Discovery (RFC 4861): NS, NA, RS and RA, checked by that RFC's "Validation of ..." sections.

Redirects are not read: the overlay is one link and has no use for them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, ipv6
from treecast.wire.checksum import internet_checksum, ipv6_pseudo_header, with_checksum
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.ipv6 import NEXT_HEADER_ICMPV6, Ipv6Packet
from treecast.wire.one_line import hexadecimal, listed

HOP_LIMIT = 255
OPTION_SOURCE_LINK_LAYER = 1
OPTION_TARGET_LINK_LAYER = 2
ALL_NODES = IPv6Address("ff02::1")
ALL_NODES_MAC = ethernet.multicast_mac(ALL_NODES)

_ROUTER_SOLICITATION, _ROUTER_ADVERTISEMENT, _NEIGHBOR_SOLICITATION, _NEIGHBOR_ADVERTISEMENT = 133, 134, 135, 136
_FIXED_BYTES = {
    _ROUTER_SOLICITATION: 8,
    _ROUTER_ADVERTISEMENT: 16,
    _NEIGHBOR_SOLICITATION: 24,
    _NEIGHBOR_ADVERTISEMENT: 24,
}
_SOLICITED_NODE_PREFIX = IPv6Address("ff02::1:ff00:0").packed[:13]


@dataclass(frozen=True, slots=True)
class NdpOption:
    """One option: its type and its value, which fills 8n - 2 octets."""

    kind: int
    value: bytes

    def __str__(self) -> str:
        return f"NDP option {self.kind} {hexadecimal(self.value)}"


NdpOptions = tuple[NdpOption, ...]


@dataclass(frozen=True, slots=True)
class RouterSolicitation:
    """RFC 4861 section 4.1."""

    options: NdpOptions = ()

    def __str__(self) -> str:
        return f"router solicitation{_shown(self.options)}"


@dataclass(frozen=True, slots=True)
class RouterAdvertisement:
    """RFC 4861 section 4.2. ``router_lifetime`` in seconds; the two times in milliseconds, as on the wire."""

    hop_limit: int
    flags: int
    router_lifetime: int
    reachable_time_ms: int
    retransmission_ms: int
    options: NdpOptions = ()

    def __str__(self) -> str:
        times = f"lifetime {self.router_lifetime} s, reachable {self.reachable_time_ms} ms"
        return f"router advertisement hop limit {self.hop_limit}, flags {self.flags:#x}, {times}{_shown(self.options)}"


@dataclass(frozen=True, slots=True)
class NeighborSolicitation:
    """RFC 4861 section 4.3."""

    target: IPv6Address
    options: NdpOptions = ()

    def __str__(self) -> str:
        return f"neighbor solicitation for {self.target}{_shown(self.options)}"


@dataclass(frozen=True, slots=True)
class NeighborAdvertisement:
    """RFC 4861 section 4.4."""

    target: IPv6Address
    router: bool
    solicited: bool
    override: bool
    options: NdpOptions = ()

    def __str__(self) -> str:
        flags = {"router": self.router, "solicited": self.solicited, "override": self.override}
        shown = "".join(f", {name}" for name, is_set in flags.items() if is_set)
        return f"neighbor advertisement of {self.target}{shown}{_shown(self.options)}"


NdpMessage = RouterSolicitation | RouterAdvertisement | NeighborSolicitation | NeighborAdvertisement


def _shown(options: NdpOptions) -> str:
    shown = listed([f"{option.kind} {hexadecimal(option.value)}" for option in options], 40)
    return f", options {shown}" if shown else ""


def link_layer_option(kind: int, mac: MacAddress) -> NdpOption:
    """A source or target link-layer address option for Ethernet (RFC 2464 section 6)."""
    return NdpOption(kind, mac.packed)


def link_layer_address(message: NdpMessage) -> MacAddress | None:
    """The sender's MAC: source link-layer address of NS, RS and RA, target link-layer address of NA."""
    wanted = OPTION_TARGET_LINK_LAYER if isinstance(message, NeighborAdvertisement) else OPTION_SOURCE_LINK_LAYER
    for option in message.options:
        if option.kind == wanted and len(option.value) == 6:
            return MacAddress(option.value)
    return None


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The solicited-node group of an address (RFC 4291 section 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE_PREFIX + address.packed[13:])


def is_ndp(packet: Ipv6Packet) -> bool:
    """Whether this is one of the four messages, before any check."""
    upper = ipv6.upper_layer(packet)
    return upper.protocol == NEXT_HEADER_ICMPV6 and upper.data[:1] in (b"\x85", b"\x86", b"\x87", b"\x88")


def parse(packet: Ipv6Packet) -> NdpMessage:
    """The message of an IPv6 packet. MalformedError ``ndp_*``, one reason for each rule of RFC 4861, and RFC 6980."""
    upper = ipv6.upper_layer(packet)
    data = upper.data
    if upper.protocol != NEXT_HEADER_ICMPV6 or not data:
        raise MalformedError("ndp_not_icmpv6")
    if upper.is_fragment:
        raise MalformedError("ndp_fragment")
    fixed = _FIXED_BYTES.get(data[0])
    if fixed is None:
        raise MalformedError("ndp_unknown_type")
    if len(data) < fixed:
        raise MalformedError("ndp_truncated")
    if packet.hop_limit != HOP_LIMIT:
        raise MalformedError("ndp_hop_limit_not_255")
    pseudo_header = ipv6_pseudo_header(packet.source, packet.destination, len(data), NEXT_HEADER_ICMPV6)
    if internet_checksum(pseudo_header + data) != 0:
        raise MalformedError("ndp_bad_checksum")
    if data[1] != 0:
        raise MalformedError("ndp_bad_code")
    message = _message(data, _parse_options(data[fixed:]))
    _validate(message, packet)
    return message


def emit(message: NdpMessage, source: IPv6Address, destination: IPv6Address) -> bytes:
    """The ICMPv6 message with a right checksum, for a packet between these addresses."""
    match message:
        case RouterSolicitation():
            body = struct.pack("!BBHI", _ROUTER_SOLICITATION, 0, 0, 0)
        case RouterAdvertisement():
            body = struct.pack(
                "!BBHBBHII",
                _ROUTER_ADVERTISEMENT,
                0,
                0,
                message.hop_limit,
                message.flags,
                message.router_lifetime,
                message.reachable_time_ms,
                message.retransmission_ms,
            )
        case NeighborSolicitation():
            body = struct.pack("!BBHI", _NEIGHBOR_SOLICITATION, 0, 0, 0) + message.target.packed
        case NeighborAdvertisement():
            flags = message.router << 31 | message.solicited << 30 | message.override << 29
            body = struct.pack("!BBHI", _NEIGHBOR_ADVERTISEMENT, 0, 0, flags) + message.target.packed
    body += b"".join(_emit_option(option) for option in message.options)
    return with_checksum(body, 2, ipv6_pseudo_header(source, destination, len(body), NEXT_HEADER_ICMPV6))


def frame(
    message: NdpMessage,
    *,
    source_mac: MacAddress,
    source: IPv6Address,
    destination_mac: MacAddress,
    destination: IPv6Address,
    vlan: VlanTag | None = None,
) -> bytes:
    """A whole Ethernet frame that carries ``message``."""
    payload = emit(message, source, destination)
    packet = Ipv6Packet(source, destination, NEXT_HEADER_ICMPV6, HOP_LIMIT, payload)
    return ethernet.emit(EthernetFrame(destination_mac, source_mac, EtherType.IPV6, ipv6.emit(packet), vlan))


def advertisement_frame(
    solicitation: NeighborSolicitation,
    *,
    solicitor: IPv6Address,
    solicitor_mac: MacAddress,
    mac: MacAddress,
    router: bool = False,
    override: bool = True,
    vlan: VlanTag | None = None,
) -> bytes:
    """A whole frame that answers ``solicitation``: its target is at ``mac``.

    ``solicitor`` is the solicitation's IPv6 source. A solicitor without an address (duplicate address
    detection) is answered to all nodes with the Solicited flag clear (RFC 4861 section 7.2.4).
    """
    probing = int(solicitor) == 0
    message = NeighborAdvertisement(
        target=solicitation.target,
        router=router,
        solicited=not probing,
        override=override,
        options=(link_layer_option(OPTION_TARGET_LINK_LAYER, mac),),
    )
    return frame(
        message,
        source_mac=mac,
        source=solicitation.target,
        destination_mac=ALL_NODES_MAC if probing else solicitor_mac,
        destination=ALL_NODES if probing else solicitor,
        vlan=vlan,
    )


def _message(data: bytes, options: NdpOptions) -> NdpMessage:
    if data[0] == _ROUTER_SOLICITATION:
        return RouterSolicitation(options)
    if data[0] == _ROUTER_ADVERTISEMENT:
        hop_limit, flags, lifetime, reachable, retransmission = struct.unpack_from("!BBHII", data, 4)
        return RouterAdvertisement(hop_limit, flags, lifetime, reachable, retransmission, options)
    target = IPv6Address(data[8:24])
    if data[0] == _NEIGHBOR_SOLICITATION:
        return NeighborSolicitation(target, options)
    flags = data[4]
    return NeighborAdvertisement(target, bool(flags & 0x80), bool(flags & 0x40), bool(flags & 0x20), options)


def _validate(message: NdpMessage, packet: Ipv6Packet) -> None:
    """The rules between fields: RFC 4861 sections 6.1.1, 6.1.2, 7.1.1 and 7.1.2."""
    unspecified = int(packet.source) == 0
    match message:
        case RouterSolicitation():
            if unspecified and link_layer_address(message):
                raise MalformedError("ndp_unspecified_source_with_link_layer")
        case RouterAdvertisement():
            if not packet.source.is_link_local:
                raise MalformedError("ndp_source_not_link_local")
        case NeighborSolicitation():
            if message.target.is_multicast:
                raise MalformedError("ndp_target_not_unicast")
            if unspecified and link_layer_address(message):
                raise MalformedError("ndp_unspecified_source_with_link_layer")
            if unspecified and packet.destination.packed[:13] != _SOLICITED_NODE_PREFIX:
                raise MalformedError("ndp_destination_not_solicited_node")
        case NeighborAdvertisement():
            if message.target.is_multicast:
                raise MalformedError("ndp_target_not_unicast")
            if packet.destination.is_multicast and message.solicited:
                raise MalformedError("ndp_solicited_to_multicast")


def _parse_options(data: bytes) -> NdpOptions:
    options = []
    at = 0
    while at < len(data):
        end = at + data[at + 1] * 8 if at + 1 < len(data) else at
        if end == at or end > len(data):
            raise MalformedError("ndp_bad_options")
        options.append(NdpOption(data[at], data[at + 2 : end]))
        at = end
    return tuple(options)


def _emit_option(option: NdpOption) -> bytes:
    if len(option.value) % 8 != 6:
        raise ValueError(f"an NDP option's value has 8n - 2 bytes, not {len(option.value)}")
    return bytes((option.kind, (len(option.value) + 2) // 8)) + option.value
