"""Broadcast, one node at a time: what is taken, refused, passed on, repeated and forgotten."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network
from math import inf
from random import Random

import pytest

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant, after
from treecast.base.token_bucket import TokenBucket
from treecast.broadcast.acceptance import EPOCH_AHEAD_MS
from treecast.broadcast.broadcast import Broadcast
from treecast.broadcast.learned import Learned
from treecast.broadcast.news import YOUNG_FOR
from treecast.broadcast.store import NODE_LIFETIME
from treecast.identity.certificate import Certificate, CertificateContent, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import SIGNING_CONTEXT, Body, Kind, NodeContent, Signed, emit, parse_signed
from treecast.wire.control import Acknowledge, ControlMessage, Digest, Flood, Ranges

CA = SigningKey(bytes(range(32)))
NETWORK = Network("test", CA.public, IPv4Network("10.77.0.0/16"), IPv6Network("fd00::/64"), bytes(32))
GROUPS = chunk_key(0)
CLOCK_MS = 1_800_000_000_000
WANTED = GroupsContent((ListedGroup.of((0, IPv4Address("239.1.1.1")), ANY_SOURCE),))


def keys_of(index: int) -> NodeKeys:
    return NodeKeys.from_seeds(bytes([index] * 32), bytes([index + 100] * 32))


def certificate_of(index: int) -> Certificate:
    keys = keys_of(index)
    claims = CertificateContent(
        NETWORK.id,
        NodeIndex(index),
        f"n{index}",
        keys.static.public,
        keys.signing.public,
        IPv4Interface(f"10.77.0.{index}/16"),
        None,
        0,
        10**9,
    )
    return issue(CA, claims)


def verify_certificate(wire: bytes) -> Certificate:
    certificate = Certificate.decode(wire)
    certificate.verify(CA.public, 1000.0)
    return certificate


class Node:
    """A Broadcast with its drops and a clock of its own."""

    def __init__(self, index: int, *, epoch_ms: int = 1) -> None:
        self.index = NodeIndex(index)
        self.drops = Drops()
        self.now = Instant(0.0)
        self.fingerprint = 0
        """The fingerprint as the node's data plane would have it, for tests of that."""
        self.broadcast = Broadcast(
            me=self.index,
            signing_key=keys_of(index).signing,
            epoch_ms=epoch_ms,
            verify_certificate=verify_certificate,
            wall_clock_ms=lambda now: CLOCK_MS + int(1_000 * now),
            ca_public_key=CA.public,
            rng=Random(index),
            drops=self.drops,
        )
        self.broadcast._intake._arrivals._work = TokenBucket.full(1.0, inf, self.now)  # what waits is taken at once
        self.broadcast.announce(self.now, NodeContent.of(certificate_of(index).encode(), ()))

    def link(self, *peers: int) -> None:
        for peer in peers:
            self.broadcast.link_up(self.now, NodeIndex(peer))

    def link_for_long(self, *peers: int) -> None:
        """Links, and the time in which news waits for what their ends list."""
        self.link(*peers)
        self.said()
        self.now = after(self.now, YOUNG_FOR)

    def said(self) -> list[tuple[int, ControlMessage]]:
        return [(int(peer), message) for peer, message in self.broadcast.outgoing(self.now)]

    def floods(self) -> list[tuple[int, bytes]]:
        return [(peer, wire) for peer, m in self.said() if isinstance(m, Flood) for wire in m.advertisements]

    def hear(self, peer: int, message: Flood | Acknowledge | Digest | Ranges) -> list[Learned]:
        learned = self.broadcast.receive(self.now, NodeIndex(peer), message)
        while self.broadcast.waiting:
            learned += self.broadcast.take_waiting(self.now)
        return learned


def advertisement(
    origin: int, sequence: int, kind: int, key: bytes, content: bytes, *, epoch: int = 1, signer: int | None = None
) -> bytes:
    body = emit(Body(origin, epoch, sequence, kind, key, content))
    return emit(Signed(body, keys_of(signer or origin).signing.sign(SIGNING_CONTEXT, body)))


def node_advertisement(origin: int, sequence: int = 1, *, epoch: int = 1) -> bytes:
    return advertisement(
        origin, sequence, Kind.NODE, b"", emit(NodeContent.of(certificate_of(origin).encode(), ())), epoch=epoch
    )


def test_a_new_advertisement_is_learned_acknowledged_and_passed_on_but_not_back() -> None:
    node = Node(1)
    node.link_for_long(2, 3)
    learned = node.hear(2, Flood((node_advertisement(9),)))
    assert [(item.origin, item.kind) for item in learned] == [(9, Kind.NODE)]
    said = node.said()
    assert (2, Acknowledge(((9, 1, 1),))) in said
    assert [peer for peer, m in said if isinstance(m, Flood)] == [3]


def test_a_neighbour_that_the_origin_is_linked_to_is_left_to_the_origin() -> None:
    node = Node(1)
    node.link(2, 3)
    node.hear(2, Flood((node_advertisement(2), advertisement(2, 2, Kind.LINKS, b"\x00", emit_links(1, 3)))))
    node.said()
    node.hear(2, Flood((advertisement(2, 3, Kind.GROUPS, GROUPS, emit(WANTED)),)))
    assert [peer for peer, _ in node.floods() if peer == 3] == []


def emit_links(*peers: int) -> bytes:
    from treecast.wire.advertised_links import LinksContent

    return emit(LinksContent(peers))


def test_links_that_come_in_chunks_are_not_passed_on_to_whom_a_later_chunk_lists() -> None:
    node = Node(1)
    node.link(2, 3, 4)
    node.said()
    node.hear(2, Flood((node_advertisement(2), advertisement(2, 2, Kind.LINKS, b"\x00", emit_links(1, 3)))))
    node.hear(2, Flood((advertisement(2, 3, Kind.LINKS, b"\x01", emit_links(4)),)))
    assert node.floods() == []


def test_what_two_neighbours_send_in_one_turn_goes_back_to_neither() -> None:
    node = Node(1)
    node.link_for_long(2, 3, 4)
    node.hear(2, Flood((node_advertisement(9),)))
    node.hear(3, Flood((node_advertisement(9),)))
    assert [peer for peer, _ in node.floods()] == [4]


def test_a_repeated_advertisement_is_acknowledged_and_nothing_else() -> None:
    node = Node(1)
    node.link(2, 3)
    node.hear(2, Flood((node_advertisement(9),)))
    node.said()
    assert node.hear(2, Flood((node_advertisement(9),))) == []
    assert [(p, m) for p, m in node.said() if isinstance(m, Flood)] == []


def test_an_older_sequence_changes_nothing() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(9), advertisement(9, 5, Kind.GROUPS, GROUPS, emit(WANTED)))))
    assert node.hear(2, Flood((advertisement(9, 4, Kind.GROUPS, GROUPS, b""),))) == []


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"", "advertisement_malformed"),
        (b"\x92\xc4\x00\xc4\x40" + bytes(64), "advertisement_malformed"),
        (advertisement(9, 1, Kind.GROUPS, GROUPS, emit(WANTED)), "advertisement_unknown_origin"),
        (node_advertisement(9)[:-1] + b"\x00", "advertisement_bad_signature"),
        (
            advertisement(8, 1, Kind.NODE, b"", emit(NodeContent.of(certificate_of(9).encode(), ())), signer=9),
            "advertisement_wrong_origin",
        ),
        (advertisement(9, 1, Kind.NODE, b"", emit(NodeContent.of(b"junk", ()))), "certificate_malformed"),
        (
            advertisement(9, 1, Kind.NODE, b"", emit(NodeContent.of(certificate_of(9).encode(), ())), signer=8),
            "advertisement_bad_signature",
        ),
    ],
)
def test_what_is_not_genuine_is_counted_and_not_acknowledged(wire: bytes, reason: str) -> None:
    node = Node(1)
    node.link(2)
    node.said()
    assert node.hear(2, Flood((wire,))) == []
    assert node.drops.snapshot() == {reason: 1}
    assert not [m for _, m in node.said() if isinstance(m, Acknowledge)]


def test_another_node_cannot_speak_for_a_known_origin() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(9),)))
    assert node.hear(2, Flood((advertisement(9, 7, Kind.GROUPS, GROUPS, emit(WANTED), signer=2),))) == []
    assert node.drops.snapshot() == {"advertisement_bad_signature": 1}


def test_a_flood_is_repeated_until_it_is_acknowledged() -> None:
    node = Node(1)
    node.link(2)
    node.said()
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    ((_, wire),) = node.floods()
    node.now = Instant(0.1)
    assert node.floods() == []
    node.now = Instant(0.21)
    assert node.floods() == [(2, wire)]
    _, body = parse_signed(wire)
    node.hear(2, Acknowledge(((1, body.epoch, body.sequence),)))
    node.now = Instant(0.8)
    assert [w for _, w in node.floods() if w == wire] == []


def test_a_newer_version_supersedes_the_one_that_waits() -> None:
    node = Node(1)
    node.link(2)
    node.said()
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, None)
    (wire,) = [w for _, w in node.floods() if parse_signed(w)[1].kind == Kind.GROUPS]
    assert parse_signed(wire)[1].content == b""


def test_publishing_the_same_content_again_says_nothing() -> None:
    node = Node(1)
    node.link(2)
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    node.floods()
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    assert node.floods() == []


def test_an_origin_that_falls_silent_is_forgotten_with_all_it_said() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(9), advertisement(9, 2, Kind.GROUPS, GROUPS, emit(WANTED)))))
    node.now = Instant(NODE_LIFETIME - 0.1)
    assert [item.origin for item in node.broadcast.advance(node.now)] == [1], "its own link, and nothing of another"
    node.now = Instant(NODE_LIFETIME)
    gone = node.broadcast.advance(node.now)
    assert [(item.kind, item.content) for item in gone] == [(Kind.GROUPS, None), (Kind.NODE, None)]


def test_a_newer_epoch_voids_all_of_the_older() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(9), advertisement(9, 2, Kind.GROUPS, GROUPS, emit(WANTED)))))
    learned = node.hear(2, Flood((node_advertisement(9, epoch=2),)))
    assert [(item.kind, item.content is None) for item in learned] == [
        (Kind.GROUPS, True),
        (Kind.NODE, True),
        (Kind.NODE, False),
    ]
    assert node.hear(2, Flood((advertisement(9, 99, Kind.GROUPS, GROUPS, emit(WANTED), epoch=1),))) == []


def test_a_node_that_hears_of_itself_in_a_later_epoch_begins_again_after_it() -> None:
    node = Node(1, epoch_ms=1)
    node.link(2)
    node.broadcast.put(node.now, Kind.GROUPS, GROUPS, WANTED)
    node.floods()
    node.hear(2, Flood((node_advertisement(1, epoch=50),)))
    bodies = [parse_signed(wire)[1] for _, wire in node.floods()]
    assert {(body.kind, body.epoch) for body in bodies} >= {(Kind.NODE, 51), (Kind.GROUPS, 51)}


@pytest.mark.parametrize("origin", [1, 9], ids=["of this node", "of another"])
def test_no_run_begins_more_than_a_day_ahead_of_the_clock(origin: int) -> None:
    """A holder of the key of a node could else begin one after which the node itself can begin none."""
    node = Node(1, epoch_ms=CLOCK_MS)
    node.link(2)
    node.floods()
    for epoch in (CLOCK_MS + EPOCH_AHEAD_MS + 1, 2**63 - 1):
        assert node.hear(2, Flood((node_advertisement(origin, epoch=epoch),))) == []
    assert node.drops.snapshot() == {"advertisement_epoch_ahead": 2}
    node.now = Instant(0.1)
    taken = node.hear(2, Flood((node_advertisement(origin, epoch=CLOCK_MS + EPOCH_AHEAD_MS + 1),)))
    begun = {body.epoch for body in (parse_signed(wire)[1] for _, wire in node.floods()) if body.origin == 1}
    assert (begun, len(taken)) == (({CLOCK_MS + EPOCH_AHEAD_MS + 2}, 0) if origin == 1 else (set(), 1))


def test_a_digest_that_lacks_an_origin_is_answered_with_what_is_held_of_it() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((node_advertisement(9),)))
    node.said()
    node.now = Instant(10.0)
    node.floods()
    node.hear(2, Digest(9, 9, ()))
    assert [parse_signed(wire)[1].origin for _, wire in node.floods()] == [9]


def test_equal_digests_cause_no_flood() -> None:
    one, other = Node(1), Node(2)
    one.link(2)
    other.link(1)
    for _ in range(6):
        one.now = other.now = Instant(one.now + 1.0)
        for source, target in ((one, other), (other, one)):
            source.broadcast.advance(source.now)
            for _, message in source.said():
                if isinstance(message, Flood | Acknowledge | Digest | Ranges):
                    target.hear(source.index, message)
    one.link(2)
    whole = [m for _, m in one.said() if isinstance(m, Digest) and m.last == 0xFFFF_FFFF]
    assert [origin for origin, _, _ in whole[0].origins] == [1, 2]
    other.floods()
    other.hear(1, whole[0])
    assert other.said() == []


def test_a_message_without_a_link_is_counted() -> None:
    node = Node(1)
    assert node.hear(5, Acknowledge(())) == []
    assert node.drops.snapshot() == {"control_without_link": 1}
