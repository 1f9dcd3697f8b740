"""Advertisements as bytes: the test vectors of docs/protocol.md section 7, and what is no chunk of groups."""

from __future__ import annotations

import json
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from treecast.adapters.ca_records import read_revocation, sign_revocation
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.identity.keys import SigningKey
from treecast.wire.advertised_groups import MAX_GROUPS_BYTES, GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import (
    SIGNING_CONTEXT,
    Body,
    Kind,
    ListedEndpoint,
    NodeContent,
    Signed,
    emit,
    parse_content,
    parse_node,
    parse_signed,
)
from treecast.wire.ca_record import parse_ca_record
from treecast.wire.revocation import RevocationContent

VECTORS = json.loads((Path(__file__).parents[3] / "docs" / "vectors-advertisements.json").read_text())
REVOKED = emit(RevocationContent(3, "gw2"))
V4, V6 = b"\xef\x01\x01\x01", b"\xff\x3e" + bytes(13) + b"\x01"


def test_a_chunk_of_groups_is_the_test_vector() -> None:
    vector = VECTORS["groups"]
    listed = []
    for one in vector["listed"]:
        sources = frozenset(map(ip_address, one["sources"]))
        wanted = SourceFilter(FilterMode.EXCLUDE if one["exclude"] else FilterMode.INCLUDE, sources)
        entry = ListedGroup.of((one["vlan"], ip_address(one["group"])), wanted)
        listed.append(entry.as_moved() if one["moved"] else entry)
    content = emit(GroupsContent(tuple(listed)))
    assert content.hex() == vector["content"]
    body = emit(
        Body(vector["origin"], vector["epoch"], vector["sequence"], Kind.GROUPS, chunk_key(vector["chunk"]), content)
    )
    signing_key = SigningKey(bytes.fromhex(vector["signing_private_key"]))
    wire = emit(Signed(body, signing_key.sign(SIGNING_CONTEXT, body)))
    assert wire.hex() == vector["advertisement"]
    assert parse_content(Kind.GROUPS, parse_signed(wire)[1].content) == GroupsContent(tuple(listed))


@pytest.mark.parametrize(
    ("what", "listed"),
    [
        ("one twice", [ListedGroup(0, V4, 1, ()), ListedGroup(0, V4, 0, (b"\x0a\0\0\1",))]),
        ("in another order", [ListedGroup(0, V6, 1, ()), ListedGroup(0, V4, 1, ())]),
        ("a host's address", [ListedGroup(0, b"\x0a\0\0\1", 1, ())]),
        ("an IPv6 host's address", [ListedGroup(0, b"\xfe\x80" + bytes(14), 1, ())]),
        ("neither IPv4 nor IPv6", [ListedGroup(0, b"\xef\x01\x01\x01\x01", 1, ())]),
        ("a source of the other family", [ListedGroup(0, V4, 0, (b"\xfd" + bytes(15),))]),
        ("an IPv4 source of an IPv6 group", [ListedGroup(0, V6, 0, (b"\x0a\0\0\1",))]),
        ("a group as source", [ListedGroup(0, V4, 0, (V4,))]),
        ("an IPv6 group as source", [ListedGroup(0, V6, 0, (V6,))]),
        ("no source as source", [ListedGroup(0, V4, 0, (bytes(4),))]),
        ("no IPv6 source as source", [ListedGroup(0, V6, 1, (bytes(16),))]),
        ("everybody as source", [ListedGroup(0, V4, 0, (b"\xff" * 4,))]),
        ("flags of more than 8 bits", [ListedGroup(0, V4, 256, ())]),
        ("too many sources", [ListedGroup(0, V4, 0, tuple(bytes((10, 0, 0, last)) for last in range(57)))]),
        ("nothing", []),
        ("too much", [ListedGroup(vlan, V4, 1, ()) for vlan in range(MAX_GROUPS_BYTES // 10)]),
    ],
)
def test_what_is_no_chunk_of_groups_is_refused(what: str, listed: list[ListedGroup]) -> None:
    with pytest.raises(MalformedError, match="advertisement_malformed"):
        parse_content(Kind.GROUPS, emit(GroupsContent(tuple(listed))))


@pytest.mark.parametrize("size", [5, 15])
def test_an_endpoint_of_a_node_that_is_no_address_is_malformed(size: int) -> None:
    content = emit(NodeContent(b"certificate", (ListedEndpoint(V4, 7700), ListedEndpoint(bytes(size), 7700))))
    for parse in (parse_node, partial(parse_content, Kind.NODE)):
        with pytest.raises(MalformedError, match="advertisement_malformed"):
            parse(content)


def test_sources_of_a_group_are_listed_in_order_so_that_what_is_wanted_has_one_form() -> None:
    sources = [ip_address("10.0.0.9"), ip_address("10.0.0.1")]
    entry = ListedGroup.of((0, ip_address("239.1.1.1")), SourceFilter(FilterMode.INCLUDE, frozenset(sources)))
    assert entry.sources == (b"\x0a\0\0\1", b"\x0a\0\0\x09")
    assert ListedGroup.of((0, ip_address("239.1.1.1")), ANY_SOURCE).sources == ()


def test_a_revocation_is_the_test_vector() -> None:
    vector = VECTORS["revocation"]
    ca_key = SigningKey(bytes.fromhex(vector["ca_private_key"]))
    wire = sign_revocation(ca_key, NodeIndex(vector["node"]), vector["serial"], vector["name"])
    assert wire.hex() == vector["advertisement"]
    body = parse_signed(wire)[1]
    assert (body.origin, body.epoch, body.sequence, body.kind) == (0, 0, vector["serial"], Kind.REVOCATION)
    assert body.key.hex() == vector["key"]
    assert read_revocation(wire, ca_key.public) == (7, RevocationContent(3, "gw2"))


@pytest.mark.parametrize(
    ("what", "body", "reason"),
    [
        ("of a node", Body(7, 0, 3, Kind.REVOCATION, b"\0\0\0\7", REVOKED), "advertisement_wrong_origin"),
        ("a kind of nodes", Body(0, 0, 3, Kind.HOST, b"\0" * 8, b"\x90"), "advertisement_wrong_origin"),
        ("of another epoch", Body(0, 1, 3, Kind.REVOCATION, b"\0\0\0\7", REVOKED), "advertisement_malformed"),
        ("withdrawn", Body(0, 0, 3, Kind.REVOCATION, b"\0\0\0\7", b""), "advertisement_malformed"),
        ("of no node", Body(0, 0, 3, Kind.REVOCATION, bytes(4), REVOKED), "advertisement_malformed"),
        ("a short key", Body(0, 0, 3, Kind.REVOCATION, b"\7", REVOKED), "advertisement_malformed"),
        ("another sequence", Body(0, 0, 4, Kind.REVOCATION, b"\0\0\0\7", REVOKED), "advertisement_malformed"),
    ],
)
def test_what_the_ca_would_not_say_is_refused(what: str, body: Body, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        parse_ca_record(body)


def test_a_record_of_the_ca_of_a_later_version_is_not_interpreted() -> None:
    assert parse_ca_record(Body(0, 0, 3, 77, b"policy", b"whatever")) is None
