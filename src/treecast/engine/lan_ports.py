"""Ports that lead to LANs of this machine: the TAP in switch mode, and packet ports. Each change goes to the rooms."""

from __future__ import annotations

from treecast.base.keep_local import KeepLocal
from treecast.base.lan import BridgedLan
from treecast.base.storm_control import StormLimits
from treecast.base.time import Instant
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.own_node import OwnNode
from treecast.engine.rooms import Rooms, own_neighbour
from treecast.multicast import NO_ADDRESS, TAP, OwnKernel, PortAddresses, neighbour_of


class LanPorts:
    """Opens and closes them in each room. ``open``: the ports that are; what comes late from another counts no more."""

    def __init__(self, rooms: Rooms, membership_sync: MembershipSync, own: OwnNode) -> None:
        self.open = {TAP}
        self._rooms = rooms
        self._membership_sync = membership_sync
        self._own = own

    def enter_switch_mode(self, now: Instant, port: int, lan: BridgedLan) -> None:
        """The port leads to this LAN from now on, or the machine's address there has changed."""
        own = lan.ipv4 or self._own.certificate.ipv4
        kernel = OwnKernel(lan.mac, neighbour_of(own) if own else NO_ADDRESS)
        self._rooms.designated_forwarder.open(now, port, lan.mac, self._own.addresses, lan.limits, lan.keep_local)
        self._rooms.discovery.add_own(now, self._own.certificate.mac, self._own.addresses, lan.mac)
        ipv4 = own.ip if own else NO_ADDRESS
        self._membership_sync.take(now, self._rooms.membership.set_ipv4(now, ipv4, kernel, port, lan.addresses))

    def leave_switch_mode(self, now: Instant, port: int) -> None:
        """The port is the node's own again."""
        certificate = self._own.certificate
        self._rooms.designated_forwarder.close(port)
        self._rooms.discovery.add_own(now, certificate.mac, self._own.addresses)
        kernel = OwnKernel(certificate.mac, own_neighbour(certificate))
        self._membership_sync.take(now, self._rooms.membership.set_ipv4(now, NO_ADDRESS, kernel))

    def open_packet_port(
        self, now: Instant, port: int, addresses: PortAddresses, limits: StormLimits, keep_local: KeepLocal
    ) -> None:
        """A packet port leads to a LAN, or it has other addresses than before."""
        self.open.add(port)
        self._rooms.designated_forwarder.open(now, port, self._own.certificate.mac, (), limits, keep_local)
        self._rooms.discovery.open_multicast_only(port)
        membership = self._rooms.membership
        here = {group: membership.port_filter(TAP, *group) for group in membership.filters()}
        self._rooms.port_groups.open(port, here)
        self._membership_sync.take(now, membership.add_port(now, port, addresses))

    def close_packet_port(self, now: Instant, port: int) -> None:
        """A packet port is about to be closed."""
        self.open.discard(port)
        self._rooms.designated_forwarder.leave(port)
        self._rooms.discovery.close_multicast_only(port)
        self._rooms.port_groups.close(port)
        self._membership_sync.remove_port(now, port)
