"""NodeDiscovery: what is learned, what is answered from the table, what must cross."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.base.addresses import BROADCAST_MAC, IPAddress, MacAddress
from treecast.base.commands import FloodFrame, Inject, RemoveHost, SetHost
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_ADDRESSES_PER_HOST, MAX_HOSTS_PER_PORT
from treecast.base.time import Instant
from treecast.discovery.certified import Given
from treecast.discovery.discovery import Discovery
from treecast.discovery.local_hosts import HOST_LIFETIME
from treecast.identity.ids import node_mac
from treecast.wire import arp, ethernet, ipv6, ndp
from treecast.wire.advertisement import HostContent
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType

OWN = MacAddress.parse("02:54:00:00:00:01")
HOST = MacAddress.parse("02:00:00:00:00:0a")
REMOTE = MacAddress.parse("02:54:00:00:00:02")
ZERO = MacAddress(bytes(6))
NOW = Instant(100.0)


@pytest.fixture
def drops() -> Drops:
    return Drops()


@pytest.fixture
def discovery(drops: Drops) -> Discovery:
    made = Discovery(NodeIndex(1), drops)
    for other in (NodeIndex(2), NodeIndex(3)):
        made.certify(NOW, other, Given(node_mac(other), (), bridges=True))
    made.add_own(NOW, OWN, (IPv4Address("10.77.0.1"),))
    made.changes()
    made.commands.clear()
    return made


def say(discovery: Discovery, sender: str, target: str, *, mac: MacAddress = OWN) -> bytes:
    packet = ArpPacket(ArpOperation.REQUEST, mac, IPv4Address(sender), ZERO, IPv4Address(target))
    frame = EthernetFrame(BROADCAST_MAC, mac, EtherType.ARP, arp.emit(packet))
    wire = ethernet.emit(frame)
    discovery.receive(NOW, 0, frame, wire)
    return wire


def solicit(discovery: Discovery, source: str, target: str) -> bytes:
    message = ndp.NeighborSolicitation(
        IPv6Address(target),
        () if source == "::" else (ndp.link_layer_option(ndp.OPTION_SOURCE_LINK_LAYER, OWN),),
    )
    destination = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(IPv6Address(target)) & 0xFFFFFF)
    wire = ndp.frame(
        message,
        source_mac=OWN,
        source=IPv6Address(source),
        destination_mac=ethernet.multicast_mac(destination),
        destination=destination,
    )
    frame = ethernet.parse(wire)
    discovery.receive(NOW, 0, frame, wire)
    return wire


def claim(*addresses: IPAddress, sequence: int = 0) -> HostContent:
    return HostContent(tuple(address.packed for address in addresses), sequence)


def test_a_request_for_a_known_remote_host_is_answered_and_does_not_cross(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, REMOTE), claim(IPv4Address("10.77.0.2")))
    discovery.commands.clear()
    say(discovery, "10.77.0.1", "10.77.0.2")
    (command,) = discovery.commands
    assert isinstance(command, Inject)
    answer = arp.parse(ethernet.parse(command.frame).payload)
    assert (answer.operation, answer.sender_mac, answer.sender_ip) == (
        ArpOperation.REPLY,
        REMOTE,
        IPv4Address("10.77.0.2"),
    )


@pytest.mark.parametrize(
    ("sender", "target"),
    [("10.77.0.1", "10.77.0.99"), ("0.0.0.0", "10.77.0.2"), ("10.77.0.2", "10.77.0.2")],
    ids=["unknown", "probe", "gratuitous"],
)
def test_what_must_be_heard_by_all_crosses(discovery: Discovery, sender: str, target: str) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, REMOTE), claim(IPv4Address("10.77.0.2")))
    discovery.commands.clear()
    wire = say(discovery, sender, target)
    assert discovery.commands == [FloodFrame(0, wire)]


def test_a_solicitation_for_a_known_remote_host_is_answered(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, REMOTE), claim(IPv6Address("fd00::2")))
    discovery.commands.clear()
    solicit(discovery, "fd00::1", "fd00::2")
    (command,) = discovery.commands
    assert isinstance(command, Inject)
    answer = ndp.parse(ipv6.parse(ethernet.parse(command.frame).payload))
    assert isinstance(answer, ndp.NeighborAdvertisement)
    assert (answer.target, answer.solicited, ndp.link_layer_address(answer)) == (IPv6Address("fd00::2"), True, REMOTE)


def test_duplicate_address_detection_always_crosses(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, REMOTE), claim(IPv6Address("fd00::2")))
    discovery.commands.clear()
    wire = solicit(discovery, "::", "fd00::2")
    assert discovery.commands == [FloodFrame(0, wire)]


def test_a_host_is_learned_published_and_aged_out(discovery: Discovery) -> None:
    say(discovery, "10.77.0.10", "10.77.0.99", mac=HOST)
    (change,) = discovery.changes()
    assert change.key == (0, HOST)
    assert change.content == claim(IPv4Address("10.77.0.10"))
    discovery.advance(Instant(NOW + HOST_LIFETIME))
    assert [(change.key, change.content) for change in discovery.changes()] == [((0, HOST), None)]


def test_the_nodes_own_host_never_ages(discovery: Discovery) -> None:
    discovery.advance(Instant(NOW + 10 * HOST_LIFETIME))
    assert [key for key, _ in discovery.local_hosts().items()] == [(0, OWN)]


def test_the_same_news_is_published_once(discovery: Discovery) -> None:
    for _ in range(3):
        say(discovery, "10.77.0.10", "10.77.0.99", mac=HOST)
    assert len(discovery.changes()) == 1
    say(discovery, "10.77.0.10", "10.77.0.99", mac=HOST)
    assert discovery.changes() == []


def test_a_host_that_moves_here_counts_its_sequence_on(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, HOST), claim(IPv4Address("10.77.0.10"), sequence=4))
    say(discovery, "10.77.0.10", "10.77.0.99", mac=HOST)
    (change,) = discovery.changes()
    assert change.content == claim(IPv4Address("10.77.0.10"), sequence=5)
    assert RemoveHost(0, HOST) in discovery.commands


def test_a_host_that_moved_away_is_forgotten_here(discovery: Discovery) -> None:
    say(discovery, "10.77.0.10", "10.77.0.99", mac=HOST)
    discovery.changes()
    discovery.learn(NOW, NodeIndex(2), (0, HOST), claim(IPv4Address("10.77.0.10"), sequence=1))
    assert SetHost(0, HOST, NodeIndex(2)) in discovery.commands
    assert [change.content for change in discovery.changes()] == [None]


def test_a_link_that_comes_up_puts_the_nodes_hosts_back_into_the_data_plane(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, HOST), claim(IPv4Address("10.77.0.10")))
    discovery.learn(NOW, NodeIndex(3), (0, REMOTE), claim(IPv4Address("10.77.0.3")))
    discovery.learn(NOW, NodeIndex(2), (0, OWN), claim(sequence=9))
    discovery.commands.clear()
    discovery.link_up(NodeIndex(2))
    assert discovery.commands == [SetHost(0, HOST, NodeIndex(2))]


def test_the_nodes_own_host_cannot_be_claimed_away(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, OWN), claim(sequence=9))
    assert [command for command in discovery.commands if isinstance(command, SetHost)] == []


def test_of_two_claims_the_later_move_counts(discovery: Discovery) -> None:
    discovery.learn(NOW, NodeIndex(2), (0, HOST), claim(sequence=1))
    discovery.learn(NOW, NodeIndex(3), (0, HOST), claim(sequence=2))
    assert discovery.commands[-1] == SetHost(0, HOST, NodeIndex(3))
    discovery.learn(NOW, NodeIndex(3), (0, HOST), None)
    assert discovery.commands[-1] == SetHost(0, HOST, NodeIndex(2))


def test_a_spray_of_hosts_and_addresses_is_bounded_and_counted(discovery: Discovery, drops: Drops) -> None:
    for number in range(MAX_HOSTS_PER_PORT + 50):
        say(discovery, "10.77.9.9", "10.77.0.99", mac=MacAddress(b"\x02\x01" + number.to_bytes(4, "big")))
    for number in range(MAX_ADDRESSES_PER_HOST + 5):
        say(discovery, f"10.77.8.{number + 1}", "10.77.0.99")
    assert len(discovery.local_hosts().items()) == MAX_HOSTS_PER_PORT
    counted = drops.snapshot()
    assert counted["host_table_full"] == 51
    assert counted["host_addresses_full"] == 6


def test_an_arp_sender_that_is_not_the_frames_is_refused(discovery: Discovery, drops: Drops) -> None:
    packet = ArpPacket(ArpOperation.REQUEST, HOST, IPv4Address("10.77.0.10"), ZERO, IPv4Address("10.77.0.99"))
    frame = EthernetFrame(BROADCAST_MAC, OWN, EtherType.ARP, arp.emit(packet))
    discovery.receive(NOW, 0, frame, ethernet.emit(frame))
    assert drops.snapshot() == {"arp_sender_mismatch": 1}
    assert discovery.commands == []
