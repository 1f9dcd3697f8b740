"""Two nodes that make link secrets, and what crosses between them."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.links.shaking import Node, confirm, shake
from treecast.base.commands import SendControl
from treecast.base.ids import NodeIndex
from treecast.base.protocol_version import ML_KEM
from treecast.base.time import Instant
from treecast.links.peers import Peer
from treecast.sim.handshake import ModelHandshake
from treecast.wire.control import Ciphertext, EncapsulationKey, parse_control

Message = EncapsulationKey | Ciphertext


def able(index: int, *, epoch: int = 1) -> Node:
    return Node(index, capabilities=ML_KEM, epoch=epoch)


def linked_pair() -> tuple[Node, Node]:
    """Nodes 1 and 2, linked at 0 by a handshake that 2 began: 1 begins exchanges."""
    one, two = able(1), able(2)
    shake(two, one)
    one.events(), two.events()
    return one, two


def peer(node: Node, other: int | None = None) -> Peer:
    found = [one for one in node.links.peers() if other in (None, one.node)]
    return found[0]


def messages(node: Node) -> list[Message]:
    """The messages of exchanges that it has sent; what else it sent is lost."""
    node.sent()
    parsed = [parse_control(command.data) for command in node.others if isinstance(command, SendControl)]
    return [message for message in parsed if isinstance(message, EncapsulationKey | Ciphertext)]


def give(node: Node, message: Message, source: int, now: float = 1.0) -> None:
    node.links.exchanges.receive(Instant(now), NodeIndex(source), message)


def carry(one: Node, two: Node, now: float, lost: Callable[[Message], bool] = lambda _: False) -> None:
    """All that both have sent, and what comes of it, arrives, but for the messages that are lost."""
    moved = True
    while moved:
        moved = False
        for node, other in ((one, two), (two, one)):
            handshakes = node.sent()
            controls = [parse_control(command.data) for command in node.others if isinstance(command, SendControl)]
            for data in handshakes:
                other.hear(now, data, node.index)
            for message in controls:
                assert isinstance(message, EncapsulationKey | Ciphertext)
                if not lost(message):
                    give(other, message, node.index, now)
            moved = moved or bool(handshakes or controls)
    for node, other in ((one, two), (two, one)):
        if node.links.peers() and not peer(node).sessions[-1].confirmed:
            confirm(node, other, now)


def run(one: Node, two: Node, until: int, begins: int = 0, lost: Callable[[Message], bool] = lambda _: False) -> None:
    """Each second a review, and what comes of it."""
    for now in range(begins, until):
        for node in (one, two):
            node.links.review(Instant(float(now)), [])
            node.links.advance(Instant(float(now)))
        carry(one, two, float(now), lost)


def is_hybrid(node: Node) -> bool:
    return peer(node).current.hybrid


def mixed_in(node: Node) -> bytes:
    """The id of the secret in the keys of its newest session."""
    handshake = node.installed[-1].handshake
    assert isinstance(handshake, ModelHandshake)
    return handshake.link_secret
