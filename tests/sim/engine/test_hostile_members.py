"""A certified member that lies: what it says of others changes nothing for them."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from tests.sim.engine.meshes import publish
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.commands import SendDatagram
from treecast.base.counters import Drops
from treecast.base.events import HostSeen
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.base.timers import Timers
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.store import Record
from treecast.identity.rights import DEFAULT_RIGHTS
from treecast.sim.world import MAY_BRIDGE, SimNode, World
from treecast.wire.advertisement import HostContent, Kind, NodeContent, host_key

HIGHEST = 0xFFFF_FFFF
HOST = MacAddress.parse("02:00:00:00:00:0a")
HOST_ADDRESS = IPv4Address("10.77.9.1")


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
        publish(liar, Kind.HOST, key, content)


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


def claim_host(world: World, liar: SimNode, sequence: int) -> None:
    content = HostContent((HOST_ADDRESS.packed,), sequence)
    publish(liar, Kind.HOST, host_key(0, HOST), content)


def places(nodes: list[SimNode]) -> list[NodeIndex | None]:
    """Where each node's data plane would send a frame to the host; None: it is here, or nowhere."""
    return [node.forwarder.hosts.get((0, HOST.packed)) for node in nodes]


def counted(nodes: list[SimNode], reason: str) -> list[int]:
    return [node.engine.drops.snapshot().get(reason, 0) for node in nodes]


def claiming_without_role(node: SimNode) -> list[str]:
    return [one.subject for one in node.engine.problems(node.now) if one.kind == "claims_without_role"]


def test_the_highest_sequence_takes_no_host_that_another_node_has() -> None:
    world = World(5)
    nodes = mesh(world, 4)
    nodes[1].raise_event(HostSeen(0, 0, HOST))
    world.run(0.5)
    claim_host(world, nodes[3], HIGHEST)
    world.run(0.5)
    late = world.add(peer=nodes[3])
    world.run(5.0)
    everybody = [*nodes, late]
    assert places(everybody) == [2, None, 2, 2, 2]
    assert counted(everybody, "host_sequence_ahead")[:3] == [1, 1, 1]
    nodes[2].raise_event(HostSeen(0, 0, HOST))
    world.run(0.5)
    assert places(everybody) == [3, 3, None, 3, 3], "and it moves as before"


def test_a_host_claimed_at_the_top_before_it_is_seen_anywhere_is_its_node_s_when_it_speaks() -> None:
    world = World(6)
    nodes = mesh(world, 3)
    claim_host(world, nodes[2], HIGHEST)
    world.run(0.5)
    assert places(nodes)[:2] == [3, 3]
    nodes[0].raise_event(HostSeen(0, 0, HOST))
    world.run(0.5)
    assert places(nodes)[:2] == [None, 1]


def test_a_node_without_the_role_bridge_has_no_host_but_its_own_machine_and_is_named() -> None:
    world = World(7)
    first, second = mesh(world, 2)
    liar = world.add(peer=first, rights=DEFAULT_RIGHTS)
    world.run_until(lambda: first.is_linked(liar) and second.is_linked(liar), 20.0)
    first.raise_event(HostSeen(0, 0, HOST))
    world.run(1.0)
    claim_host(world, liar, 1)
    own = liar.identity.certificate
    assert own.ipv4 is not None
    everything = HostContent((own.ipv4.ip.packed, HOST_ADDRESS.packed), 0)
    publish(liar, Kind.HOST, host_key(0, own.mac), everything)
    world.run(1.0)
    assert places([first, second]) == [None, 1]
    assert second.forwarder.hosts[(0, own.mac.packed)] == liar.index
    assert second.engine.view.host_with(0, own.ipv4.ip) == own.mac
    assert second.engine.view.host_with(0, HOST_ADDRESS) is None
    assert counted([first, second], "claim_without_role") == [2, 2]
    assert [claiming_without_role(node) for node in (first, second)] == [["n3"], ["n3"]]
    publish(liar, Kind.HOST, host_key(0, HOST), None)
    world.run(1.0)
    assert claiming_without_role(second) == []


def test_hosts_come_with_a_certificate_that_has_the_role_and_go_with_one_that_has_it_not() -> None:
    world = World(8)
    first, second = mesh(world, 2)
    node = world.add(peer=first, rights=DEFAULT_RIGHTS)
    world.run_until(lambda: second.is_linked(node), 20.0)
    node.raise_event(HostSeen(0, 0, HOST))
    world.run(1.0)
    assert places([first, second]) == [None, None]
    assert claiming_without_role(first) == [], "it does not even claim it"
    for serial, rights in enumerate((MAY_BRIDGE, DEFAULT_RIGHTS, MAY_BRIDGE)):
        renewed = world.certify(node.index, node.identity.keys, not_before_s=1 + serial, rights=rights)
        node.carry_out(node.engine.renew(node.now, renewed))
        world.run(1.0)
        assert places([first, second]) == ([3, 3] if rights is MAY_BRIDGE else [None, None])


def test_what_a_node_claims_is_judged_anew_when_its_certificate_comes() -> None:
    """Its claim may overtake the renewed certificate, or live longer than the role."""
    world = World(9)
    first, second = mesh(world, 2)
    liar = world.add(peer=first, rights=DEFAULT_RIGHTS)
    world.run_until(lambda: second.is_linked(liar), 20.0)
    claim_host(world, liar, 0)
    world.run(1.0)
    assert places([first, second]) == [None, None]
    for serial, rights in enumerate((MAY_BRIDGE, DEFAULT_RIGHTS)):
        renewed = world.certify(liar.index, liar.identity.keys, not_before_s=1 + serial, rights=rights)
        content = NodeContent.of(renewed.encode(), (liar.endpoint,))
        liar.engine.rooms.broadcast.announce(liar.now, content)
        world.run(1.0)
        assert places([first, second]) == ([3, 3] if rights is MAY_BRIDGE else [None, None])
        assert claiming_without_role(first) == ([] if rights is MAY_BRIDGE else ["n3"])


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
    neighbour = Neighbour(NodeIndex(2), wake, Random(1), Drops(), Instant(0.0))
    for number in range(100):
        key = number.to_bytes(4, "big")
        neighbour.offer(Instant(0.0), Record(NodeIndex(3), 1, 7, Kind.GROUPS, key, b"\x01", b"wire", number))
    assert len(list(neighbour.messages(Instant(0.0)))) == 1
    neighbour.acknowledged(Instant(0.0), (NodeIndex(3), 1, 7))
    assert wake.next() is None
