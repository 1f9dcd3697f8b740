"""How many advertisements of an origin count in a row, and who uses them up."""

from __future__ import annotations

import pytest

from tests.unit.broadcast.test_broadcast import Node, advertisement, emit_links, node_advertisement
from treecast.broadcast import pace
from treecast.wire.advertisement import HostContent, Kind, emit
from treecast.wire.control import Flood

ORIGIN = 5
HOST = bytes(2) + bytes((2, 0, 0, 0, 0, 1))


def claim(sequence: int, signer: int = ORIGIN) -> bytes:
    content = emit(HostContent((), sequence))
    return advertisement(ORIGIN, sequence, Kind.HOST, HOST, content, signer=signer)


def linked() -> Node:
    node = Node(1)
    node.link_for_long(2, 3, 4)
    node.hear(2, Flood((node_advertisement(ORIGIN),)))
    node.said()
    return node


def test_advertisements_that_a_neighbour_makes_up_use_up_nothing_of_an_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "ADVERTISEMENTS_BURST", 10.0)
    node = linked()
    for sequence in range(2, 30):
        assert not node.hear(2, Flood((claim(sequence, signer=2),)))
    taken = sum(len(node.hear(2, Flood((claim(sequence),)))) for sequence in range(2, 30))
    assert taken == 10
    assert node.drops.snapshot() == {"advertisement_bad_signature": 28, "advertisement_rate": 18}


def test_epochs_without_end_are_taken_at_a_pace() -> None:
    node = linked()
    taken = [node.hear(2, Flood((node_advertisement(ORIGIN, epoch=epoch),))) for epoch in range(2, 100)]
    assert sum(bool(learned) for learned in taken) <= 1 + pace.ADVERTISEMENTS_BURST / pace.EPOCH_COST


def test_a_new_epoch_is_passed_on_to_neighbours_that_have_links_with_the_one_before() -> None:
    """They do not know yet that those are over."""
    node = linked()
    for peer in (3, 4):
        links = advertisement(peer, 2, Kind.LINKS, b"\0", emit_links(1, ORIGIN))
        node.hear(peer, Flood((node_advertisement(peer), links)))
    node.said()
    node.hear(2, Flood((node_advertisement(ORIGIN, epoch=2),)))
    assert sorted({peer for peer, _ in node.floods()} - {2}) == [3, 4]
    node.hear(2, Flood((advertisement(ORIGIN, 2, Kind.HOST, HOST, emit(HostContent((), 0)), epoch=2),)))
    assert len({peer for peer, _ in node.floods()} & {3, 4}) == 1
