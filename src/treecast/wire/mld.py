"""MLDv1 and MLDv2 (RFC 2710, RFC 9777): messages and whole frames.

``parse`` and ``emit`` are the ICMPv6 message alone (its checksum covers the addresses); ``parse_frame`` adds what
the RFCs require of the packet that carries it: hop limit 1, the Router Alert option, a link-local source. Reports may
come from the unspecified address: a host that has no link-local address yet sends them for the sake of snooping
switches (RFC 3590 section 4), which is what a node is to its hosts.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, ipv6
from treecast.wire.checksum import internet_checksum, ipv6_pseudo_header, with_checksum
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag
from treecast.wire.group_membership import (
    LeaveGroup,
    MembershipMessage,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    ReceivedMessage,
    decode_float,
    emit_records,
    emit_sources,
    encode_float,
    parse_records,
    parse_sources,
)
from treecast.wire.ipv6 import NEXT_HEADER_ICMPV6, Ipv6Packet

ALL_NODES = IPv6Address("ff02::1")
ALL_ROUTERS = IPv6Address("ff02::2")
MLDV2_ROUTERS = IPv6Address("ff02::16")
NO_GROUP = IPv6Address(0)

_QUERY, _REPORT_V1, _DONE_V1, _REPORT_V2 = 130, 131, 132, 143
_TYPES = frozenset((_QUERY, _REPORT_V1, _DONE_V1, _REPORT_V2))
_MILLISECONDS = 1000


def is_mld(packet: Ipv6Packet) -> bool:
    """Whether this is an MLD message, before any check."""
    upper = ipv6.upper_layer(packet)
    return upper.protocol == NEXT_HEADER_ICMPV6 and bool(upper.data) and upper.data[0] in _TYPES


def parse(data: bytes, source: IPv6Address, destination: IPv6Address) -> MembershipMessage:
    """One MLD message from a packet between these addresses. MalformedError ``mld_*``."""
    if len(data) < 8:
        raise MalformedError("mld_truncated")
    kind = data[0]
    if kind not in _TYPES:
        raise MalformedError("mld_unknown_type")
    if internet_checksum(ipv6_pseudo_header(source, destination, len(data), NEXT_HEADER_ICMPV6) + data) != 0:
        raise MalformedError("mld_bad_checksum")
    if kind == _REPORT_V2:
        count = int.from_bytes(data[6:8], "big")
        return MembershipReport(parse_records(data[8:], count, 16, "mld_truncated_records"))
    if len(data) < 24:
        raise MalformedError("mld_truncated")
    group = IPv6Address(data[8:24])
    if kind == _QUERY:
        return _parse_query(data, group)
    return OlderReport(1, group) if kind == _REPORT_V1 else LeaveGroup(group)


def emit(message: MembershipMessage, source: IPv6Address, destination: IPv6Address) -> bytes:
    """The message's bytes with a right checksum. Times that the code cannot express are rounded down."""
    match message:
        case MembershipQuery():
            body = _emit_query(message)
        case MembershipReport():
            body = struct.pack("!BBHHH", _REPORT_V2, 0, 0, 0, len(message.records)) + emit_records(message.records)
        case OlderReport():
            body = bytes((_REPORT_V1, 0, 0, 0, 0, 0, 0, 0)) + message.group.packed
        case LeaveGroup():
            body = bytes((_DONE_V1, 0, 0, 0, 0, 0, 0, 0)) + message.group.packed
    return with_checksum(body, 2, ipv6_pseudo_header(source, destination, len(body), NEXT_HEADER_ICMPV6))


def parse_frame(frame: EthernetFrame) -> ReceivedMessage:
    """The MLD message of a frame. MalformedError ``ipv6_*`` or ``mld_*``."""
    packet = ipv6.parse(frame.payload)
    upper = ipv6.upper_layer(packet)
    if upper.protocol != NEXT_HEADER_ICMPV6:
        raise MalformedError("mld_not_mld")
    if not upper.is_whole:
        raise MalformedError("mld_fragment")
    message = parse(upper.data, packet.source, packet.destination)
    from_host = not isinstance(message, MembershipQuery)
    if not packet.source.is_link_local and not (from_host and packet.source.is_unspecified):
        raise MalformedError("mld_source_not_link_local")
    if packet.hop_limit != 1:
        raise MalformedError("mld_hop_limit_not_1")
    if packet.router_alert != 0:
        raise MalformedError("mld_no_router_alert")
    return ReceivedMessage(message, frame.source, packet.source, packet.destination, frame.vlan_id)


def message_frame(
    message: MembershipMessage, source_mac: MacAddress, source: IPv6Address, vlan: VlanTag | None = None
) -> bytes:
    """A whole frame that carries ``message`` to the address its RFC names."""
    destination = _destination(message)
    payload = emit(message, source, destination)
    packet = Ipv6Packet(source, destination, NEXT_HEADER_ICMPV6, 1, payload, hop_by_hop=ipv6.ROUTER_ALERT_MLD)
    head = ethernet.multicast_mac(destination), source_mac, EtherType.IPV6
    return ethernet.emit(EthernetFrame(*head, ipv6.emit(packet), vlan))


def _destination(message: MembershipMessage) -> IPv6Address:
    """RFC 2710 section 5, RFC 9777 sections 5.1.15 and 5.2.14."""
    match message:
        case MembershipQuery():
            return ALL_NODES if message.is_general else _ipv6(message.group)
        case MembershipReport():
            return MLDV2_ROUTERS
        case OlderReport():
            return _ipv6(message.group)
        case LeaveGroup():
            return ALL_ROUTERS


def _ipv6(address: IPAddress) -> IPv6Address:
    if not isinstance(address, IPv6Address):
        raise TypeError(f"MLD carries IPv6 groups, not {address}")
    return address


def _parse_query(data: bytes, group: IPv6Address) -> MembershipQuery:
    """RFC 9777 section 8.1: 24 octets are MLDv1, 28 and more MLDv2, others are ignored."""
    code = int.from_bytes(data[4:6], "big")
    if len(data) == 24:
        return MembershipQuery(1, group, code / _MILLISECONDS)
    if len(data) < 28:
        raise MalformedError("mld_bad_length")
    count = int.from_bytes(data[26:28], "big")
    if len(data) < 28 + 16 * count:
        raise MalformedError("mld_truncated_sources")
    return MembershipQuery(
        version=2,
        group=group,
        max_response_time=decode_float(code, 12) / _MILLISECONDS,
        suppress=bool(data[24] & 0x08),
        robustness=data[24] & 0x07,
        query_interval=decode_float(data[25], 4),
        sources=parse_sources(data[28 : 28 + 16 * count], 16),
    )


def _emit_query(query: MembershipQuery) -> bytes:
    milliseconds = round(query.max_response_time * _MILLISECONDS)
    if query.version < 2:
        return struct.pack("!BBHHH", _QUERY, 0, 0, min(milliseconds, 0xFFFF), 0) + query.group.packed
    robustness = query.robustness if query.robustness <= 7 else 0
    head = struct.pack("!BBHHH", _QUERY, 0, 0, encode_float(milliseconds, 12), 0)
    tail = bytes((query.suppress << 3 | robustness, encode_float(int(query.query_interval), 4)))
    return head + query.group.packed + tail + len(query.sources).to_bytes(2, "big") + emit_sources(query.sources)
