"""Digests by the work that they make: what is offered for them at once, what waits, and what is described in answer."""

from __future__ import annotations

from math import inf

import pytest

from tests.unit.broadcast.test_broadcast import Node, advertisement, node_advertisement
from tests.unit.broadcast.test_digests import LAST, acknowledge_all
from tests.unit.counting import steps_of
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast import reconciliation
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.pace import full_pace
from treecast.broadcast.store import Origin, Record
from treecast.wire.control import MAX_ORIGINS_PER_DIGEST, Digest, Flood, Ranges

PEER, OTHER, ORIGIN = 2, 3, 5


def knows(records: int, *origins: int) -> Node:
    """A node to which the other neighbour has brought these origins with so many records each, long ago."""
    node = Node(1)
    node.link(PEER, OTHER)
    for origin in origins:
        wires = (advertisement(origin, 2 + n, 99, n.to_bytes(2, "big"), b"x") for n in range(records - 1))
        node.hear(OTHER, Flood((node_advertisement(origin), *wires)))
    for _ in range(100):
        acknowledge_all(node)
        node.now = Instant(node.now + 1.0)
    return node


def knows_many(origins: int) -> Node:
    """A node that holds so many origins, from 10 on, with no record each."""
    node = knows(1, ORIGIN)
    for index in range(10, 10 + origins):
        node.broadcast._store.begin(NodeIndex(index), Origin(1, b"", Instant(inf), full_pace(node.now)))
    return node


class Offers:
    """Records that neighbours are offered, each time that one is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.origins: dict[int, int] = {}
        offer = Neighbour.offer

        def counted(neighbour: Neighbour, now: Instant, *records: Record) -> None:
            self.count += len(records)
            for record in records:
                self.origins[record.origin] = self.origins.get(record.origin, 0) + 1
            offer(neighbour, now, *records)

        monkeypatch.setattr(Neighbour, "offer", counted)


def test_of_digests_without_end_that_lack_one_origin_it_is_offered_once_in_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = knows(400, ORIGIN)
    offers = Offers(monkeypatch)
    for _ in range(200):
        node.hear(PEER, Digest(ORIGIN, ORIGIN, ()))
    node.said()
    assert offers.count == 400


def test_records_that_are_offered_for_digests_have_a_rate_and_all_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "RECORDS_BURST", 64.0)
    monkeypatch.setattr(reconciliation, "RECORDS_PER_S", 640.0)
    origins = range(10, 30)
    node = knows(20, *origins)
    offers, began = Offers(monkeypatch), node.now
    node.hear(PEER, Digest(10, 29, ()))
    node.said()
    assert offers.count == 80, "the last one may be more than there is time for"
    while len(offers.origins) < len(origins):
        deadline = node.broadcast.reconciliation.next_deadline()
        assert deadline is not None
        assert deadline > node.now
        node.now = deadline
        node.said()
    assert offers.origins == dict.fromkeys(origins, 20), "each once"
    assert node.now - began <= 400 / 640


def test_the_offers_of_one_neighbour_s_digests_take_nothing_of_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "RECORDS_BURST", 64.0)
    node = knows(100, ORIGIN)
    offers = Offers(monkeypatch)
    for peer in (PEER, OTHER):
        node.hear(peer, Digest(ORIGIN, ORIGIN, ()))
    node.said()
    assert offers.count == 200


def test_offers_that_wait_end_with_the_link() -> None:
    node = knows(20, *range(10, 30))
    node.hear(PEER, Digest(10, 29, ()))
    node.broadcast.link_down(node.now, NodeIndex(PEER))
    assert [peer for peer, _ in node.floods()] == []


def test_an_origin_that_has_ended_while_it_waited_is_not_offered() -> None:
    node = knows(20, ORIGIN)
    node.hear(PEER, Digest(ORIGIN, ORIGIN, ()))
    node.broadcast.revoke(NodeIndex(ORIGIN))
    assert node.floods() == []


def test_two_origins_far_apart_are_requested_without_a_description_of_all_between_them() -> None:
    node = knows_many(8 * MAX_ORIGINS_PER_DIGEST)
    far_apart = [NodeIndex(10), NodeIndex(9 + 8 * MAX_ORIGINS_PER_DIGEST)]
    digests = node.broadcast.reconciliation._digests
    assert len(list(digests.request(far_apart))) == 2
    work = steps_of(lambda: list(digests.request(far_apart)))
    assert work < steps_of(lambda: list(digests._lists(*far_apart, expects_reply=False))) / 2


def test_descriptions_that_there_is_no_room_for_are_not_made() -> None:
    node = knows_many(8 * MAX_ORIGINS_PER_DIGEST)
    each = MAX_ORIGINS_PER_DIGEST // 2
    all_differ = Ranges(10, tuple((9 + each * number, b"\1" * 8) for number in range(1, 17)))
    at_first = steps_of(lambda: node.hear(PEER, all_differ))
    assert len(node.said()) == 8
    for _ in range(1_000):
        node.hear(PEER, Digest(LAST, LAST, ()))
    node.now = Instant(node.now + 1.5 / reconciliation.MESSAGES_PER_S)
    assert steps_of(lambda: node.hear(PEER, all_differ)) < at_first / 2
