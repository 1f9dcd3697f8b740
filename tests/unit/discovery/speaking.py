"""Hosts that speak to one Discovery, by real frames, and what came of it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from treecast.base.addresses import BROADCAST_MAC, IPAddress, MacAddress
from treecast.base.commands import Command
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery.certified import Given
from treecast.discovery.discovery import Discovery
from treecast.discovery.limits import DEFAULTS, DiscoveryConfig
from treecast.discovery.view import HostView
from treecast.identity.ids import node_mac
from treecast.wire import arp, ethernet, ndp
from treecast.wire.advertisement import HostContent
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType, VlanTag

ME, OTHER, THIRD = NodeIndex(1), NodeIndex(2), NodeIndex(3)
OWN = MacAddress.parse("02:54:00:00:00:01")
H1 = MacAddress.parse("02:00:00:00:00:0a")
H2 = MacAddress.parse("02:00:00:00:00:0b")
ZERO = MacAddress(bytes(6))
ALL_NODES = IPv6Address("ff02::1")


def mac(number: int) -> MacAddress:
    return MacAddress(b"\x02\x01" + number.to_bytes(4, "big"))


def claim(*addresses: str, sequence: int = 0, is_router: bool = False) -> HostContent:
    packed = tuple((IPv6Address(a) if ":" in a else IPv4Address(a)).packed for a in addresses)
    return HostContent.of(packed, sequence, is_router=is_router)


class Lan:
    """A node's Discovery with its own clock. Each method is what a host does."""

    def __init__(self, config: DiscoveryConfig = DEFAULTS) -> None:
        self.now = Instant(100.0)
        self.drops = Drops()
        self.discovery = Discovery(ME, self.drops, config)
        self.discovery.add_own(self.now, OWN, (IPv4Address("10.77.0.1"),))
        self.published: dict[tuple[int, MacAddress], HostContent] = {}
        self.advertisements = 0
        self.certified: dict[NodeIndex, Given] = {}
        self.settle()

    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now + seconds)
        self.discovery.advance(self.now)
        self.settle()

    def settle(self) -> list[Command]:
        """Settles as the engine does at the end of a turn; returns the commands to the data plane."""
        for change in self.discovery.changes():
            self.advertisements += 1
            if change.content is None:
                self.published.pop(change.key, None)
            else:
                self.published[change.key] = change.content
        commands = list(self.discovery.commands)
        self.discovery.commands.clear()
        return commands

    def frame(self, data: bytes, *, port: int = 0) -> list[Command]:
        self.discovery.receive(self.now, port, ethernet.parse(data), data)
        return self.settle()

    def arp(
        self,
        who: MacAddress,
        sender: str,
        target: str,
        *,
        port: int = 0,
        vlan: int = 0,
        to: MacAddress = BROADCAST_MAC,
        operation: ArpOperation = ArpOperation.REQUEST,
    ) -> list[Command]:
        packet = ArpPacket(operation, who, IPv4Address(sender), ZERO, IPv4Address(target))
        tag = VlanTag(vlan) if vlan else None
        return self.frame(ethernet.emit(EthernetFrame(to, who, EtherType.ARP, arp.emit(packet), tag)), port=port)

    def announce(self, who: MacAddress, address: str, *, port: int = 0, vlan: int = 0) -> list[Command]:
        return self.arp(who, address, address, port=port, vlan=vlan)

    def nd(
        self, who: MacAddress, source: str, message: ndp.NdpMessage, *, to: str = "ff02::1", port: int = 0
    ) -> list[Command]:
        destination = IPv6Address(to)
        data = ndp.frame(
            message,
            source_mac=who,
            source=IPv6Address(source),
            destination_mac=ethernet.multicast_mac(destination),
            destination=destination,
        )
        return self.frame(data, port=port)

    def solicit(self, who: MacAddress, source: str, target: str) -> list[Command]:
        options = () if source == "::" else (ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, who),)
        to = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(IPv6Address(target)) & 0xFFFFFF)
        return self.nd(who, source, ndp.NeighborSolicitation(IPv6Address(target), options), to=str(to))

    def advertise(self, who: MacAddress, address: str, *, router: bool = False, override: bool = True) -> list[Command]:
        option = (ndp.link_layer_option(ndp.OPTION_TARGET_LINK_LAYER, who),)
        return self.nd(who, address, ndp.NeighborAdvertisement(IPv6Address(address), router, False, override, option))

    def certify(self, node: NodeIndex, mac: MacAddress, *addresses: str, bridges: bool = True) -> None:
        """Another node's certificate."""
        given = Given(mac, tuple(ip_address(address) for address in addresses), bridges)
        self.certified[node] = given
        self.discovery.certify(self.now, node, given)
        self.settle()

    def learn(self, node: NodeIndex, who: MacAddress, content: HostContent | None, *, vlan: int = 0) -> list[Command]:
        """Another node's advertisement; a node of which nothing is said may bridge."""
        if node not in self.certified:
            self.certify(node, node_mac(node))
        self.discovery.learn(self.now, node, (vlan, who), content)
        return self.settle()

    def view(self, who: MacAddress, *, vlan: int = 0) -> HostView:
        (found,) = [
            host for host in filter(None, self.discovery.hosts(self.now)) if (host.vlan, host.mac) == (vlan, who)
        ]
        return found

    def addresses(self, who: MacAddress) -> list[IPAddress]:
        return list(self.view(who).addresses)

    def counted(self) -> dict[str, int]:
        """Drops so far."""
        return dict(self.drops.snapshot())
