"""Announcements of the MAC at which a bridged machine's addresses of the overlay are, for the nodes and for its LAN."""

from __future__ import annotations

from ipaddress import ip_address

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import FloodFrame, Inject
from treecast.base.counters import Drops
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.storm_control import NO_LIMITS
from treecast.base.time import Instant, after
from treecast.designated_forwarder.designated_forwarder import BeaconSigner, DesignatedForwarder
from treecast.identity.ids import node_mac
from treecast.identity.keys import SigningKey
from treecast.wire import arp, ethernet, ipv6, ndp
from treecast.wire.beacon import BEACON_CONTEXT, Beacon, BeaconState, beacon_frame, is_beacon, network_hash

NETWORK = NetworkId(b"N" * 16)
ME, OTHER, HIGHER = NodeIndex(5), NodeIndex(2), NodeIndex(9)
KEY = SigningKey(bytes(32))
OWN, LAN = node_mac(ME), MacAddress.parse("00:00:5e:00:53:01")
ADDRESSES = (ip_address("10.99.0.5"), ip_address("fd99::5"))
START = Instant(10.0)

Shown = tuple[str, MacAddress, MacAddress]
"""The kind of command, the Ethernet source, and the MAC at which an address is."""


class Node:
    """A node on a LAN, with links."""

    def __init__(self) -> None:
        sender = BeaconSigner(NETWORK, ME, OWN, 1000, KEY)
        self.now = START
        self.forwarder = DesignatedForwarder(
            sender, Drops(), find_signer=lambda _: (KEY.public, 1000), may_carry=lambda _: True
        )
        self.forwarder.open(self.now, 0, LAN, ADDRESSES, NO_LIMITS)
        self.sequence = 0
        self.shown()

    def wait(self, seconds: float, other: NodeIndex | None = None, state: BeaconState = BeaconState.FORWARDING) -> None:
        """Time passes; another node sends beacons meanwhile."""
        for _ in range(round(seconds / 0.25)):
            self.now = after(self.now, 0.25)
            if other is not None:
                self.sequence += 1
                beacon = Beacon(2, network_hash(NETWORK), other, 1000, self.sequence, state, 1)
                frame = beacon_frame(beacon, node_mac(other), lambda body: KEY.sign(BEACON_CONTEXT, body))
                self.forwarder.receive(self.now, 0, ethernet.parse(frame))
            self.forwarder.advance(self.now, able=True)

    def shown(self) -> list[Shown]:
        """Both addresses, each time; beacons are left out."""
        commands, self.forwarder.commands = self.forwarder.commands, []
        return announced(*commands)


def announced(*commands: object) -> list[Shown]:
    found: list[Shown] = []
    addresses: list[IPAddress] = []
    for command in commands:
        if isinstance(command, FloodFrame | Inject):
            frame = ethernet.parse(command.frame)
            if is_beacon(frame):
                continue
            if frame.ethertype == 0x0806:
                packet = arp.parse(frame.payload)
                addresses.append(packet.sender_ip)
                found.append((type(command).__name__, frame.source, packet.sender_mac))
            else:
                message = ndp.parse(ipv6.parse(frame.payload))
                assert isinstance(message, ndp.NeighborAdvertisement)
                mac = ndp.link_layer_address(message)
                assert mac is not None
                addresses.append(message.target)
                found.append((type(command).__name__, frame.source, mac))
    assert addresses == list(ADDRESSES) * (len(addresses) // 2)
    return found[::2]


def test_who_carries_the_lan_is_at_its_own_mac_for_the_nodes_and_at_the_bridge_s_on_the_lan() -> None:
    node = Node()
    node.wait(1.0)
    assert node.shown() == [], "it listens yet"
    node.wait(20.0)
    assert node.shown() == [("FloodFrame", OWN, OWN), ("Inject", OWN, LAN)], "once"


def test_the_machine_of_one_whose_lan_another_carries_is_at_its_mac_there() -> None:
    node = Node()
    node.wait(5.0, OTHER)
    assert node.shown() == [("FloodFrame", OWN, LAN)], "once"
    node.wait(20.0)
    assert node.shown() == [("FloodFrame", OWN, OWN), ("Inject", OWN, LAN)], "the other one is gone"
    node.wait(20.0, OTHER)
    assert node.shown() == [("FloodFrame", OWN, LAN)]
    node.forwarder.close(0)
    assert node.shown() == [("FloodFrame", OWN, OWN)], "it has its interface back"


def test_who_ends_leaves_its_machine_to_the_node_that_takes_over() -> None:
    alone, both = Node(), Node()
    alone.wait(20.0)
    alone.shown()
    assert announced(*alone.forwarder.goodbye()) == []
    both.wait(20.0, HIGHER, BeaconState.CAPABLE)
    both.shown()
    assert announced(*both.forwarder.goodbye()) == [("FloodFrame", OWN, LAN)]


def test_the_bridge_may_get_another_mac() -> None:
    node = Node()
    other = MacAddress.parse("00:00:5e:00:53:02")
    node.forwarder.open(node.now, 0, other, ADDRESSES, NO_LIMITS)
    node.wait(5.0, OTHER)
    assert node.shown() == [("FloodFrame", OWN, other)]
