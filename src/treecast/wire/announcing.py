"""Announcements of the MAC address at which a host is now: gratuitous ARP, unsolicited Neighbor Advertisements."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from treecast.base.addresses import BROADCAST_MAC, IPAddress, MacAddress
from treecast.wire import arp, ethernet, ndp
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType

_NOBODY = MacAddress(bytes(6))


def announcement_frames(
    mac: MacAddress, addresses: Iterable[IPAddress], sender: MacAddress | None = None
) -> list[bytes]:
    """One frame for each address (RFC 5227 section 2.3, RFC 4861 section 7.2.6), to all.

    ``sender``: its source where that is not the host, so that no switch looks for the host here.
    """
    frames = [_of_ipv4(mac, a) if isinstance(a, IPv4Address) else _of_ipv6(mac, a) for a in addresses]
    return [frame[:6] + (sender or mac).packed + frame[12:] for frame in frames]


def _of_ipv4(mac: MacAddress, address: IPv4Address) -> bytes:
    packet = ArpPacket(ArpOperation.REQUEST, mac, address, _NOBODY, address)
    return ethernet.emit(EthernetFrame(BROADCAST_MAC, mac, EtherType.ARP, arp.emit(packet)))


def _of_ipv6(mac: MacAddress, address: IPv6Address) -> bytes:
    unasked = ndp.NeighborSolicitation(address, ())
    return ndp.advertisement_frame(unasked, solicitor=IPv6Address(0), solicitor_mac=_NOBODY, mac=mac)
