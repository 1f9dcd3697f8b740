"""Broadcast in a network of real engines: it arrives as its root has signed it, and as nobody else can."""

from __future__ import annotations

from dataclasses import replace

from treecast.base.ids import BROADCAST_STREAM, StreamId
from treecast.sim.datagrams import SessionDatagram, TreeDatagram
from treecast.sim.world import SimNode, World


def frame(node: SimNode, text: str, destination: bytes = b"\xff" * 6) -> bytes:
    """A frame of a protocol that nobody snoops, from the node's own MAC."""
    return destination + node.identity.certificate.mac.packed + b"\x88\xb6" + text.encode().ljust(46, b"\0")


def linked(world: World, size: int = 3) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    for node in nodes:  # the first frame has keys handed out; until then there are copies
        node.forwarder.send_frame(frame(node, "first"))
    world.run(3.0)
    return nodes


def broadcast_of(root: SimNode, text: str) -> TreeDatagram:
    """The next datagram of its broadcast, as the root would make it."""
    tree = root.forwarder.trees[BROADCAST_STREAM]
    datagram = TreeDatagram(root.index, BROADCAST_STREAM, tree.epoch, tree.key_id, tree.sealed + 1, frame(root, text))
    return replace(datagram, signed_by=root.identity.signing_key.public)


def forge(world: World, victim: SimNode, root: SimNode, *datagrams: TreeDatagram) -> None:
    """The datagrams come to the victim under the root's address."""
    for datagram in datagrams:
        world.underlay.send(root.endpoint, victim.endpoint, datagram)
    world.run(0.5)


def in_its_session(world: World, member: SimNode, victim: SimNode, datagram: TreeDatagram) -> None:
    """The datagram comes to the victim in a session with the member."""
    session = member.forwarder.sessions.current(victim.index)
    assert session is not None
    session.sealed += 1
    sealed = SessionDatagram(session.remote_index, session.sealed, datagram, session.link_secret)
    world.underlay.send(member.endpoint, victim.endpoint, sealed)
    world.run(0.5)


def test_what_a_node_broadcasts_arrives_with_its_signature() -> None:
    world = World(1)
    root, *others = linked(world)
    before = [len(node.forwarder.delivered) for node in others]
    for number in range(20):
        root.forwarder.send_frame(frame(root, f"{number}"))
        world.run(0.1)
    assert root.forwarder.trees[BROADCAST_STREAM].sealed >= 20, "by the tree"
    for node, count in zip(others, before, strict=True):
        assert node.forwarder.delivered[count:] == [frame(root, f"{number}") for number in range(20)]
        assert not node.forwarder.drops["broadcast_signature"]


def test_a_member_forges_no_broadcast_of_another_and_takes_no_counter() -> None:
    world = World(2)
    root, victim, member = linked(world)
    delivered = list(victim.forwarder.delivered)
    forged = replace(broadcast_of(root, "forged"), signed_by=member.identity.signing_key.public)
    forge(world, victim, root, forged, broadcast_of(root, "with a recorded signature"))
    in_its_session(world, member, victim, forged)
    assert victim.forwarder.delivered == delivered
    drops = victim.forwarder.drops
    assert (drops["tree_unwrapped"], drops["tree_rpf"], drops["broadcast_signature"]) == (2, 1, 0)
    root.forwarder.send_frame(frame(root, "genuine"))
    world.run(0.5)
    assert victim.forwarder.delivered == [*delivered, frame(root, "genuine")]


def test_nobody_but_the_root_signs_what_its_parent_brings() -> None:
    world = World(6)
    root, victim, member = linked(world)
    delivered, own = list(victim.forwarder.delivered), root.forwarder.signing_key
    root.forwarder.signing_key = member.identity.signing_key.public
    root.forwarder.send_frame(frame(root, "under another key"))
    world.run(0.5)
    assert victim.forwarder.drops["broadcast_signature"] == 1
    root.forwarder.signing_key = own
    root.forwarder.send_frame(frame(root, "genuine"))
    world.run(0.5)
    assert victim.forwarder.delivered == [*delivered, frame(root, "genuine")]


def test_a_stream_of_a_group_comes_in_no_session() -> None:
    world = World(7)
    root, victim, _ = linked(world)
    in_its_session(world, root, victim, replace(broadcast_of(root, "of a group"), stream=StreamId(7)))
    assert victim.forwarder.drops["tree_wrapped"] == 1


def test_a_key_of_a_group_carries_no_broadcast() -> None:
    world = World(3)
    root, victim, member = linked(world)
    for node in (victim, member):
        node.report("239.1.1.1")
    world.run(1.0)
    root.send("239.1.1.1", "frame")
    world.run(3.0)
    (stream,) = (number for number in root.forwarder.trees if number != BROADCAST_STREAM)
    tree, delivered = root.forwarder.trees[stream], list(victim.forwarder.delivered)
    forged = TreeDatagram(root.index, stream, tree.epoch, tree.key_id, tree.sealed + 1, frame(root, "forged"))
    forge(world, victim, root, forged)
    assert victim.forwarder.delivered == delivered
    assert victim.forwarder.drops["broadcast_signature"] == 1


def test_a_node_that_is_added_again_broadcasts_under_its_new_key() -> None:
    world = World(4)
    root, victim, member = linked(world)
    again = world.replace(root, peer=member)
    root.stop()
    world.run_until(lambda: len(again.peers()) == 2, 30.0)
    again.forwarder.send_frame(frame(again, "first"))
    world.run(3.0)
    delivered = list(victim.forwarder.delivered)
    again.forwarder.send_frame(frame(again, "under the new key"))
    world.run(1.0)
    assert again.forwarder.trees[BROADCAST_STREAM].sealed
    assert victim.forwarder.delivered == [*delivered, frame(again, "under the new key")]


def test_a_flood_under_a_roots_address_costs_no_broadcast_of_anybody() -> None:
    world = World(5)
    root, victim, member = linked(world)
    forged = replace(broadcast_of(root, "forged"), signed_by=member.identity.signing_key.public)
    for _ in range(20):
        for _ in range(300):
            world.underlay.send(root.endpoint, victim.endpoint, forged)
        member.forwarder.send_frame(frame(member, "honest"))
        root.forwarder.send_frame(frame(root, "the root's own"))
        world.run(0.05)
    world.run(0.5)
    drops = victim.forwarder.drops
    assert drops["tree_unwrapped"] == 6000
    assert not drops["broadcast_signature"] + drops["broadcast_signature_rate"]
    assert victim.forwarder.delivered.count(frame(member, "honest")) == 20
    assert victim.forwarder.delivered.count(frame(root, "the root's own")) == 20
