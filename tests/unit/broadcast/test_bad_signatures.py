"""Signatures that are bad: how many are checked of one neighbour, who is named for them, and whom that delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.broadcast.test_broadcast import (
    GROUPS,
    WANTED,
    Node,
    advertisement,
    certificate_of,
    node_advertisement,
)
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.bad_signatures import FAILED_CHECKS_BURST, FAILED_CHECKS_PER_S
from treecast.identity import certificate, keys
from treecast.wire.advertisement import Body, Kind, NodeContent, Signed, emit
from treecast.wire.control import Acknowledge, Flood

FORGER, OTHER, ORIGIN = 2, 3, 5
BURST, PER_S = int(FAILED_CHECKS_BURST), int(FAILED_CHECKS_PER_S)
HELD = emit(WANTED)


def forged(
    kind: Kind, key: bytes, sequence: int, *, origin: int = ORIGIN, epoch: int = 2, content: bytes = b""
) -> bytes:
    return emit(Signed(emit(Body(origin, epoch, sequence, kind, key, content)), bytes(64)))


def forged_node(sequence: int) -> bytes:
    """A NODE that nobody has signed, with the origin's certificate."""
    return forged(Kind.NODE, b"", sequence, content=emit(NodeContent.of(certificate_of(ORIGIN).encode(), ())))


def of_a_certificate(number: int, epoch: int) -> bytes:
    """A NODE with a certificate that the CA has not signed."""
    made_up = replace(certificate_of(ORIGIN), signature=number.to_bytes(64, "big")).encode()
    content = emit(NodeContent.of(made_up, ()))
    return advertisement(ORIGIN, number, Kind.NODE, b"", content, epoch=epoch)


FORGED: dict[str, Callable[[int], bytes]] = {
    "LINKS": lambda number: forged(Kind.LINKS, b"\5", number),
    "NODE": forged_node,
    "GROUPS, which wait": lambda number: forged(Kind.GROUPS, GROUPS, number, content=HELD),
    "the receiver's own, in a later epoch": lambda number: forged(Kind.GROUPS, GROUPS, number, origin=1, epoch=3),
    "certificates": lambda number: of_a_certificate(number, epoch=3),
    "certificates, in an earlier epoch": lambda number: of_a_certificate(number, epoch=1),
}


class Checked:
    """Counts the checks of signatures that failed, those of certificates too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._verify = keys.verify
        monkeypatch.setattr(certificate, "verify", self._counted)

    def of(self, node: Node) -> Checked:
        node.broadcast._intake._acceptance._verify_signature = self._counted
        return self

    def _counted(self, public_key: bytes, context: bytes, message: bytes, signature: bytes) -> bool:
        is_good = self._verify(public_key, context, message, signature)
        self.count += not is_good
        return is_good


def linked() -> Node:
    node = Node(1)
    node.link_for_long(FORGER, OTHER)
    node.hear(OTHER, Flood((node_advertisement(ORIGIN, epoch=2),)))
    node.said()
    return node


def genuine(sequence: int) -> bytes:
    return advertisement(ORIGIN, sequence, Kind.GROUPS, GROUPS, HELD, epoch=2)


@pytest.mark.parametrize("what", FORGED)
def test_so_many_bad_signatures_of_a_neighbour_are_checked_and_then_some_a_second(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = linked()
    checked = Checked(monkeypatch).of(node)
    for number in range(10, 10 + 20 * BURST):
        node.hear(FORGER, Flood((FORGED[what](number),)))
    assert checked.count == BURST
    node.now = Instant(node.now + 1.0)
    for number in range(10, 10 + 20 * BURST):
        node.hear(FORGER, Flood((FORGED[what](number),)))
    assert checked.count == BURST + PER_S
    assert node.drops.snapshot()["advertisement_signature_rate"] == 2 * 20 * BURST - checked.count
    acknowledged = [item for _, said in node.said() if isinstance(said, Acknowledge) for item in said.items]
    assert len(acknowledged) <= checked.count, "what is not looked at is not acknowledged"


def test_what_other_neighbours_bring_is_taken_at_once_and_what_the_forger_brings_comes_later() -> None:
    node = linked()
    for number in range(10, 10 + 2 * BURST):
        node.hear(FORGER, Flood((forged_node(number),)))
    assert node.hear(FORGER, Flood((genuine(2),))) == []
    assert node.said() == [], "not acknowledged: it comes again"
    assert len(node.hear(OTHER, Flood((genuine(2),)))) == 1
    node.now = Instant(node.now + 1.0)
    assert len(node.hear(FORGER, Flood((genuine(3),)))) == 1
    assert (FORGER, Acknowledge(((ORIGIN, 2, 3),))) in node.said()


def test_genuine_advertisements_take_nothing_of_the_budget() -> None:
    node = linked()
    taken = sum(len(node.hear(FORGER, Flood((genuine(number),)))) for number in range(2, 2 + 4 * BURST))
    assert taken == 4 * BURST


@pytest.mark.parametrize("what", FORGED)
def test_the_neighbour_that_brought_them_is_noted_and_never_the_origin(what: str) -> None:
    node = linked()
    for number in range(10, 10 + BURST // 2):
        node.hear(FORGER, Flood((FORGED[what](number),)))
    assert node.drops.take_refusals() == [(FORGER, "advertisement_bad_signature", BURST // 2)]


def test_the_budget_of_a_neighbour_that_is_gone_is_forgotten() -> None:
    node = linked()
    for number in range(10, 10 + 2 * BURST):
        node.hear(FORGER, Flood((forged_node(number),)))
    node.broadcast.link_down(node.now, NodeIndex(FORGER))
    assert node.broadcast._intake._bad_signatures._failed_checks == {}
