"""Hosts that are reached by groups only: those behind packet ports, whose unicast no node carries.

They are learned from their frames to all, and shown at the node that serves the port; one that may take it over learns
them too. They are not published, and nobody is answered for them: a frame to one of their MACs could not be delivered,
and their LAN's addresses may be those of another LAN too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery import host_names, snooping
from treecast.discovery.host_names import AnnouncedName
from treecast.discovery.limits import DiscoveryConfig
from treecast.discovery.local_hosts import HostKey, LocalHosts
from treecast.discovery.snooping import Sighting
from treecast.discovery.view import HostView
from treecast.wire import dhcp, dhcpv6, ipv4, ipv6, ndp
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet


class MulticastOnlyHosts:
    """One node's, on all such ports."""

    def __init__(self, drops: Drops, config: DiscoveryConfig) -> None:
        self._drops = drops
        self._ports: set[int] = set()
        self._hosts = LocalHosts(drops, config)

    def open(self, port: int) -> None:
        self._ports.add(port)

    def close(self, port: int) -> None:
        self._ports.discard(port)
        self._hosts.remove_port(port)
        self._hosts.changed.clear()

    def ports(self) -> list[tuple[int, int]]:
        """Each port with hosts, and how many."""
        return self._hosts.ports()

    def has(self, port: int) -> bool:
        return port in self._ports

    def forget_hosts(self, port: int, is_elsewhere: Callable[[HostKey], bool]) -> None:
        """This node begins to serve the port: hosts that others have were seen through the node before it."""
        for key, host in self._hosts.items():
            if host.port == port and is_elsewhere(key):
                self._hosts.remove(key)
        self._hosts.changed.clear()

    def receive(self, now: Instant, port: int, frame: EthernetFrame) -> bool:
        """A frame from a port. False: it is none of ARP, ND, DHCP and mDNS."""
        try:
            sighting, is_membership, names = _read(frame)
        except MalformedError as error:
            self._drops.count(error.reason)
            return True
        key = (frame.vlan_id or 0, frame.source)
        self.sighted(now, port, key, sighting)
        host_names.remember(self._hosts, self._drops, port, key, names)
        return not is_membership

    def sighted(self, now: Instant, port: int, key: HostKey, sighting: Sighting) -> None:
        """A frame of a host has come."""
        if key[1].is_group or not any(key[1].packed):
            self._drops.count("host_mac_invalid")
        elif self._hosts.sighted(now, port, key, 0):
            if sighting.is_router is not None:
                self._hosts.set_router(key, sighting.is_router)
            if sighting.address is not None and not sighting.shared:
                self._hosts.take_address(now, key, sighting.address)
        self._hosts.changed.clear()

    def views(self, me: NodeIndex, hidden: Collection[int]) -> list[HostView]:
        """``hidden``: ports whose hosts another node serves."""
        return [
            HostView(
                *key,
                host.sorted_addresses(),
                me,
                host.port,
                host.last_received,
                host.is_router,
                0,
                False,
                (),
                host.name,
            )
            for key, host in self._hosts.items()
            if host.port not in hidden
        ]

    def advance(self, now: Instant) -> None:
        self._hosts.advance(now)
        self._hosts.changed.clear()

    def next_deadline(self) -> Instant | None:
        return self._hosts.next_deadline()


def _read(frame: EthernetFrame) -> tuple[Sighting, bool, list[AnnouncedName]]:
    """The sighting in a frame, whether the frame is one of IGMP, MLD and the like, and names. MalformedError.

    The source of IGMP and MLD is the host's own address (RFC 9776 section 4.2.14, RFC 9777 section 5.2.14).
    """
    if frame.ethertype == EtherType.ARP:
        return snooping.of_arp(frame)[1], False, []
    if frame.ethertype == EtherType.IPV6:
        packet6 = ipv6.parse(frame.payload)
        if ndp.is_ndp(packet6):
            return snooping.of_ndp(frame, packet6)[1], False, []
        return _of_ip(packet6, is_server=dhcpv6.is_server_message(packet6))
    packet4 = ipv4.parse(frame.payload)
    return _of_ip(packet4, is_server=dhcp.is_server_message(packet4))


def _of_ip(packet: Ipv4Packet | Ipv6Packet, *, is_server: bool) -> tuple[Sighting, bool, list[AnnouncedName]]:
    names = [] if is_server else host_names.read(packet)
    if names is not None:
        return snooping.SOURCE_ONLY, False, names
    address: IPAddress = packet.source
    return Sighting(address if snooping.is_host_address(address) else None), True, []
