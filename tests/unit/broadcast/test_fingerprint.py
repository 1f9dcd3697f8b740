"""The fingerprint of a database: the same for the same knowledge, however and whenever a node came by it."""

from __future__ import annotations

from random import Random

from tests.unit.broadcast.test_broadcast import GROUPS, WANTED, Node, advertisement, node_advertisement
from tests.unit.broadcast.test_ca_records import revocation
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.wire.advertised_groups import chunk_key
from treecast.wire.advertisement import Kind, emit, parse_signed
from treecast.wire.control import Flood

KNOWN = (
    node_advertisement(7),
    advertisement(7, 2, Kind.GROUPS, GROUPS, emit(WANTED)),
    advertisement(7, 3, Kind.GROUPS, chunk_key(1), emit(WANTED)),
    node_advertisement(8, epoch=4),
    advertisement(8, 2, Kind.GROUPS, GROUPS, emit(WANTED), epoch=4),
    revocation(),
)


def listener(*wires: bytes) -> Node:
    """A node that publishes nothing itself and has heard these."""
    node = Node(1)
    node.link(2)
    hear(node, *wires)
    return node


def hear(node: Node, *wires: bytes) -> None:
    for wire in wires:
        node.hear(2, Flood((wire,)))


def fingerprint(node: Node) -> int:
    """The fingerprint as the data plane has it."""
    taken = node.broadcast.take_fingerprint()
    if taken is not None:
        node.fingerprint = int.from_bytes(taken, "big")
    return node.fingerprint


def test_it_does_not_depend_on_the_order_and_each_record_counts() -> None:
    whole = fingerprint(listener(*KNOWN))
    shuffled = [*KNOWN]
    for seed in range(10):
        Random(seed).shuffle(shuffled)
        assert fingerprint(listener(*shuffled, *KNOWN)) == whole
    for missing in KNOWN:
        assert fingerprint(listener(*(wire for wire in KNOWN if wire != missing))) != whole


def test_it_is_told_to_the_data_plane_when_it_has_changed_only() -> None:
    node = listener(KNOWN[0])
    assert node.broadcast.take_fingerprint() is not None
    assert node.broadcast.take_fingerprint() is None
    hear(node, node_advertisement(7, 9))
    assert node.broadcast.take_fingerprint() is None, "NODE that is repeated is no change"
    hear(node, KNOWN[1])
    assert node.broadcast.take_fingerprint() is not None


def test_a_withdrawal_counts_as_what_was_never_there_before_and_after_it_is_forgotten() -> None:
    never = fingerprint(listener(KNOWN[0]))
    node = listener(*KNOWN[:2])
    assert fingerprint(node) != never
    hear(node, advertisement(7, 3, Kind.GROUPS, GROUPS, b""))
    assert fingerprint(node) == never
    node.now = Instant(WITHDRAWN_LIFETIME / 2)
    hear(node, node_advertisement(7, 4))
    node.now = Instant(WITHDRAWN_LIFETIME)
    node.broadcast._store.forget_withdrawn(node.now)
    assert fingerprint(node) == never


def test_it_forgets_an_origin_that_ends_and_distinguishes_epochs() -> None:
    without = fingerprint(listener(*KNOWN[:3]))
    node = listener(*KNOWN[:3], *KNOWN[3:5])
    assert fingerprint(node) != without
    node.broadcast.revoke(NodeIndex(8))
    assert fingerprint(node) == without
    assert fingerprint(listener(node_advertisement(7))) != fingerprint(listener(node_advertisement(7, epoch=2)))
    hear(node, node_advertisement(7, epoch=2))
    assert fingerprint(node) == fingerprint(listener(node_advertisement(7, epoch=2)))


def test_of_two_records_with_one_sequence_all_nodes_hold_the_same() -> None:
    two = (KNOWN[1], advertisement(7, 2, Kind.GROUPS, GROUPS, b""))
    one, other = listener(KNOWN[0], *two), listener(KNOWN[0], *reversed(two))
    assert fingerprint(one) == fingerprint(other)
    assert one.broadcast.contents(NodeIndex(7), Kind.GROUPS) == other.broadcast.contents(NodeIndex(7), Kind.GROUPS)


def test_it_is_over_what_is_signed_and_not_over_what_others_put_around_it() -> None:
    signed, _ = parse_signed(KNOWN[1])
    assert emit(signed) == KNOWN[1]
    padded = bytes((0x93,)) + KNOWN[1][1:] + b"\xc0"
    assert parse_signed(padded)[0] == signed
    assert fingerprint(listener(KNOWN[0], padded)) == fingerprint(listener(*KNOWN[:2]))
