"""Records of the CA at one node: believed if the CA signed them, passed on to all, kept for good."""

from __future__ import annotations

import pytest

from tests.unit.broadcast.test_broadcast import CA, Node, certificate_of, keys_of, node_advertisement
from treecast.adapters.ca_records import sign_revocation
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast import ca_records
from treecast.broadcast.ca_records import FORGER_PAUSE, MAX_FORGED_RECORDS
from treecast.identity.certificate import Certificate
from treecast.identity.revocation import CERTIFICATE_REVOKED
from treecast.wire.advertisement import Body, Kind, Signed, emit
from treecast.wire.control import Acknowledge, Digest, Flood
from treecast.wire.revocation import CA_ORIGIN, CA_SIGNING_CONTEXT

REVOKED = 9


def revocation(node: int = REVOKED, serial: int = 5) -> bytes:
    return sign_revocation(CA, NodeIndex(node), serial, f"n{node}")


def forged(serial: int) -> bytes:
    return sign_revocation(keys_of(3).signing, NodeIndex(REVOKED), serial, "n9")


def test_a_revocation_goes_to_all_other_neighbours_whatever_is_listed_and_is_learned_once() -> None:
    node = Node(1)
    node.link(2, 3, 4)
    node.hear(2, Flood((node_advertisement(2), links_of(2, 3, 4))))
    for peer in (3, 4):
        node.hear(peer, Flood((node_advertisement(peer), links_of(peer, 2))))
    node.said()
    assert [(one.origin, one.kind) for one in node.hear(2, Flood((revocation(),)))] == [(CA_ORIGIN, Kind.REVOCATION)]
    said = node.said()
    assert (2, Acknowledge(((0, 0, 5),))) in said
    assert [peer for peer, message in said if isinstance(message, Flood)] == [3, 4]
    assert node.hear(3, Flood((revocation(), revocation(serial=4)))) == []
    assert [message for peer, message in node.said() if peer == 3] == [Acknowledge(((0, 0, 5), (0, 0, 4)))]
    assert len(node.hear(3, Flood((revocation(serial=6),)))) == 1


def links_of(origin: int, *peers: int) -> bytes:
    body = emit(Body(origin, 1, 7, Kind.LINKS, b"\0", bytes((0x91, 0x90 + len(peers), *peers))))
    return emit(Signed(body, keys_of(origin).signing.sign(b"treecast advertisement 1", body)))


def test_it_outlives_the_origins_and_is_what_a_digest_lists() -> None:
    node = Node(1)
    node.link(2)
    node.hear(2, Flood((revocation(),)))
    node.now = Instant(1e6)
    node.broadcast.advance(node.now)
    node.link(3)
    assert node.broadcast.ca_records.all() == (revocation(),)
    digests = [message for _, message in node.said() if isinstance(message, Digest)]
    assert [origin for digest in digests for origin, _, _ in digest.origins if origin == 0]
    node.hear(2, Digest(0, 0xFFFF_FFFF, ()))
    assert (2, revocation()) in node.floods()


def test_it_is_sent_before_all_that_waits_for_a_neighbour() -> None:
    node = Node(1)
    node.link(2, 3)
    node.hear(2, Flood(tuple(node_advertisement(origin) for origin in range(4, 8))))
    node.hear(2, Flood((revocation(),)))
    assert next(wire for peer, wire in node.floods() if peer == 3) == revocation()


def test_of_a_neighbour_that_makes_some_up_none_is_looked_at_for_a_while_and_of_others_all_are() -> None:
    node = Node(1)
    node.link(2, 3)
    node.hear(3, Flood(tuple(forged(serial) for serial in range(1, 20))))
    drops = node.drops.snapshot()
    assert drops["advertisement_bad_signature"] == MAX_FORGED_RECORDS
    assert drops["ca_record_rate"] == 19 - MAX_FORGED_RECORDS
    assert node.hear(3, Flood((revocation(),))) == []
    assert node.hear(2, Flood((revocation(),))) != []
    node.now = Instant(FORGER_PAUSE)
    assert node.hear(3, Flood((revocation(serial=8),))) != []


def test_no_more_than_the_table_holds_but_newer_ones_of_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca_records, "MAX_CA_RECORDS", 2)
    node = Node(1)
    node.link(2)
    assert len(node.hear(2, Flood((revocation(7, 1), revocation(8, 2), revocation(9, 3))))) == 2
    assert node.drops.snapshot() == {"advertisement_table_full": 1}
    assert len(node.hear(2, Flood((revocation(7, 4),)))) == 1


def test_kinds_of_later_versions_are_held_and_passed_on() -> None:
    body = emit(Body(0, 0, 1, 77, b"policy", b"whatever"))
    wire = emit(Signed(body, CA.sign(CA_SIGNING_CONTEXT, body)))
    node = Node(1)
    node.link(2, 3)
    node.said()
    node.hear(2, Flood((wire,)))
    assert node.floods() == [(3, wire)]


def test_the_ca_is_no_node_among_those_known() -> None:
    node = Node(1)
    node.broadcast.ca_records.put(node.now, revocation())
    assert [use.used for use in node.broadcast.tables() if use.what == "nodes known"] == [1]
    assert node.broadcast.ca_records.put(node.now, revocation()) == []
    with pytest.raises(MalformedError, match="advertisement_bad_signature"):
        node.broadcast.ca_records.put(node.now, forged(9))


def test_whoever_tells_of_a_revoked_node_gets_its_revocation(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(1)
    node.link(2)
    node.said()

    def refuse(_: bytes) -> Certificate:
        raise MalformedError(CERTIFICATE_REVOKED)

    node.broadcast.ca_records.put(node.now, revocation())
    node.said()
    node.hear(2, Acknowledge(((0, 0, 5),)))  # and has forgotten it since
    monkeypatch.setattr(node.broadcast._intake._acceptance, "_verify_certificate", refuse)
    assert node.hear(2, Flood((node_advertisement(REVOKED),))) == []
    assert node.floods() == [(2, revocation())]
    assert certificate_of(REVOKED).serial <= 5
