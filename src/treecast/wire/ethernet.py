"""Ethernet II frames, with one optional IEEE 802.1Q tag.

0        6        12                      14 (18 with a tag)
| dst    | src    | [8100 PCP DEI VID] type | payload ...
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.errors import MalformedError
from treecast.wire.one_line import octets

HEADER_BYTES = 14
VLAN_TAG_BYTES = 4


class EtherType(IntEnum):
    """The EtherTypes that the control plane reads."""

    IPV4 = 0x0800
    ARP = 0x0806
    VLAN = 0x8100
    IPV6 = 0x86DD


@dataclass(frozen=True, slots=True)
class VlanTag:
    """An IEEE 802.1Q tag. ``vlan_id`` 0 carries a priority only."""

    vlan_id: int
    priority: int = 0
    drop_eligible: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.vlan_id < 4096:
            raise ValueError(f"a VLAN id has 12 bits: {self.vlan_id}")
        if not 0 <= self.priority < 8:
            raise ValueError(f"a VLAN priority has 3 bits: {self.priority}")

    def __str__(self) -> str:
        eligible = ", drop eligible" if self.drop_eligible else ""
        return f"VLAN {self.vlan_id} priority {self.priority}{eligible}"


@dataclass(frozen=True, slots=True)
class EthernetFrame:
    """One frame without its FCS. ``ethertype`` below 0x600 is the length field of IEEE 802.3."""

    destination: MacAddress
    source: MacAddress
    ethertype: int
    payload: bytes
    vlan: VlanTag | None = None

    def __str__(self) -> str:
        known = self.ethertype in EtherType.__members__.values()
        kind = EtherType(self.ethertype).name if known else f"0x{self.ethertype:04x}"
        tag = f" {self.vlan}" if self.vlan else ""
        return f"Ethernet {kind} from {self.source} to {self.destination}{tag}, {octets(self.payload)}"

    @property
    def vlan_id(self) -> int | None:
        """The VLAN it belongs to; None when untagged or only priority-tagged."""
        return self.vlan.vlan_id or None if self.vlan else None


def parse(data: bytes) -> EthernetFrame:
    """A frame as read from a TAP. MalformedError ``ethernet_truncated``."""
    if len(data) < HEADER_BYTES:
        raise MalformedError("ethernet_truncated")
    destination, source = MacAddress(bytes(data[0:6])), MacAddress(bytes(data[6:12]))
    ethertype = int.from_bytes(data[12:14], "big")
    if ethertype != EtherType.VLAN:
        return EthernetFrame(destination, source, ethertype, bytes(data[14:]))
    if len(data) < HEADER_BYTES + VLAN_TAG_BYTES:
        raise MalformedError("ethernet_truncated")
    control = int.from_bytes(data[14:16], "big")
    tag = VlanTag(control & 0x0FFF, control >> 13, bool(control & 0x1000))
    return EthernetFrame(destination, source, int.from_bytes(data[16:18], "big"), bytes(data[18:]), tag)


def emit(frame: EthernetFrame) -> bytes:
    """The frame's bytes; not padded to the Ethernet minimum, which a TAP does not need."""
    tag = b""
    if frame.vlan is not None:
        control = frame.vlan.priority << 13 | frame.vlan.drop_eligible << 12 | frame.vlan.vlan_id
        tag = EtherType.VLAN.to_bytes(2, "big") + control.to_bytes(2, "big")
    head = frame.destination.packed + frame.source.packed + tag
    return head + frame.ethertype.to_bytes(2, "big") + frame.payload


def multicast_mac(group: IPAddress) -> MacAddress:
    """The MAC address of an IP multicast group (RFC 1112 section 6.4, RFC 2464 section 7)."""
    if group.version == 4:
        low = int(group) & 0x7FFFFF
        return MacAddress(b"\x01\x00\x5e" + low.to_bytes(3, "big"))
    return MacAddress(b"\x33\x33" + group.packed[12:])
