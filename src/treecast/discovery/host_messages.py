"""Leases of DHCP servers to hosts of this node, and hosts' own names: learned, and never answered here."""

from __future__ import annotations

from collections.abc import Callable

from treecast.base.addresses import MacAddress
from treecast.base.counters import Drops
from treecast.base.time import Instant
from treecast.discovery import host_names, snooping
from treecast.discovery.host_table import HostTable
from treecast.wire import dhcp, dhcpv6, ipv4
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.ipv6 import Ipv6Packet


class HostMessages:
    """Reads what hosts send of themselves. ``host_seen``: the frame's source is a host of the port."""

    def __init__(
        self, host_table: HostTable, drops: Drops, host_seen: Callable[[Instant, int, int, MacAddress], None]
    ) -> None:
        self._host_table = host_table
        self._drops = drops
        self._host_seen = host_seen

    def receive_ipv6(self, now: Instant, port: int, frame: EthernetFrame, packet: Ipv6Packet) -> bool:
        """False: it is neither DHCPv6 of a server nor a name. MalformedError."""
        if dhcpv6.is_server_message(packet):
            return self._receive_dhcpv6(now, port, frame, packet)
        return self._receive_names(now, port, frame, packet)

    def receive_ipv4(self, now: Instant, port: int, frame: EthernetFrame) -> bool:
        """False: it is neither DHCP of a server nor a name. MalformedError."""
        packet = ipv4.parse(frame.payload)
        if not dhcp.is_server_message(packet):
            return self._receive_names(now, port, frame, packet)
        given = dhcp.parse(packet)
        self._host_seen(now, port, frame.vlan_id or 0, frame.source)
        key = (frame.vlan_id or 0, given.client) if given else None
        if given and key and self._host_table.local.get(key) and snooping.is_host_address(given.address):
            self._host_table.take_address(now, key, given.address, shared=False)
        return True

    def _receive_dhcpv6(self, now: Instant, port: int, frame: EthernetFrame, packet: Ipv6Packet) -> bool:
        """The client is whom the frame goes to, or whom the DUID names: a host of this node, or nobody is learned."""
        reply = dhcpv6.parse(packet)
        self._host_seen(now, port, frame.vlan_id or 0, frame.source)
        local = self._host_table.local
        candidates = (frame.destination, reply.duid_link_layer) if reply else ()
        keys = [(frame.vlan_id or 0, mac) for mac in candidates if mac is not None]
        key = next((key for key in keys if local.get(key) is not None), None)
        for leased in reply.addresses if reply and key else ():
            if key is None or not snooping.is_host_address(leased.address):
                continue
            if leased.valid_s:
                self._host_table.take_address(now, key, leased.address, shared=False)
            elif local.holder(key[0], leased.address) == key:
                local.drop_address(key[0], leased.address)
        return True

    def _receive_names(self, now: Instant, port: int, frame: EthernetFrame, packet: Ipv4Packet | Ipv6Packet) -> bool:
        names = host_names.read(packet)
        if names is None:
            return False
        self._host_seen(now, port, frame.vlan_id or 0, frame.source)
        key = (frame.vlan_id or 0, frame.source)
        host_names.remember(self._host_table.local, self._drops, port, key, names)
        return True
