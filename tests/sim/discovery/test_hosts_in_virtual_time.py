"""Hosts behind the nodes of a network in virtual time: known to all, followed when they move, gone with their node."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.sim.placed_hosts import hosts_elsewhere
from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.base.events import HostSeen, TapFrame
from treecast.base.ids import BROADCAST_STREAM, NodeIndex
from treecast.sim.world import SimNode, World
from treecast.wire import arp, ethernet
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.rarp import RARP_ETHERTYPE

HOST = MacAddress.parse("02:00:00:00:00:0a")
ADDRESS = IPv4Address("10.77.9.1")
ALL_SYSTEMS = ethernet.multicast_mac(IPv4Address("224.0.0.1"))


def mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    world.run(1.0)
    return nodes


def ask(node: SimNode, who: MacAddress, sender: IPv4Address, target: IPv4Address) -> None:
    """A host at a node's TAP sends an ARP request; an announcement when both addresses are the same."""
    payload = arp.emit(ArpPacket(ArpOperation.REQUEST, who, sender, MacAddress(bytes(6)), target))
    node.raise_event(TapFrame(0, ethernet.emit(EthernetFrame(BROADCAST_MAC, who, EtherType.ARP, payload))))


def places(nodes: list[SimNode]) -> list[NodeIndex | None]:
    """Where each node's data plane would send a frame to the host."""
    return [node.forwarder.hosts.get((0, HOST.packed)) for node in nodes]


def test_a_request_for_a_known_host_makes_no_datagram_at_all() -> None:
    world = World(1)
    nodes = mesh(world, 4)
    ask(nodes[1], HOST, ADDRESS, ADDRESS)
    world.run(0.5)
    assert places(nodes) == [2, None, 2, 2]
    before = nodes[0].forwarder.trees[BROADCAST_STREAM].taken
    own = nodes[0].identity.certificate
    assert own.ipv4 is not None
    ask(nodes[0], own.mac, own.ipv4.ip, ADDRESS)
    world.run(0.5)
    assert nodes[0].forwarder.trees[BROADCAST_STREAM].taken == before
    (answer,) = [ethernet.parse(frame) for frame in nodes[0].forwarder.injected if frame[12:14] == b"\x08\x06"]
    assert arp.parse(answer.payload).sender_mac == HOST


def test_a_host_that_moves_is_followed_and_its_announcement_reaches_everybody() -> None:
    world = World(2)
    nodes = mesh(world, 4)
    ask(nodes[1], HOST, ADDRESS, ADDRESS)
    world.run(0.5)
    for node in nodes:
        node.forwarder.delivered.clear()
    ask(nodes[2], HOST, ADDRESS, ADDRESS)
    world.run(0.5)
    assert places(nodes) == [3, 3, None, 3]
    assert [len(node.forwarder.delivered) for node in nodes] == [1, 1, 0, 1]
    rows = [host for host in nodes[1].engine.view.hosts(world.underlay.now) if host and host.mac == HOST]
    assert [(host.node, host.port) for host in rows] == [(3, None)]


def test_the_lan_that_a_host_leaves_gets_a_frame_in_its_name_and_the_one_that_it_comes_to_a_query() -> None:
    world = World(6)
    nodes = mesh(world, 3)
    ask(nodes[1], HOST, ADDRESS, ADDRESS)
    world.run(60.0)
    for node in nodes:
        node.forwarder.injected.clear()
        node.forwarder.delivered.clear()
    nodes[2].raise_event(HostSeen(0, 0, HOST))
    world.run(2.0)
    sent = [[ethernet.parse(frame) for frame in node.forwarder.injected] for node in nodes]
    named = [[frame.source for frame in frames if frame.ethertype == RARP_ETHERTYPE] for frames in sent]
    assert named == [[], [HOST], []]
    assert [node.forwarder.delivered for node in nodes] == [[], [], []], "it is for that LAN alone"
    queries = [[frame for frame in frames if frame.destination == ALL_SYSTEMS] for frames in sent]
    assert [bool(frames) for frames in queries] == [False, False, True]


def test_the_hosts_of_a_dead_node_end_with_it_and_one_that_moved_in_time_stays() -> None:
    world = World(3)
    nodes = mesh(world, 4)
    second = MacAddress.parse("02:00:00:00:00:0b")
    ask(nodes[1], HOST, ADDRESS, ADDRESS)
    nodes[1].raise_event(HostSeen(0, 0, second))
    world.run(0.5)
    nodes[1].stop()
    ask(nodes[2], HOST, ADDRESS, ADDRESS)
    rest = [nodes[0], nodes[2], nodes[3]]
    world.run_until(lambda: places(rest) == [3, None, 3], 1.0)
    world.run(90.0)
    assert places(rest) == [3, None, 3]
    for node in rest:
        assert (0, second.packed) not in node.forwarder.hosts
        assert NodeIndex(2) not in node.forwarder.hosts.values()
        assert 2 not in hosts_elsewhere(node).values()


def test_a_host_behind_two_nodes_lans_comes_to_rest() -> None:
    world = World(4)
    nodes = mesh(world, 3)
    for turn in range(40):
        ask(nodes[turn % 2], HOST, ADDRESS, ADDRESS)
        world.run(0.3)
    settled = places(nodes)
    moves = [node.engine.view.counters()["host_moves"] for node in nodes]
    for turn in range(8):
        nodes[turn % 2].raise_event(HostSeen(0, 0, HOST))
        world.run(0.3)
    assert [node.engine.view.counters()["host_moves"] for node in nodes] == moves
    assert max(moves) <= 6
    assert places(nodes) == settled
    assert settled[2] in (1, 2)
    assert any(
        view.duplicate for view in filter(None, nodes[2].engine.view.hosts(world.underlay.now)) if view.mac == HOST
    )


def test_a_host_that_moved_too_often_is_asked_of_all_and_found_where_it_spoke_last_when_its_hold_ends() -> None:
    world = World(5)
    nodes = mesh(world, 4)
    for turn in range(7):
        ask(nodes[1 + turn % 2], HOST, ADDRESS, ADDRESS)
        world.run(5.0)
    spoke_last = world.underlay.now
    assert places(nodes) == [3, 3, None, 3], "held there; it spoke last at node 2"
    own = nodes[0].identity.certificate
    assert own.ipv4 is not None
    nodes[1].forwarder.delivered.clear()
    ask(nodes[0], own.mac, own.ipv4.ip, ADDRESS)
    world.run(0.5)
    assert len(nodes[1].forwarder.delivered) == 1, "the question reaches it"
    world.run_until(lambda: places(nodes) == [2, None, 2, 2], 180.0)
    assert world.underlay.now - spoke_last < 180.0


def test_the_mac_of_a_virtual_router_is_found_at_each_failover() -> None:
    world = World(6)
    nodes = mesh(world, 3)
    virtual = MacAddress.parse("00:00:5e:00:01:2a")
    for turn in range(20):
        ask(nodes[1 + turn % 2], virtual, ADDRESS, ADDRESS)
        world.run(1.5)
        assert nodes[0].forwarder.hosts.get((0, virtual.packed)) == 2 + turn % 2


def test_a_machine_that_moves_to_and_fro_for_hours_is_followed_also_by_who_comes_late_and_after_a_restart_at_0() -> (
    None
):
    world = World(7)
    nodes = mesh(world, 3)
    for turn in range(40):
        nodes[1 + turn % 2].raise_event(HostSeen(0, 0, HOST))
        world.run(100.0)
    nodes.append(world.add(peer=nodes[0]))
    world.run(5.0)
    assert places(nodes) == [3, 3, None, 3], "40 moves on, a newcomer believes it"
    nodes[1] = world.restart(nodes[1], peer=nodes[0])
    nodes[2] = world.restart(nodes[2], peer=nodes[0])
    world.run(5.0)
    nodes[1].raise_event(HostSeen(0, 0, HOST))
    world.run(1.0)
    assert places(nodes) == [2, None, 2, 2], "its node lost the state and begins at 0"
    nodes[2].raise_event(HostSeen(0, 0, HOST))
    world.run(1.0)
    assert places(nodes) == [3, 3, None, 3]
