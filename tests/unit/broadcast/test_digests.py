"""Digests: who gets which one when, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.broadcast.test_broadcast import (
    GROUPS,
    WANTED,
    Node,
    advertisement,
    emit_links,
    node_advertisement,
)
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.broadcast import REQUEST_INTERVAL
from treecast.wire.advertisement import Kind, emit, parse_signed
from treecast.wire.control import Acknowledge, Digest, Flood

LAST = 0xFFFF_FFFF


def digests_within(node: Node, duration: float) -> Iterator[tuple[float, int, Digest]]:
    end = node.now + duration
    while node.now < end:
        node.now = Instant(node.now + 0.01)
        yield from ((node.now, peer, message) for peer, message in node.said() if isinstance(message, Digest))


def acknowledge_all(node: Node) -> None:
    for peer, wire in node.floods():
        body = parse_signed(wire)[1]
        node.hear(peer, Acknowledge(((body.origin, body.epoch, body.sequence),)))


def test_who_joins_compares_all_with_one_neighbour_at_once_and_with_no_other_of_its_own_accord() -> None:
    node = Node(1)
    node.link(2, 3, 4, 5, 6)
    at_once = [(peer, message) for peer, message in node.said() if isinstance(message, Digest)]
    assert [peer for peer, message in at_once if message.last == LAST] == [2]
    assert [(peer, m.first, m.last) for peer, m in at_once if m.last != LAST] == [(p, p, p) for p in (2, 3, 4, 5, 6)]
    assert {peer for _, peer, m in digests_within(node, 60.0) if m.last == LAST} == {2}


def test_a_first_comparison_from_which_nothing_is_learned_is_repeated_once() -> None:
    node, other = Node(1), Node(1)
    for each in (node, other):
        each.link(2)
        each.said()
    other.hear(2, Flood((node_advertisement(2),)))
    assert len([m for _, _, m in digests_within(node, 10.0) if m.last == LAST]) == 1
    assert [m for _, _, m in digests_within(other, 10.0) if m.last == LAST] == []


def test_a_node_that_is_new_to_one_that_knows_others_has_the_first_word() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(2),)))
    node.said()
    node.now = Instant(2.0)
    node.link(3)
    assert not [m for peer, m in node.said() if peer == 3 and isinstance(m, Digest) and m.last == LAST]


def test_each_end_of_a_new_link_gets_the_other_s_own_advertisements() -> None:
    node = Node(1)
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    node.link(2)
    node.hear(2, Digest(1, 1, ()))
    assert {parse_signed(wire)[1].kind for _, wire in node.floods()} == {Kind.NODE, Kind.GROUPS}


def test_whom_an_origin_has_lost_it_gets_its_news_from_another() -> None:
    lost, other = Node(1), Node(2)
    lost.link(2)
    other.link(1)
    old = (node_advertisement(9), advertisement(9, 2, Kind.LINKS, b"\x00", emit_links(1, 2)))
    lost.hear(2, Flood(old))
    other.hear(1, Flood(old))
    for node in (lost, other):
        node.now = Instant(5.0)
        acknowledge_all(node)
    other.link(9)
    other.hear(9, Flood((advertisement(9, 3, Kind.GROUPS, GROUPS, emit(WANTED)),)))
    assert not other.floods()  # 1 is left to 9, which loses it
    other.hear(9, Flood((advertisement(9, 4, Kind.LINKS, b"\x00", emit_links(2)),)))
    lost.hear(2, Flood(tuple(wire for peer, wire in other.floods() if peer == 1)))
    asked = [m for peer, m in lost.said() if peer == 2 and isinstance(m, Digest)]
    assert [(digest.first, digest.last) for digest in asked] == [(9, 9)]
    other.hear(1, asked[0])
    assert {parse_signed(wire)[1].kind for peer, wire in other.floods() if peer == 1} >= {Kind.GROUPS}


def test_a_node_that_loses_a_link_compares_with_one_other_within_a_second() -> None:
    node = Node(1)
    node.link(2, 3, 4)
    list(digests_within(node, 8.0))
    node.broadcast.link_down(node.now, NodeIndex(3))
    compared = [peer for _, peer, m in digests_within(node, 1.1) if m.last == LAST]
    assert len(compared) == 1 and compared[0] in (2, 4)


def test_a_neighbour_that_the_sender_is_linked_to_is_left_to_the_sender() -> None:
    """Both list that link; another one is listed by the sender alone."""
    node = Node(1)
    node.link_for_long(2, 3, 4)
    node.hear(2, Flood((node_advertisement(2), advertisement(2, 2, Kind.LINKS, b"\x00", emit_links(1, 3, 4)))))
    node.hear(3, Flood((node_advertisement(3), advertisement(3, 2, Kind.LINKS, b"\x00", emit_links(1, 2)))))
    node.said()
    node.hear(2, Flood((node_advertisement(9),)))
    assert [peer for peer, wire in node.floods() if parse_signed(wire)[1].origin == 9] == [4]


def test_who_reads_a_digest_that_asks_requests_what_it_lacks_and_floods_what_the_other_does() -> None:
    node = Node(1)
    node.link_for_long(2, 3)
    node.hear(3, Flood((node_advertisement(7), node_advertisement(8))))
    acknowledge_all(node)
    node.now = Instant(10.0)
    node.link(7)
    (whole,) = [m for _, m in node.said() if isinstance(m, Digest) and m.last == LAST]
    by_origin = {origin: (origin, epoch, digest_hash) for origin, epoch, digest_hash in whole.origins}
    theirs = (by_origin[1], (8, 1, bytes(8)), (9, 1, bytes(8)))
    node.hear(2, Digest(0, LAST, theirs, expects_reply=True))
    said = [message for peer, message in node.said() if peer == 2]
    assert [parse_signed(w)[1].origin for m in said if isinstance(m, Flood) for w in m.advertisements] == [7, 8]
    assert [m for m in said if isinstance(m, Digest)] == [Digest(8, 9, (by_origin[8],))]
    node.hear(2, Digest(0, LAST, theirs))
    assert [m for peer, m in node.said() if isinstance(m, Digest)] == []


def test_an_older_epoch_is_answered_and_a_newer_one_requested() -> None:
    node = Node(1)
    node.link(2, 3)
    node.hear(3, Flood((node_advertisement(7, epoch=5), node_advertisement(8, epoch=5))))
    acknowledge_all(node)
    node.hear(2, Digest(7, 8, ((7, 4, bytes(8)), (8, 6, bytes(8))), expects_reply=True))
    said = [message for peer, message in node.said() if peer == 2]
    assert [parse_signed(w)[1].origin for m in said if isinstance(m, Flood) for w in m.advertisements] == [7]
    assert [(m.first, m.last) for m in said if isinstance(m, Digest)] == [(8, 8)]


def test_a_newer_epoch_of_the_node_itself_is_requested_of_one_neighbour_at_a_time() -> None:
    node = Node(1)
    node.link(2, 3, 4)
    list(digests_within(node, 8.0))

    def requested(by: int) -> bool:
        """Whether it is requested of a neighbour that holds it."""
        node.hear(by, Digest(1, 1, ((1, 2, bytes(8)),)))
        return (by, 1, 1) in [(peer, m.first, m.last) for peer, m in node.said() if isinstance(m, Digest)]

    began = node.now
    assert [requested(by) for by in (2, 3, 4)] == [True, False, False]
    node.now = Instant(began + 0.9 * REQUEST_INTERVAL)
    assert not requested(3)
    node.now = Instant(began + REQUEST_INTERVAL)
    assert [requested(by) for by in (3, 4)] == [True, False]


def test_an_origin_outside_of_a_digest_s_range_is_not_compared() -> None:
    node = Node(1)
    node.link_for_long(2, 3)
    node.hear(3, Flood((node_advertisement(9),)))
    acknowledge_all(node)
    node.said()
    node.hear(2, Digest(7, 8, ((9, 2, bytes(8)),), expects_reply=True))
    assert [message for _, message in node.said() if isinstance(message, Digest | Flood)] == []
