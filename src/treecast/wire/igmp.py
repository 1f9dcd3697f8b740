"""IGMPv1, IGMPv2 and IGMPv3 (RFC 1112, RFC 2236, RFC 9776): messages and whole frames.

``parse`` and ``emit`` are the IGMP message alone; ``parse_frame`` adds what the RFCs require of the packet that
carries it: TTL 1, no fragment, a unicast or no source address. The Router Alert option that the RFCs demand from
IGMPv2 on is noted, not required: common hosts and switches leave it out, and a Linux bridge takes their reports.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, ipv4
from treecast.wire.checksum import internet_checksum, with_checksum
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
from treecast.wire.ipv4 import Ipv4Packet

ALL_SYSTEMS = IPv4Address("224.0.0.1")
ALL_ROUTERS = IPv4Address("224.0.0.2")
IGMPV3_ROUTERS = IPv4Address("224.0.0.22")
NO_GROUP = IPv4Address(0)

_QUERY, _REPORT_V1, _REPORT_V2, _LEAVE_V2, _REPORT_V3 = 0x11, 0x12, 0x16, 0x17, 0x22
_TENTHS = 10


def parse(data: bytes) -> MembershipMessage:
    """One IGMP message. MalformedError ``igmp_*``. Bytes after the message's end count for the checksum only."""
    if len(data) < 8:
        raise MalformedError("igmp_truncated")
    if internet_checksum(data) != 0:
        raise MalformedError("igmp_bad_checksum")
    kind = data[0]
    group = IPv4Address(data[4:8])
    if kind == _QUERY:
        return _parse_query(data, group)
    if kind == _REPORT_V3:
        count = int.from_bytes(data[6:8], "big")
        return MembershipReport(parse_records(data[8:], count, 4, "igmp_truncated_records"))
    if kind in (_REPORT_V1, _REPORT_V2):
        return OlderReport(1 if kind == _REPORT_V1 else 2, group)
    if kind == _LEAVE_V2:
        return LeaveGroup(group)
    raise MalformedError("igmp_unknown_type")


def emit(message: MembershipMessage) -> bytes:
    """The message's bytes with a right checksum. Times that the code cannot express are rounded down."""
    match message:
        case MembershipQuery():
            body = _emit_query(message)
        case MembershipReport():
            body = struct.pack("!BBHHH", _REPORT_V3, 0, 0, 0, len(message.records)) + emit_records(message.records)
        case OlderReport():
            body = bytes((_REPORT_V1 if message.version == 1 else _REPORT_V2, 0, 0, 0)) + message.group.packed
        case LeaveGroup():
            body = bytes((_LEAVE_V2, 0, 0, 0)) + message.group.packed
    return with_checksum(body, 2)


def parse_frame(frame: EthernetFrame) -> ReceivedMessage:
    """The IGMP message of a frame. MalformedError ``ipv4_*`` or ``igmp_*``."""
    packet = ipv4.parse(frame.payload)
    if packet.protocol != ipv4.PROTOCOL_IGMP:
        raise MalformedError("igmp_not_igmp")
    if packet.is_fragment:
        raise MalformedError("igmp_fragment")
    if packet.source.is_multicast or int(packet.source) == 0xFFFFFFFF:
        raise MalformedError("igmp_source_not_unicast")
    if packet.ttl != 1:
        raise MalformedError("igmp_ttl_not_1")
    message = parse(packet.payload)
    lacks_alert = _needs_router_alert(message) and not packet.router_alert
    return ReceivedMessage(message, frame.source, packet.source, packet.destination, frame.vlan_id, lacks_alert)


def message_frame(
    message: MembershipMessage, source_mac: MacAddress, source: IPv4Address, vlan: VlanTag | None = None
) -> bytes:
    """A whole frame that carries ``message`` to the address its RFC names."""
    destination = _destination(message)
    packet = Ipv4Packet(
        source=source,
        destination=destination,
        protocol=ipv4.PROTOCOL_IGMP,
        ttl=1,
        payload=emit(message),
        type_of_service=ipv4.INTERNETWORK_CONTROL,
        options=ipv4.ROUTER_ALERT_OPTION if _needs_router_alert(message) else b"",
    )
    head = ethernet.multicast_mac(destination), source_mac, EtherType.IPV4
    return ethernet.emit(EthernetFrame(*head, ipv4.emit(packet), vlan))


def _needs_router_alert(message: MembershipMessage) -> bool:
    """All but IGMPv1: RFC 2236 section 2, RFC 9776 section 4."""
    return not (isinstance(message, MembershipQuery | OlderReport) and message.version == 1)


def _destination(message: MembershipMessage) -> IPv4Address:
    """RFC 2236 section 9, RFC 9776 sections 4.1.12 and 4.2.14."""
    match message:
        case MembershipQuery():
            return ALL_SYSTEMS if message.is_general else _ipv4(message.group)
        case MembershipReport():
            return IGMPV3_ROUTERS
        case OlderReport():
            return _ipv4(message.group)
        case LeaveGroup():
            return ALL_ROUTERS


def _ipv4(address: IPAddress) -> IPv4Address:
    if not isinstance(address, IPv4Address):
        raise TypeError(f"IGMP carries IPv4 groups, not {address}")
    return address


def _parse_query(data: bytes, group: IPv4Address) -> MembershipQuery:
    """RFC 9776 section 7.1: 8 octets are IGMPv1 (code 0) or IGMPv2, 12 and more IGMPv3, others are ignored."""
    code = data[1]
    if len(data) == 8:
        return MembershipQuery(2 if code else 1, group, code / _TENTHS)
    if len(data) < 12:
        raise MalformedError("igmp_bad_length")
    count = int.from_bytes(data[10:12], "big")
    if len(data) < 12 + 4 * count:
        raise MalformedError("igmp_truncated_sources")
    return MembershipQuery(
        version=3,
        group=group,
        max_response_time=decode_float(code, 4) / _TENTHS,
        suppress=bool(data[8] & 0x08),
        robustness=data[8] & 0x07,
        query_interval=decode_float(data[9], 4),
        sources=parse_sources(data[12 : 12 + 4 * count], 4),
    )


def _emit_query(query: MembershipQuery) -> bytes:
    tenths = round(query.max_response_time * _TENTHS)
    if query.version < 3:
        code = 0 if query.version == 1 else min(max(tenths, 1), 255)
        return bytes((_QUERY, code, 0, 0)) + query.group.packed
    robustness = query.robustness if query.robustness <= 7 else 0
    tail = bytes((query.suppress << 3 | robustness, encode_float(int(query.query_interval), 4)))
    count = len(query.sources).to_bytes(2, "big")
    return (
        bytes((_QUERY, encode_float(tenths, 4), 0, 0)) + query.group.packed + tail + count + emit_sources(query.sources)
    )
