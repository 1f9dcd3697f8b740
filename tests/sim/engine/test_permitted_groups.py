"""Groups that a certificate lets a node send to and receive: nobody else seals for it, or opens what it seals."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from treecast.engine.environment import GroupOptions
from treecast.identity.rights import Rights
from treecast.sim.world import MAY_BRIDGE, SimNode, World
from treecast.wire import ipv4
from treecast.wire.ethernet import EtherType
from treecast.wire.ipv4 import Ipv4Packet

ALLOWED, OTHER = "239.1.1.1", "239.2.2.2"
SOME = (IPv4Network("239.1.0.0/16"),)
SENDS = replace(MAY_BRIDGE, send_to=SOME)
RECEIVES = replace(MAY_BRIDGE, receive_from=SOME)


def two(sender: Rights = MAY_BRIDGE, receiver: Rights = MAY_BRIDGE) -> tuple[World, SimNode, SimNode]:
    """A sender and a receiver of two groups."""
    world = World(1)
    first = world.add(rights=sender)
    second = world.add(peer=first, rights=receiver)
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 20.0)
    for group in (ALLOWED, OTHER):
        second.report(group)
    world.run(1.0)
    return world, first, second


def sent(world: World, sender: SimNode, receiver: SimNode) -> list[str]:
    """The frames that arrive of those to both groups."""
    receiver.forwarder.delivered.clear()
    for group in (ALLOWED, OTHER):
        for _ in range(3):
            sender.send(group, group)
            world.run(1.0)
    return sorted(set(map(str, receiver.forwarder.delivered)))


def renew(world: World, node: SimNode, rights: Rights, serial: int) -> None:
    certificate = world.certify(node.index, node.identity.keys, not_before_s=serial, rights=rights)
    node.carry_out(node.engine.renew(node.now, certificate))
    world.run(1.0)


def test_certificates_without_prefixes_permit_all_groups() -> None:
    assert sent(*two()) == [ALLOWED, OTHER]


def test_a_node_gets_no_tree_of_a_group_that_it_may_not_receive() -> None:
    world, sender, receiver = two(receiver=RECEIVES)
    assert sent(world, sender, receiver) == [ALLOWED]
    assert sender.engine.view.drops()["group_not_permitted"] == 1
    assert sender.forwarder.drops["no_subscriber"] == 3


def test_a_node_sends_to_no_group_that_it_may_not_send_to() -> None:
    world, sender, receiver = two(sender=SENDS)
    assert sent(world, sender, receiver) == [ALLOWED]
    assert sender.forwarder.drops["send_not_permitted"] == 3
    sender.send("239.1.9.9", "to nobody")
    assert sender.forwarder.drops["no_subscriber"] == 1, "another thing"


def test_a_key_of_a_root_that_may_not_send_there_is_refused() -> None:
    """The root does not keep to its certificate."""
    world, sender, receiver = two(sender=SENDS)
    sender.engine.rooms.topology.permit_own(None)
    sent(world, sender, receiver)
    assert receiver.engine.view.drops()["sender_not_permitted"] > 0
    trees = receiver.engine.rooms.downstream_trees.trees()
    assert [str(tree.flow.group) for tree in trees if tree.flow is not None] == [ALLOWED]


def test_copies_of_a_root_that_may_not_send_there_are_dropped_one_by_one() -> None:
    """The root seals each for its subscriber, or sends one group's frames down the tree of another."""
    world, sender, receiver = two(sender=SENDS)
    sender.engine.rooms.topology.permit_own(None)
    world.run(1.0)
    for stream in (stream for stream in sender.forwarder.trees if stream):
        for group in (ALLOWED, OTHER):
            sender.forwarder.send_on_tree(stream, frame(sender, group))
    world.run(1.0)
    streams = len(sender.forwarder.trees) - 1
    assert streams == 2
    assert receiver.forwarder.delivered == [frame(sender, ALLOWED)] * streams
    assert receiver.forwarder.drops["frame_not_permitted"] == streams


def frame(sender: SimNode, group: str) -> bytes:
    """The Ethernet frame of a datagram to a group, from the sender's own machine."""
    certificate = sender.identity.certificate
    assert certificate.ipv4 is not None
    packet = ipv4.emit(Ipv4Packet(certificate.ipv4.ip, IPv4Address(group), 17, 8, bytes(16)))
    destination = bytes((1, 0, 0x5E)) + IPv4Address(group).packed[1:]
    return destination + certificate.mac.packed + EtherType.IPV4.to_bytes(2, "big") + packet


@pytest.mark.parametrize("limits_sender", [True, False], ids=["sender", "receiver"])
def test_renewed_certificates_permit_other_groups_from_then_on(limits_sender: bool) -> None:
    world, sender, receiver = two()
    changed, limited = (sender, SENDS) if limits_sender else (receiver, RECEIVES)
    for serial, rights in enumerate((limited, MAY_BRIDGE, limited)):
        renew(world, changed, rights, 1 + serial)
        assert sent(world, sender, receiver) == ([ALLOWED] if rights is limited else [ALLOWED, OTHER])


def test_who_gets_all_groups_of_a_prefix_gets_those_only_that_it_may_receive() -> None:
    world = World(1)
    sender = world.add()
    router = world.add(
        peer=sender, rights=RECEIVES, groups=GroupOptions((IPv4Network("239.1.0.0/16"), IPv4Network("239.2.0.0/16")))
    )
    world.run_until(lambda: sender.is_linked(router), 20.0)
    world.run(1.0)
    assert sent(world, sender, router) == [ALLOWED]
