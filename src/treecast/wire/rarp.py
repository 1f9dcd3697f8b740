"""Reverse ARP (RFC 903) as live migration sends it: switches learn from its source where a host is now.

Its request is of no use: nobody replies to it.
"""

from __future__ import annotations

import struct

from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.wire import ethernet
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag

RARP_ETHERTYPE = 0x8035
_REVERSE_REQUEST = 3
_HEADER = struct.pack("!HHBBH", 1, EtherType.IPV4, 6, 4, _REVERSE_REQUEST)
_MIN_PAYLOAD_BYTES = 46
"""The least payload of an Ethernet frame (IEEE 802.3)."""


def announcement_frame(mac: MacAddress, vlan: VlanTag | None = None) -> bytes:
    """A whole frame to all with this source: the request of a host for its own address."""
    host = mac.packed + bytes(4)
    payload = (_HEADER + host + host).ljust(_MIN_PAYLOAD_BYTES, b"\0")
    return ethernet.emit(EthernetFrame(BROADCAST_MAC, mac, RARP_ETHERTYPE, payload, vlan))
