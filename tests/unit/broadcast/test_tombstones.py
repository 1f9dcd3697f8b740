"""Nodes that have ended: nothing that is repeated brings them back, and they come back themselves, by any clock."""

from __future__ import annotations

import pytest

from tests.unit.broadcast import test_broadcast
from tests.unit.broadcast.test_broadcast import (
    CA,
    GROUPS,
    NETWORK,
    WANTED,
    Node,
    advertisement,
    certificate_of,
    keys_of,
    node_advertisement,
    verify_certificate,
)
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import after
from treecast.broadcast.store import NODE_LIFETIME
from treecast.identity.certificate import Certificate, CertificateContent, issue
from treecast.identity.keys import NodeKeys
from treecast.wire.advertisement import Kind, NodeContent, emit, parse_signed
from treecast.wire.control import Acknowledge, Flood

ORIGIN = 5
DAY = 86_400.0


def ended(epoch: int = 7, sequence: int = 3) -> Node:
    """A node that has held another one's advertisement to its end, and has a link with a third one."""
    node = Node(1)
    node.link_for_long(2)
    assert node.hear(2, Flood((node_advertisement(ORIGIN, sequence, epoch=epoch),)))
    node.now = after(node.now, NODE_LIFETIME)
    node.broadcast.advance(node.now)
    assert not node.broadcast.knows(NodeIndex(ORIGIN))
    node.said()
    return node


def is_taken(node: Node, *wires: bytes) -> bool:
    """Whether the node that has ended is known after that."""
    node.hear(2, Flood(wires))
    return node.broadcast.knows(NodeIndex(ORIGIN))


def answers(node: Node) -> list[tuple[int, int]]:
    """Epochs and sequences of all that is sent of the node that has ended."""
    bodies = [parse_signed(wire)[1] for _, wire in node.floods()]
    return [(body.epoch, body.sequence) for body in bodies if body.origin == ORIGIN]


@pytest.mark.parametrize("passed", [0.0, 601.0, DAY])
def test_no_earlier_run_of_a_node_brings_it_back_however_late_it_is_repeated(passed: float) -> None:
    node = ended()
    node.now = after(node.now, passed)
    groups = advertisement(ORIGIN, 2, Kind.GROUPS, GROUPS, emit(WANTED), epoch=6)
    for sequence in (1, 2, 3, 4, 1_000):
        assert not is_taken(node, node_advertisement(ORIGIN, sequence, epoch=6), groups)
    assert not is_taken(node, node_advertisement(ORIGIN, 2, epoch=7), node_advertisement(ORIGIN, 3, epoch=7))
    assert node.drops.snapshot() == {}
    assert is_taken(node, node_advertisement(ORIGIN, 4, epoch=7)), "it goes on"
    assert is_taken(ended(), node_advertisement(ORIGIN, 1, epoch=8)), "it begins again"


def test_who_brings_what_is_older_is_told_how_far_the_node_was() -> None:
    node = ended()
    for epoch, sequence, answer in ((6, 9, [(7, 3)]), (7, 2, [(7, 3)]), (7, 3, []), (6, 10, [(7, 3)])):
        assert not is_taken(node, node_advertisement(ORIGIN, sequence, epoch=epoch))
        assert answers(node) == answer, (epoch, sequence)
        node.hear(2, Acknowledge(((ORIGIN, 7, 3),)))
    assert not is_taken(node, advertisement(ORIGIN, 1, Kind.GROUPS, GROUPS, emit(WANTED), epoch=6))
    assert answers(node) == [], "NODE alone"


def test_a_node_that_remembers_nothing_follows_what_others_remember_and_has_it_until_that_ends() -> None:
    node = Node(3)
    node.link_for_long(2)
    assert is_taken(node, node_advertisement(ORIGIN, 9, epoch=6)), "nobody has told it"
    assert is_taken(node, node_advertisement(ORIGIN, 3, epoch=7))
    node.now = after(node.now, NODE_LIFETIME)
    node.broadcast.advance(node.now)
    for sequence in (10, 11, 12):
        assert not is_taken(node, node_advertisement(ORIGIN, sequence, epoch=6))


def test_a_node_whose_clock_was_set_back_learns_of_its_earlier_run_and_begins_after_it() -> None:
    other, node = ended(), Node(ORIGIN, epoch_ms=2)
    node.link(1)
    other.link(ORIGIN)
    for _ in range(6):
        node.now = other.now = after(max(node.now, other.now), 0.5)
        for one, another in ((node, other), (other, node)):
            one.broadcast.advance(one.now)
            for peer, message in one.said():
                if peer == another.index and isinstance(message, Flood | Acknowledge):
                    another.hear(one.index, message)
    after_it = (keys_of(ORIGIN).signing.public, 8)
    assert node.broadcast.signer(NodeIndex(ORIGIN)) == after_it
    assert other.broadcast.signer(NodeIndex(ORIGIN)) == after_it


def certificate(keys: NodeKeys, not_after_s: int) -> bytes:
    """Another certificate of the node that has ended."""
    address = certificate_of(ORIGIN).ipv4
    return issue(
        CA,
        CertificateContent(
            NETWORK.id,
            NodeIndex(ORIGIN),
            "n5",
            keys.static.public,
            keys.signing.public,
            address,
            None,
            0,
            not_after_s,
        ),
    ).encode()


def first_of(run: bytes, epoch: int, signer: int = ORIGIN) -> bytes:
    """The first advertisement of a run with this certificate."""
    return advertisement(ORIGIN, 1, Kind.NODE, b"", emit(NodeContent.of(run, ())), epoch=epoch, signer=signer)


def test_a_node_that_was_added_again_while_it_was_off_is_taken_in_an_earlier_epoch() -> None:
    node, other_keys = ended(), 50
    assert not is_taken(node, first_of(certificate(keys_of(ORIGIN), 10**9 + 1), 6)), "renewed alone"
    assert is_taken(node, first_of(certificate(keys_of(other_keys), 10**9), 6, other_keys))


def test_a_tombstone_counts_as_long_as_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose clock was set back could not verify what it is told of its earlier run."""
    void: set[bytes] = set()

    def verify(wire: bytes) -> Certificate:
        if wire in void:
            raise MalformedError("certificate_expired")
        return verify_certificate(wire)

    monkeypatch.setattr(test_broadcast, "verify_certificate", verify)
    node, renewed = ended(), certificate(keys_of(ORIGIN), 10**9 + 1)
    assert not is_taken(node, first_of(renewed, 6))
    void.add(certificate_of(ORIGIN).encode())
    assert not is_taken(node, node_advertisement(ORIGIN, 3, epoch=7))
    assert node.drops.snapshot() == {"certificate_expired": 1}
    assert is_taken(node, first_of(renewed, 6))
