"""NodeDiscovery: learns hosts from ARP and ND, publishes them, and answers for those of other nodes.

Decides which frames cross the overlay: a question whose answer is known does not. Announcements and duplicate address
detection (RFC 5227, RFC 4862 section 5.4) always do: their meaning is to be heard by all.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import Command, FloodFrame, Inject, RemoveHost, SetHost
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery.local_hosts import HostKey, LocalHosts
from treecast.discovery.remote_hosts import RemoteHost, RemoteHosts
from treecast.wire import arp, ndp
from treecast.wire.advertisement import HostContent
from treecast.wire.arp import ArpOperation
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.ipv6 import Ipv6Packet


@dataclass(frozen=True, slots=True)
class HostChange:
    """What this node publishes of a host; None: it is no longer here."""

    key: HostKey
    content: HostContent | None


class Discovery:
    """One node's hosts, and what it knows of the others'. Methods append to ``commands``; the caller empties it."""

    def __init__(self, me: NodeIndex, drops: Drops) -> None:
        self._me = me
        self._drops = drops
        self._local = LocalHosts(drops)
        self._remote = RemoteHosts()
        self._certified: dict[NodeIndex, tuple[MacAddress, tuple[IPAddress, ...]]] = {}
        self._owners: dict[MacAddress | IPAddress, NodeIndex] = {}
        self.commands: list[Command] = []

    def add_own(self, now: Instant, mac: MacAddress, addresses: tuple[IPAddress, ...]) -> None:
        self._local.add_own(now, mac, addresses)

    # what hosts say

    def receive_arp(self, now: Instant, port: int, frame: EthernetFrame, wire: bytes) -> None:
        """An ARP frame from a port; ``wire`` is its bytes."""
        try:
            packet = arp.parse(frame.payload)
        except MalformedError as error:
            self._drops.count(error.reason)
            return
        if packet.sender_mac != frame.source:
            self._drops.count("arp_sender_mismatch")
            return
        vlan = frame.vlan_id or 0
        sender = packet.sender_ip if _is_host_address(packet.sender_ip) else None
        self._heard(now, port, (vlan, frame.source), sender)
        if not frame.destination.is_group:
            return
        if packet.operation is ArpOperation.REQUEST and not packet.is_probe and not packet.is_gratuitous:
            holder = self._holder(vlan, packet.target_ip)
            if holder is not None:
                self.commands.append(Inject(port, arp.reply_frame(packet, holder[1], frame.vlan)))
                return
        self.commands.append(FloodFrame(wire))

    def receive_ndp(self, now: Instant, port: int, frame: EthernetFrame, packet: Ipv6Packet, wire: bytes) -> None:
        """An ND frame from a port; ``wire`` is its bytes."""
        try:
            message = ndp.parse(packet)
        except MalformedError as error:
            self._drops.count(error.reason)
            return
        vlan = frame.vlan_id or 0
        said = message.target if isinstance(message, ndp.NeighborAdvertisement) else packet.source
        link_layer = ndp.link_layer_address(message)
        if link_layer not in (None, frame.source):
            self._drops.count("ndp_sender_mismatch")
            return
        self._heard(now, port, (vlan, frame.source), said if link_layer and _is_host_address(said) else None)
        if not frame.destination.is_group:
            return
        if isinstance(message, ndp.NeighborSolicitation) and int(packet.source) != 0:
            holder = self._holder(vlan, message.target)
            if holder is not None:
                answer = ndp.advertisement_frame(
                    message, solicitor=packet.source, solicitor_mac=frame.source, mac=holder[1], vlan=frame.vlan
                )
                self.commands.append(Inject(port, answer))
                return
        self.commands.append(FloodFrame(wire))

    def _holder(self, vlan: int, address: IPAddress) -> HostKey | None:
        """The host that has this address; one that a certificate gives to a node is that node's, whoever claims it."""
        return self._remote.with_address(vlan, address, self._owners.get(address))

    def _heard(self, now: Instant, port: int, key: HostKey, address: IPAddress | None) -> None:
        elsewhere = self._remote.get(key)
        self._local.heard(now, port, key, address, sequence=elsewhere.sequence + 1 if elsewhere else 0)

    # what other nodes say

    def certify(self, now: Instant, node: NodeIndex, mac: MacAddress, addresses: tuple[IPAddress, ...]) -> None:
        """A node's certificate gives it these addresses: what others claim of them does not count."""
        if self._certified.get(node) == (mac, addresses):
            return
        self.uncertify(node)
        self._certified[node] = (mac, addresses)
        self._owners.update(dict.fromkeys((mac, *addresses), node))
        for other in self._remote.claimants((0, mac)):
            if other != node:
                self.learn(now, other, (0, mac), None)

    def uncertify(self, node: NodeIndex) -> None:
        """The node is gone."""
        mac, addresses = self._certified.pop(node, (None, ()))
        for owned in (mac, *addresses):
            if owned is not None and self._owners.get(owned) == node:
                del self._owners[owned]

    def learn(self, now: Instant, node: NodeIndex, key: HostKey, content: HostContent | None) -> None:
        """A node's claim to a host; None when it ended."""
        if content is not None and self._owners.get(key[1], node) != node:
            self._drops.count("host_of_another_node")
            return
        claim = RemoteHost(node, content.address_values(), content.sequence, now) if content else None
        self._remote.put(key, node, claim)
        winner = self._remote.get(key)
        local = self._local.get(key)
        if local is not None and winner is not None:
            if local.own or (local.sequence, -self._me) >= winner.rank:
                return
            self._local.remove(key)
        if winner is None:
            self.commands.append(RemoveHost(*key))
        else:
            self.commands.append(SetHost(*key, winner.node))

    def link_up(self, node: NodeIndex) -> None:
        """The data plane forgot the node's hosts with its last link; this may have learned of them since."""
        for key, claim in self._remote.items():
            if claim.node == node and self._local.get(key) is None:
                self.commands.append(SetHost(*key, node))

    # results

    def changes(self) -> list[HostChange]:
        """What this node must publish since the last call."""
        changed = sorted(set(self._local.changed))
        self._local.changed.clear()
        changes: list[HostChange] = []
        for key in changed:
            host = self._local.get(key)
            content = None
            if host is not None:
                self.commands.append(RemoveHost(*key))
                content = HostContent(tuple(a.packed for a in host.sorted_addresses()), host.sequence)
            changes.append(HostChange(key, content))
        return changes

    def local_hosts(self) -> LocalHosts:
        return self._local

    def remote_hosts(self) -> RemoteHosts:
        return self._remote

    def advance(self, now: Instant) -> None:
        self._local.advance(now)

    def next_deadline(self) -> Instant | None:
        return self._local.next_deadline()


def _is_host_address(address: IPAddress) -> bool:
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        return False
    return address != IPv4Address(0xFFFF_FFFF)
