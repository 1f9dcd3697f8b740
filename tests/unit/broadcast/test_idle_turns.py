"""The work of a turn in which nothing is due: counted, at 100 and at 1,000 known nodes."""

from __future__ import annotations

from tests.unit.broadcast.test_broadcast import CA, NETWORK, Node
from tests.unit.counting import steps_of
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.identity.certificate import CertificateContent, issue
from treecast.identity.keys import NodeKeys
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, Kind, NodeContent, Signed, emit, parse_signed
from treecast.wire.control import Acknowledge, Flood

FIRST = 1_000
KEYS = NodeKeys.from_seeds(bytes(32), bytes([1] * 32))


def node_advertisement(index: int) -> bytes:
    keys = KEYS.static.public, KEYS.signing.public
    claims = CertificateContent(NETWORK.id, NodeIndex(index), "n", *keys, None, None, 0, 10**9)
    body = emit(Body(index, 1, 1, Kind.NODE, b"", emit(NodeContent.of(issue(CA, claims).encode(), ()))))
    return emit(Signed(body, KEYS.signing.sign(SIGNING_CONTEXT, body)))


def idle_node(others: int) -> Node:
    """A node that is linked to all others and knows them; nothing is unacknowledged."""
    node = Node(1)
    peers = range(FIRST, FIRST + others)
    node.link(FIRST)
    for peer in peers:
        node.hear(FIRST, Flood((node_advertisement(peer),)))
    acknowledge_all(node)
    node.link(*peers)
    for second in range(6):
        node.now = Instant(float(second))
        node.broadcast.advance(node.now)
        acknowledge_all(node)
    return node


def acknowledge_all(node: Node) -> None:
    for peer, message in node.said():
        if isinstance(message, Flood):
            versions = [parse_signed(wire)[1] for wire in message.advertisements]
            node.hear(peer, Acknowledge(tuple((v.origin, v.epoch, v.sequence) for v in versions)))


def idle_turn(node: Node) -> None:
    assert node.broadcast.advance(node.now) == []
    assert node.broadcast.outgoing(node.now) == []
    deadline = node.broadcast.next_deadline()
    assert deadline is not None and deadline > node.now


def test_an_idle_turn_touches_as_much_at_1000_known_nodes_as_at_100() -> None:
    few, many = (steps_of(idle_turn, idle_node(others)) for others in (100, 1_000))
    assert many <= few * 1.1


def test_a_turn_with_one_link_that_has_something_due_touches_that_link_alone() -> None:
    advertisement = node_advertisement(FIRST)

    def one_due(node: Node) -> None:
        node.hear(FIRST, Acknowledge(()))
        node.hear(FIRST, Flood((advertisement,)))
        assert [(peer, type(message)) for peer, message in node.said()] == [(FIRST, Acknowledge)]

    few, many = (steps_of(one_due, idle_node(others)) for others in (100, 1_000))
    assert many <= few * 1.1
