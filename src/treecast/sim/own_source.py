"""The model of ``own_source.rs`` of crates/core: frames of the machine from a bridge, under the node's own MAC.

Written along docs/protocol.md section 7, byte by byte and without care for speed; a differential test holds the two
against each other on random frames.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from treecast.base.addresses import IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.machine_commands import SetBridgeMac
from treecast.sim.frames import Packet, ip_packet

FIRST_OPTION = {133: 8, 135: 24, 136: 24}
"""Offsets by the type of a message of Neighbor Discovery, counted from its start."""


def own_mac(node: NodeIndex) -> bytes:
    """The MAC of a node's own interface."""
    return b"\x02\x54" + node.to_bytes(4, "big")


def under_own_mac(node: NodeIndex, frame: bytes, command: SetBridgeMac | None) -> bytes:
    """The frame as it leaves the machine's TAP."""
    if command is None or command.mac is None or frame[6:12] != command.mac.packed:
        return frame
    bridge, own = command.mac.packed, own_mac(node)
    ethertype, data = frame[12:14], frame[14:]
    packet = ip_packet(int.from_bytes(ethertype, "big"), data)
    if packet is not None and not _speaks_for(packet).isdisjoint(command.addresses):
        data = _under_own_options(data, packet, bridge, own)
    elif ethertype == b"\x08\x06" and data[14:18] in {address.packed for address in command.addresses}:
        data = data[:8] + (own if data[8:14] == bridge else data[8:14]) + data[14:]
    else:
        return frame
    return frame[:6] + own + ethertype + data


def _speaks_for(packet: Packet) -> set[IPAddress]:
    """The addresses that a packet is from or advertises; none for IGMP and MLD."""
    if packet.is_mld or (packet.version == 4 and packet.protocol == 2):
        return set()
    target = packet.rest[8:24] if packet.icmpv6_type == 136 else b""
    return {packet.source, *([IPv6Address(target)] if len(target) == 16 else [])}


def _under_own_options(data: bytes, packet: Packet, bridge: bytes, own: bytes) -> bytes:
    if packet.icmpv6_type not in FIRST_OPTION:
        return data
    end = 40 + int.from_bytes(data[4:6], "big")
    return data[: end - len(packet.rest)] + _with_options(packet.rest, bridge, own) + data[end:]


def _with_options(message: bytes, bridge: bytes, own: bytes) -> bytes:
    at = FIRST_OPTION[message[0]]
    while at + 2 <= len(message) and message[at + 1]:
        if message[at] in {1, 2} and message[at + 2 : at + 8] == bridge:
            checksum = _updated(int.from_bytes(message[2:4], "big"), bridge, own).to_bytes(2, "big")
            message = message[:2] + checksum + message[4 : at + 2] + own + message[at + 8 :]
        at += message[at + 1] * 8
    return message


def _updated(checksum: int, before: bytes, after: bytes) -> int:
    """RFC 1624, equation 3."""
    total = checksum ^ 0xFFFF
    for at in range(0, len(before), 2):
        total += (int.from_bytes(before[at : at + 2], "big") ^ 0xFFFF) + int.from_bytes(after[at : at + 2], "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
