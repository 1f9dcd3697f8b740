"""Sightings of hosts in the ARP (RFC 826, RFC 5227) and ND frames (RFC 4861) that they send."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from treecast.base.addresses import IPAddress
from treecast.base.errors import MalformedError
from treecast.wire import arp, ndp
from treecast.wire.arp import ArpPacket
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.ipv6 import Ipv6Packet
from treecast.wire.ndp import NdpMessage

_LIMITED_BROADCAST = IPv4Address(0xFFFF_FFFF)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A host sent a frame. ``address``: one that it claims. ``is_router``: None where the frame does not show it.

    ``shared``: others may have the address too (Override flag clear: anycast and proxies, RFC 4861 sections 7.2.7 and
    7.2.8).
    """

    address: IPAddress | None = None
    is_router: bool | None = None
    shared: bool = False


SOURCE_ONLY = Sighting()


def of_arp(frame: EthernetFrame) -> tuple[ArpPacket, Sighting]:
    """MalformedError ``arp_*``; a probe (RFC 5227 section 2.1.1) claims no address."""
    packet = arp.parse(frame.payload)
    if packet.sender_mac != frame.source:
        raise MalformedError("arp_sender_mismatch")
    return packet, Sighting(packet.sender_ip if is_host_address(packet.sender_ip) else None)


def of_ndp(frame: EthernetFrame, packet: Ipv6Packet) -> tuple[NdpMessage, Sighting]:
    """MalformedError ``ndp_*``. The router flag follows RFC 4861 sections 6.2.6 (RS), 6.3.4 (RA) and 7.2.5 (NA)."""
    message = ndp.parse(packet)
    link_layer = ndp.link_layer_address(message)
    if link_layer not in (None, frame.source):
        raise MalformedError("ndp_sender_mismatch")
    claimed: IPAddress = packet.source
    is_router: bool | None = None
    shared = False
    match message:
        case ndp.RouterSolicitation():
            is_router = False
        case ndp.RouterAdvertisement():
            is_router = True
        case ndp.NeighborAdvertisement():
            claimed, is_router, shared = message.target, message.router, not message.override
    return message, Sighting(claimed if link_layer and is_host_address(claimed) else None, is_router, shared)


def is_host_address(address: IPAddress) -> bool:
    """Whether a host can have it."""
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        return False
    return address != _LIMITED_BROADCAST
