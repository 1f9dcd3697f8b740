"""A certified member that lies: what it says of others changes nothing for them."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.commands import SendDatagram
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.base.timers import Timers
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.store import Record
from treecast.sim.world import SimNode, World
from treecast.wire.advertisement import HostContent, Kind, host_key

HIGHEST = 0xFFFF_FFFF


def mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    world.run(1.0)
    return nodes


def claim(world: World, liar: SimNode, victim: SimNode) -> None:
    """The victim's MAC and address, with the highest sequence, and its address under the liar's own MAC."""
    interface = victim.identity.certificate.ipv4
    assert interface is not None
    content = HostContent((interface.ip.packed,), HIGHEST)
    for owner in (victim, liar):
        key = host_key(0, owner.identity.certificate.mac)
        liar.engine.rooms.broadcast.put(world.underlay.now, Kind.HOST, key, content)


def test_nobody_takes_the_mac_or_the_address_of_another_node() -> None:
    world = World(1)
    nodes = mesh(world, 3)
    claim(world, nodes[0], nodes[2])
    world.run(2.0)
    mac, address = nodes[2].identity.certificate.mac, IPv4Address("10.77.0.3")
    assert nodes[1].forwarder.hosts[(0, mac.packed)] == 3
    assert nodes[1].engine.view.host_with(0, address) == mac


def test_a_claim_made_before_the_victim_comes_ends_when_it_comes() -> None:
    world = World(2)
    nodes = mesh(world, 2)
    victim = world.add()
    claim(world, nodes[0], victim)
    world.run(1.0)
    assert nodes[1].forwarder.hosts[(0, victim.identity.certificate.mac.packed)] == 1
    victim.add_static_peer(nodes[0])
    world.run(5.0)
    assert nodes[1].forwarder.hosts[(0, victim.identity.certificate.mac.packed)] == 3


def test_endpoints_that_are_another_node_s_do_not_make_handshakes_without_end() -> None:
    world = World(3)
    nodes = mesh(world, 2)
    before = world.underlay.datagrams
    ghost = Endpoint(IPv4Address("192.0.2.77"), 7700)
    nodes[0].engine.rooms.links.learn(world.underlay.now, NodeIndex(77), (ghost, nodes[1].endpoint), "n77")
    world.run(20.0)
    assert nodes[0].engine.drops.snapshot()["handshake_with_another_node"] == 1
    assert len(nodes[0].forwarder.sessions) <= 2
    assert world.underlay.datagrams - before < 100


def test_no_handshake_goes_to_an_endpoint_that_reaches_many() -> None:
    world = World(4)
    (node,) = mesh(world, 1)
    many = ("224.0.0.1", "255.255.255.255", "0.0.0.0")
    endpoints = tuple(Endpoint(IPv4Address(text), 7700) for text in many)
    node.engine.rooms.links.learn(
        world.underlay.now, NodeIndex(5), (*endpoints, Endpoint(IPv4Address("192.0.2.5"), 0)), "n77"
    )
    commands = node.engine.turn(Instant(world.underlay.now + 5.0), [])
    assert [command for command in commands if isinstance(command, SendDatagram)] == []


def test_one_sequence_for_many_keys_is_not_repeated_for_ever() -> None:
    wake: Timers[NodeIndex] = Timers()
    neighbour = Neighbour(NodeIndex(2), Instant(1e9), wake, Random(1), Drops())
    for number in range(100):
        key = number.to_bytes(4, "big")
        neighbour.offer(Record(NodeIndex(3), 1, 7, Kind.GROUPS, key, b"\x01", b"wire"), Instant(0.0))
    assert len(list(neighbour.messages(Instant(0.0)))) == 1
    neighbour.acknowledged(Instant(0.0), NodeIndex(3), 1, 7)
    assert wake.next() == 1e9
