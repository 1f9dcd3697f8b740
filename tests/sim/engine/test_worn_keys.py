"""Keys and sessions that have sealed enough are replaced under a stream, and no datagram is lost by it."""

from __future__ import annotations

from ipaddress import IPv4Address

from treecast.base.addresses import BROADCAST_MAC, MacAddress
from treecast.base.events import TapFrame
from treecast.base.ids import StreamId
from treecast.sim.forwarder import KEY_DATAGRAMS
from treecast.sim.world import SimNode, World
from treecast.wire import arp, ethernet, ipv4
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import Ipv4Packet

GROUP = "239.1.1.1"
DATAGRAMS_PER_KEY = 100
STREAM = 1_000
INTERVAL_S = 0.01
HOST, SENDER = MacAddress.parse("02:00:00:00:00:0a"), MacAddress.parse("02:00:00:00:00:0b")
HOST_IP, SENDER_IP = IPv4Address("10.77.9.1"), IPv4Address("10.77.9.2")


def unicast_frame(number: int) -> bytes:
    """A frame to HOST that no other is like."""
    header = HOST.packed + SENDER.packed + EtherType.IPV4.to_bytes(2, "big")
    return header + ipv4.emit(Ipv4Packet(SENDER_IP, HOST_IP, 17, 64, number.to_bytes(8, "big")))


def announce(node: SimNode) -> None:
    """HOST shows itself at the node's TAP by an ARP announcement."""
    payload = arp.emit(ArpPacket(ArpOperation.REQUEST, HOST, HOST_IP, MacAddress(bytes(6)), HOST_IP))
    node.raise_event(TapFrame(0, ethernet.emit(EthernetFrame(BROADCAST_MAC, HOST, EtherType.ARP, payload))))


def world_of_worn_keys(size: int) -> tuple[World, list[SimNode]]:
    """A full mesh in which a key is worn after DATAGRAMS_PER_KEY datagrams."""
    world = World(3, datagram_weight=KEY_DATAGRAMS // DATAGRAMS_PER_KEY)
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    return world, nodes


def received(node: SimNode) -> list[object]:
    return [frame for frame in node.forwarder.delivered if not isinstance(frame, bytes)]


def test_a_worn_sender_key_is_replaced_under_a_stream_and_no_frame_is_lost() -> None:
    world, nodes = world_of_worn_keys(4)
    root, members = nodes[0], nodes[1:]
    for node in members:
        node.report(GROUP)
    world.run(1.0)
    used: set[tuple[StreamId, int]] = set()
    for number in range(STREAM):
        root.send(GROUP, number)
        world.run(INTERVAL_S)
        used |= {(stream, tree.key_id) for stream, tree in root.forwarder.trees.items() if stream and tree.used}
    world.run(1.0)
    assert [received(node) for node in members] == [list(range(STREAM))] * 3
    assert len({stream for stream, _ in used}) == 1
    assert STREAM / DATAGRAMS_PER_KEY - 2 <= len(used) <= STREAM / DATAGRAMS_PER_KEY + 2
    assert all(node.forwarder.drops["tree_key_unknown"] == 0 for node in members)


def test_a_key_that_is_not_worn_stays_in_use() -> None:
    world, nodes = world_of_worn_keys(2)
    nodes[1].report(GROUP)
    world.run(1.0)
    for number in range(DATAGRAMS_PER_KEY // 2):
        nodes[0].send(GROUP, number)
        world.run(INTERVAL_S)
    key_ids = {tree.key_id for stream, tree in nodes[0].forwarder.trees.items() if stream}
    world.run(30.0)
    assert {tree.key_id for stream, tree in nodes[0].forwarder.trees.items() if stream} == key_ids


def test_a_worn_session_is_replaced_under_a_stream_and_no_frame_is_lost() -> None:
    world, nodes = world_of_worn_keys(2)
    sender, receiver = nodes
    announce(receiver)
    world.run(1.0)
    sessions: set[int] = set()
    frames = [unicast_frame(number) for number in range(STREAM)]
    for frame in frames:
        sender.forwarder.send_frame(frame)
        world.run(INTERVAL_S)
        sessions |= set(sender.forwarder.sessions)
    world.run(1.0)
    assert [frame for frame in receiver.forwarder.delivered if frame in set(frames)] == frames
    assert len(sessions) >= 4, "each is worn within 1 s, and the next one is confirmed by a probe, every 2 s"
    assert sender.is_linked(receiver) and receiver.is_linked(sender)
    assert sum(len(node.engine.view.links()) for node in nodes) == 2
    assert all(node.forwarder.drops[reason] == 0 for node in nodes for reason in ("no_session", "session_unknown"))
