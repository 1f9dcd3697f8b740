"""Advertisements that are older than what is held, that are of no key, or that are too many."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.unit.broadcast.test_broadcast import (
    GROUPS,
    WANTED,
    Node,
    advertisement,
    certificate_of,
    node_advertisement,
)
from treecast.base.counters import QUEUE_FULL_AS_OF, QUEUE_FULL_FORGED
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket
from treecast.broadcast import arrivals, own_advertisements, quotas, store
from treecast.broadcast.bad_signatures import BAD_SIGNATURE
from treecast.broadcast.store import NODE_LIFETIME
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertised_prefixes import GroupPrefixContent
from treecast.wire.advertisement import HostContent, Kind, ListedEndpoint, NodeContent, emit, parse_signed
from treecast.wire.control import Acknowledge, Flood

ORIGIN = 5


def known(node: Node, *wires: bytes) -> int:
    """How much of it is news."""
    return len(node.hear(2, Flood(wires)))


def known_gone(node: Node) -> list[int]:
    """The other nodes that it forgets now."""
    return [learned.origin for learned in node.broadcast.advance(node.now) if learned.content is None]


def linked() -> Node:
    node = Node(1)
    node.link(2)
    return node


def test_an_older_epoch_is_not_learned_again() -> None:
    node = linked()
    assert known(node, node_advertisement(ORIGIN, 1, epoch=7)) == 1
    assert known(node, node_advertisement(ORIGIN, 99, epoch=6)) == 0
    assert known(node, advertisement(ORIGIN, 100, Kind.GROUPS, GROUPS, emit(WANTED), epoch=6)) == 0
    assert known(node, advertisement(ORIGIN, 2, Kind.GROUPS, GROUPS, emit(WANTED), epoch=7)) == 1, "it lives on"


def test_what_was_held_to_its_end_does_not_come_back_but_a_node_that_goes_on_does() -> None:
    node = linked()
    assert known(node, node_advertisement(ORIGIN, 3)) == 1
    node.now = Instant(NODE_LIFETIME)
    assert known_gone(node) == [ORIGIN]
    assert known(node, node_advertisement(ORIGIN, 3), node_advertisement(ORIGIN, 2)) == 0
    assert known(node, node_advertisement(ORIGIN, 4)) == 1


def test_a_node_that_goes_on_is_not_forgotten_when_its_first_advertisement_is_old() -> None:
    node = linked()
    assert known(node, node_advertisement(ORIGIN, 1)) == 1
    node.now = Instant(NODE_LIFETIME / 2)
    assert known(node, node_advertisement(ORIGIN, 2)) == 1
    node.now = Instant(NODE_LIFETIME)
    assert known_gone(node) == []
    node.now = Instant(1.5 * NODE_LIFETIME)
    assert known_gone(node) == [ORIGIN]


MAC, GROUP_MAC = b"\x02\0\0\0\0\7", b"\x03\0\0\0\0\7"
HOST, IPV4 = emit(HostContent((b"\x0a\1\1\1",), 1)), bytes((239, 1, 1, 1))
PREFIX = emit(GroupPrefixContent())


@pytest.mark.parametrize(
    ("what", "kind", "key", "content"),
    [
        ("a long key of LINKS", Kind.LINKS, b"\0\0", b""),
        ("five bytes of a MAC", Kind.HOST, b"\0\0" + MAC[:5], HOST),
        ("the same, withdrawn", Kind.HOST, b"\0\0" + MAC[:5], b""),
        ("seven bytes of a MAC", Kind.HOST, b"\0\0" + MAC + b"\0", HOST),
        ("no key", Kind.HOST, b"", HOST),
        ("a group's MAC", Kind.HOST, b"\0\0" + GROUP_MAC, HOST),
        ("an address of five bytes", Kind.HOST, b"\0\0" + MAC, emit(HostContent((bytes(5),), 1))),
        ("no prefix", Kind.GROUP_PREFIX, b"", PREFIX),
        ("a prefix of no length", Kind.GROUP_PREFIX, b"\0\0", PREFIX),
        ("a prefix longer than its address", Kind.GROUP_PREFIX, b"\0\0\x21" + IPV4, PREFIX),
        ("bits beyond the prefix", Kind.GROUP_PREFIX, b"\0\0\x08" + IPV4, PREFIX),
        ("a prefix of no groups", Kind.GROUP_PREFIX, b"\0\0\x08\x0a\0\0\0", PREFIX),
    ],
)
def test_what_is_malformed_is_counted_and_neither_held_nor_acknowledged_nor_passed_on(
    what: str, kind: Kind, key: bytes, content: bytes
) -> None:
    node = Node(1)
    node.link_for_long(2, 3)
    known(node, node_advertisement(ORIGIN, 1))
    node.said()
    before = node.broadcast.footprint()
    assert known(node, advertisement(ORIGIN, 2, kind, key, content)) == 0, what
    assert node.drops.snapshot() == {"advertisement_malformed": 1}
    assert node.said() == []
    assert node.broadcast.footprint() == before


def test_a_place_of_a_node_that_is_no_address_is_malformed() -> None:
    node = linked()
    content = NodeContent(certificate_of(ORIGIN).encode(), (ListedEndpoint(bytes(5), 7700),))
    assert known(node, advertisement(ORIGIN, 1, Kind.NODE, b"", emit(content))) == 0
    assert node.drops.snapshot() == {"advertisement_malformed": 1}
    assert not node.broadcast.knows(NodeIndex(ORIGIN))


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of one origin: NODE and one more."""
    monkeypatch.setattr(own_advertisements, "MAX_RECORDS_PER_ORIGIN", 2)
    monkeypatch.setattr(quotas, "MAX_RECORDS_PER_ORIGIN", 1)


@pytest.mark.usefixtures("room_for_two")
def test_an_origin_s_records_are_bounded_and_those_that_are_held_may_change() -> None:
    node = linked()
    other = chunk_key(1)
    known(node, node_advertisement(ORIGIN, 1), advertisement(ORIGIN, 2, Kind.GROUPS, GROUPS, emit(WANTED)))
    assert known(node, advertisement(ORIGIN, 3, Kind.GROUPS, other, emit(WANTED))) == 0
    assert node.drops.snapshot() == {"advertisement_over_quota": 1}
    assert known(node, advertisement(ORIGIN, 4, Kind.GROUPS, GROUPS, b"")) == 1


@pytest.mark.usefixtures("room_for_two")
def test_this_node_s_own_records_are_bounded_as_the_others_bound_them() -> None:
    node = linked()
    for last in (1, 2):
        node.broadcast.put(node.now, Kind.GROUPS, chunk_key(last), WANTED)
    assert node.drops.snapshot() == {"advertisement_over_quota": 1}
    assert len(node.floods()) == 1


def test_nodes_are_bounded_and_one_that_is_known_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_ORIGINS", 2)
    node = linked()
    assert known(node, node_advertisement(ORIGIN, 1), node_advertisement(6, 1)) == 1
    assert node.drops.snapshot() == {"advertisement_table_full": 1}
    assert known(node, node_advertisement(ORIGIN, 2)) == known(node, node_advertisement(ORIGIN, 3)) == 1
    assert not node.broadcast.knows(NodeIndex(6))


def test_a_later_epoch_of_this_node_that_another_made_up_changes_nothing() -> None:
    node = linked()
    node.said()
    content = emit(NodeContent.of(certificate_of(1).encode(), ()))
    forged = advertisement(1, 1, Kind.NODE, b"", content, epoch=99, signer=2)
    assert known(node, forged) == 0
    assert node.drops.snapshot() == {"advertisement_bad_signature": 1}
    assert node.floods() == []
    assert known(node, advertisement(1, 1, Kind.NODE, b"", content, epoch=99)) == 0
    assert [parse_signed(wire)[1].epoch for _, wire in node.floods()] == [100], "a genuine one is outdone"


def test_withdrawals_that_all_have_heard_give_their_room_back() -> None:
    node = linked()
    known(node, node_advertisement(ORIGIN, 1))
    for sequence in range(2, 50):
        known(node, advertisement(ORIGIN, sequence, Kind.GROUPS, sequence.to_bytes(2, "big"), b""))
    for number in range(1, 10):
        node.now = Instant(number * NODE_LIFETIME / 2)
        known(node, node_advertisement(ORIGIN, 100 + number))
        node.broadcast.advance(node.now)
    assert node.now > store.WITHDRAWN_LIFETIME
    assert len(list(node.broadcast._store.records_of(NodeIndex(ORIGIN)))) == 1


def test_the_groups_of_an_origin_are_bounded_over_all_its_chunks_the_same_one_in_each_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quotas, "MAX_GROUPS_PER_ORIGIN", 3)
    node = linked()
    listed = [ListedGroup.of((0, IPv4Address("239.1.1.1") + number), ANY_SOURCE) for number in range(3)]

    def chunk(sequence: int, number: int, groups: int) -> bytes:
        content = emit(GroupsContent(tuple(listed[:groups]))) if groups else b""
        return advertisement(ORIGIN, sequence, Kind.GROUPS, chunk_key(number), content)

    assert known(node, node_advertisement(ORIGIN, 1), chunk(2, 0, 2), chunk(3, 1, 1)) == 3
    node.said()
    assert known(node, chunk(4, 2, 1)) == 0
    assert node.drops.snapshot() == {"advertisement_over_quota": 1}
    assert not any(isinstance(message, Acknowledge) for _, message in node.said()), "so that it comes again"
    assert known(node, chunk(5, 1, 0), chunk(4, 2, 1)) == 2, "room that is given back is given"
    assert known(node, chunk(6, 0, 3)) == 0
    assert known(node, chunk(7, 0, 1), chunk(8, 3, 1)) == 2


def test_what_a_chunk_listed_before_goes_with_what_it_lists_now() -> None:
    node = linked()
    known(node, node_advertisement(ORIGIN, 1))
    (first,) = node.hear(2, Flood((advertisement(ORIGIN, 2, Kind.GROUPS, GROUPS, emit(WANTED)),)))
    (gone,) = node.hear(2, Flood((advertisement(ORIGIN, 3, Kind.GROUPS, GROUPS, b""),)))
    assert [(one.before, one.content) for one in (first, gone)] == [(None, WANTED), (WANTED, None)]
    known(node, advertisement(ORIGIN, 4, Kind.GROUPS, GROUPS, emit(WANTED)))
    learned = node.hear(2, Flood((node_advertisement(ORIGIN, 1, epoch=2),)))
    assert (learned[0].kind, learned[0].before) == (Kind.GROUPS, WANTED), "of an epoch that is void"


@pytest.mark.parametrize("signer", [ORIGIN, 2], ids=["genuine", "forged"])
def test_what_a_neighbour_brings_beyond_its_queue_is_noted_of_it_and_of_who_signed_it(
    signer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "LITTLE_WORK", 0)
    monkeypatch.setattr(arrivals, "MAX_WAITING_ADVERTISEMENTS", 2)
    node = linked()
    known(node, node_advertisement(ORIGIN, 1), node_advertisement(6, 1))
    node.broadcast._intake._arrivals._work = TokenBucket.full(1.0, 1.0, node.now)
    wires = [advertisement(ORIGIN, 2 + n, Kind.GROUPS, chunk_key(n), emit(WANTED), signer=signer) for n in range(40)]
    wires += [advertisement(7, 2 + n, Kind.GROUPS, chunk_key(n), emit(WANTED)) for n in range(3)]
    wires.append(advertisement(6, 2, Kind.GROUPS, chunk_key(0), emit(WANTED)))
    for wire in wires:
        node.broadcast.receive(node.now, NodeIndex(2), Flood((wire,)))
    count = node.drops.snapshot()["advertisement_queue_full"]
    assert count > 10
    noted = {(of, reason): amount for of, reason, amount in node.drops.take_refusals()}
    looked_at = (ORIGIN, QUEUE_FULL_AS_OF) if signer == ORIGIN else (2, QUEUE_FULL_FORGED)
    noted.pop((NodeIndex(2), BAD_SIGNATURE), None)  # of one that has found room
    assert noted == {(2, arrivals.QUEUE_FULL): count, looked_at: arrivals.LOOKED_AT_BURST}
