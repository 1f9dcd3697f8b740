"""ARP for IPv4 over Ethernet (RFC 826)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag

PACKET_BYTES = 28
_ETHERNET_IPV4 = struct.pack("!HHBB", 1, EtherType.IPV4, 6, 4)


class ArpOperation(IntEnum):
    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class ArpPacket:
    """ARP for Ethernet and IPv4. A probe (RFC 5227) has sender_ip 0.0.0.0; a gratuitous one sender_ip == target_ip."""

    operation: ArpOperation
    sender_mac: MacAddress
    sender_ip: IPv4Address
    target_mac: MacAddress
    target_ip: IPv4Address

    def __str__(self) -> str:
        sender = f"{self.sender_ip} ({self.sender_mac})"
        if self.operation is ArpOperation.REQUEST:
            return f"ARP request for {self.target_ip} from {sender}"
        return f"ARP reply {sender} to {self.target_ip} ({self.target_mac})"

    @property
    def is_probe(self) -> bool:
        return self.operation is ArpOperation.REQUEST and int(self.sender_ip) == 0

    @property
    def is_gratuitous(self) -> bool:
        return self.sender_ip == self.target_ip


def parse(data: bytes) -> ArpPacket:
    """The payload of an ARP frame. MalformedError ``arp_*``."""
    if len(data) < PACKET_BYTES:
        raise MalformedError("arp_truncated")
    if bytes(data[:6]) != _ETHERNET_IPV4:
        raise MalformedError("arp_not_ethernet_ipv4")
    code = int.from_bytes(data[6:8], "big")
    if code not in (ArpOperation.REQUEST, ArpOperation.REPLY):
        raise MalformedError("arp_unknown_operation")
    sender_mac = MacAddress(bytes(data[8:14]))
    if sender_mac.is_group:
        raise MalformedError("arp_sender_not_unicast")
    return ArpPacket(
        ArpOperation(code),
        sender_mac,
        IPv4Address(bytes(data[14:18])),
        MacAddress(bytes(data[18:24])),
        IPv4Address(bytes(data[24:28])),
    )


def emit(packet: ArpPacket) -> bytes:
    """28 bytes."""
    sender = packet.sender_mac.packed + packet.sender_ip.packed
    target = packet.target_mac.packed + packet.target_ip.packed
    return _ETHERNET_IPV4 + packet.operation.to_bytes(2, "big") + sender + target


def reply_frame(request: ArpPacket, mac: MacAddress, vlan: VlanTag | None = None) -> bytes:
    """A whole frame that answers ``request``: its target_ip is at ``mac``."""
    reply = ArpPacket(ArpOperation.REPLY, mac, request.target_ip, request.sender_mac, request.sender_ip)
    return ethernet.emit(EthernetFrame(request.sender_mac, mac, EtherType.ARP, emit(reply), vlan))
