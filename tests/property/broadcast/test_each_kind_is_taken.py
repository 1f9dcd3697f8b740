"""A node takes each kind of message and of record as another emits it; no kind is without such a property."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from math import inf
from random import Random
from string import ascii_lowercase, digits
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.broadcast.test_what_is_emitted_is_taken import (
    LAST_U32,
    addresses,
    as_heard,
    endpoints,
    filters,
    groups,
    longest_certificate,
    relaxed,
    u32,
    u64,
)
from tests.property.broadcast.traces import TRACE_REQUESTS, TRACED_TREES, TREE_REPORTS
from tests.unit.broadcast.test_broadcast import CA, Node
from treecast.adapters.ca_records import sign_revocation
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.counters import Drops
from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_ADDRESSES_PER_HOST, MAX_CERTIFICATE_BYTES
from treecast.base.membership import NO_SOURCE, SourceFilter
from treecast.base.relaying import Relaying
from treecast.base.time import Instant
from treecast.base.timers import Timers
from treecast.broadcast.digests import Digests
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.own_groups import OwnGroups
from treecast.broadcast.own_links import CHANGE_INTERVAL, OwnLinks
from treecast.broadcast.pace import full_pace
from treecast.broadcast.store import Origin, Record, Store
from treecast.links.exchange import in_halves
from treecast.wire.advertised_links import NOT_MEASURED, LinksContent
from treecast.wire.advertised_prefixes import GroupPrefixContent, group_prefix_key
from treecast.wire.advertisement import (
    MAX_ENDPOINTS,
    OF_THE_CA,
    Body,
    Content,
    HostContent,
    Kind,
    NodeContent,
    Signed,
    emit,
    host_key,
    is_key_of,
    parse_content,
    parse_signed,
)
from treecast.wire.ca_record import emit_revocation, parse_ca_record
from treecast.wire.control import (
    MAX_ADVERTISEMENT_BYTES,
    MAX_RANGES,
    Acknowledge,
    Ciphertext,
    ControlMessage,
    Digest,
    EncapsulationKey,
    Flood,
    Goodbye,
    KeyAcknowledgement,
    KeyRefusal,
    ParentLost,
    Ranges,
    StreamEnd,
    TracedTree,
    TraceRequest,
    TreeAcknowledgement,
    TreeQuery,
    TreeRefusal,
    TreeReport,
)
from treecast.wire.revocation import CA_ORIGIN, RevocationContent

START = Instant(100.0)
ML_KEM_KEY_BYTES, ML_KEM_CIPHERTEXT_BYTES = 1184, 1088
Messages = st.SearchStrategy[list[ControlMessage]]
Bodies = st.SearchStrategy[list[bytes]]

u16 = st.integers(0, 0xFFFF)
versions = st.tuples(u32, u64, u64)
vlans = st.integers(0, 4095)
names = st.text(ascii_lowercase + digits + "-", min_size=1, max_size=63)


def neighbour() -> Neighbour:
    return Neighbour(NodeIndex(2), Timers(), Random(1), Drops(), START)


def floods(sizes: list[int]) -> list[ControlMessage]:
    own = neighbour()
    for number, size in enumerate(sizes):
        own.offer(START, Record(NodeIndex(number), 1, 1, Kind.NODE, b"", b"content", bytes(size), 0))
    return [*own.messages(START)]


def acknowledgements(items: list[tuple[int, int, int]]) -> list[ControlMessage]:
    own = neighbour()
    for origin, epoch, sequence in items:
        own.acknowledge(START, (origin, epoch, sequence))
    return [*own.messages(START)]


def digests_of(epochs: Mapping[int, int]) -> Digests:
    store = Store()
    for index, epoch in epochs.items():
        store.begin(NodeIndex(index), Origin(epoch, bytes(32), Instant(inf), full_pace(START)))
    return Digests(store)


def digests(epochs: dict[int, int]) -> list[ControlMessage]:
    """The answers to a neighbour that holds something else everywhere."""
    step = LAST_U32 // MAX_RANGES
    return [*digests_of(epochs).finer(Ranges(0, tuple((step * n, b"whatever") for n in range(1, MAX_RANGES + 1))))]


def halves(kind: Callable[[int, int, bytes], ControlMessage], length: int) -> Messages:
    return st.builds(
        lambda exchange, seed: [
            kind(exchange, half, part) for half, part in enumerate(in_halves(Random(seed).randbytes(length)))
        ],
        u32,
        u32,
    )


def one(message: st.SearchStrategy[ControlMessage]) -> Messages:
    return message.map(lambda own: [own])


MESSAGES: dict[type[ControlMessage], Messages] = {
    Flood: st.lists(st.integers(80, MAX_ADVERTISEMENT_BYTES), min_size=1, max_size=40).map(floods),
    Acknowledge: st.lists(versions, min_size=1, max_size=200).map(acknowledgements),
    Digest: st.dictionaries(st.integers(1, LAST_U32), u64, max_size=100).map(digests),
    Ranges: st.dictionaries(st.integers(1, LAST_U32), u64, min_size=17, max_size=50).map(
        lambda epochs: [digests_of(epochs).whole()]
    ),
    KeyAcknowledgement: one(st.builds(KeyAcknowledgement, u32, u32)),
    KeyRefusal: one(st.builds(KeyRefusal, u32, u32, u16)),
    TreeAcknowledgement: one(st.builds(TreeAcknowledgement, u32, u32)),
    TreeRefusal: one(st.builds(TreeRefusal, u32, u32, u16)),
    StreamEnd: one(st.builds(StreamEnd, u32)),
    TreeQuery: one(st.builds(TreeQuery, u32, u32)),
    TreeReport: one(TREE_REPORTS),
    TraceRequest: one(TRACE_REQUESTS),
    TracedTree: TRACED_TREES,
    ParentLost: one(st.builds(ParentLost, u32, u32, u32, u16)),
    Goodbye: one(st.just(Goodbye())),
    EncapsulationKey: halves(EncapsulationKey, ML_KEM_KEY_BYTES),
    Ciphertext: halves(Ciphertext, ML_KEM_CIPHERTEXT_BYTES),
}


def body(kind: Kind, key: bytes, content: Content, version: tuple[int, int, int]) -> bytes:
    return emit(Body(*version, kind, key, emit(content)))


@cache
def certificate(extra_bytes: int) -> bytes:
    return longest_certificate(extra_bytes)


def node(
    extra_bytes: int, places: list[Endpoint], start: int, lives: tuple[bytes, bytes], version: tuple[int, int, int]
) -> list[bytes]:
    """All numbers are the greatest."""
    most = 2**63 - 1
    short = NodeContent.of(
        certificate(extra_bytes), tuple(places), relaying=Relaying(uplink_bps=10**11, max_children=256)
    )
    assert len(short.endpoints) == min(len(places), MAX_ENDPOINTS)
    content = NodeContent(
        short.certificate, short.endpoints, lives[0], start, lives[1], 9000, 255, 255, most, most, 255, 0xFFFF
    )
    return [body(Kind.NODE, b"", content, version)]


def wanted(version: int) -> st.SearchStrategy[SourceFilter]:
    return filters(version).filter(lambda own: own != NO_SOURCE)


def chunks_of_groups(
    listed: list[tuple[int, tuple[IPv4Address | IPv6Address, SourceFilter]]], version: tuple[int, int, int]
) -> list[bytes]:
    own = OwnGroups(Drops())
    for vlan, (group, source_filter) in listed:
        own.put((vlan, group), source_filter)
    changed = own.take_changed(START)
    return [body(Kind.GROUPS, key, content, version) for key, content in changed if content is not None]


def host(
    own: list[IPv4Address | IPv6Address], mac: MacAddress, number: int, is_router: bool, version: tuple[int, int, int]
) -> list[bytes]:
    content = HostContent.of(tuple(address.packed for address in own), number, is_router=is_router)
    return [body(Kind.HOST, host_key(7, mac), content, version)]


def measured_links(first: int, count: int, random: Random) -> list[tuple[bytes, LinksContent]]:
    """All chunks of so many links, each with a round trip and a loss of its own."""
    links, peers = OwnLinks(), [NodeIndex(first + number) for number in range(count)]
    for peer in peers:
        assert links.add(peer)
        rtt_ms = 10 ** random.uniform(-2.0, 5.0)
        for lost in range(random.choice((1, 3, 20, 200))):
            links.measure(START, SessionReport(1, peer, 60.0, 0.0, rtt_ms, 0, 0.0, lost, least_rtt_ms=rtt_ms))
    now = START
    while links.settle(now := Instant(now + CHANGE_INTERVAL)):
        pass
    return [(key, content) for key, content in links.take_changed() if content is not None]


def links(first: int, count: int, seed: int, version: tuple[int, int, int]) -> list[bytes]:
    return [body(Kind.LINKS, key, content, version) for key, content in measured_links(first, count, Random(seed))]


MACS = st.binary(min_size=6, max_size=6).map(lambda raw: MacAddress(bytes((raw[0] & 0xFE,)) + raw[1:]))
PREFIXES = st.sampled_from(["224.0.0.0/4", "239.1.2.3/32", "ff00::/8", "ff15::/16"])
FIRST_PEERS = st.sampled_from([3, 120, 60_000, LAST_U32 - 5_000])

RECORDS: dict[Kind, Bodies] = {
    Kind.NODE: st.builds(
        node,
        st.sampled_from([0, 441]),
        st.lists(endpoints, max_size=40),
        u64,
        st.tuples(st.binary(min_size=8, max_size=8), st.sampled_from([b"", bytes(8)])),
        versions,
    ),
    Kind.GROUPS: st.builds(
        chunks_of_groups,
        st.lists(
            st.tuples(vlans, groups.flatmap(lambda own: st.tuples(st.just(own), wanted(own.version)))),
            min_size=1,
            max_size=10,
        ),
        versions,
    ),
    Kind.HOST: st.builds(
        host, st.lists(addresses, max_size=MAX_ADDRESSES_PER_HOST, unique=True), MACS, u32, st.booleans(), versions
    ),
    Kind.LINKS: st.builds(links, FIRST_PEERS, st.integers(1, 400), u32, versions),
    Kind.GROUP_PREFIX: st.builds(
        lambda vlan, prefix, version: [
            body(Kind.GROUP_PREFIX, group_prefix_key((vlan, ip_network(prefix))), GroupPrefixContent(), version)
        ],
        vlans,
        PREFIXES,
        versions,
    ),
    Kind.REVOCATION: st.builds(
        lambda index, serial, name: [emit_revocation(NodeIndex(index), serial, name)],
        st.integers(1, LAST_U32),
        u64,
        names,
    ),
}


def test_the_longest_certificate_is_as_long_as_one_may_be() -> None:
    assert len(certificate(441)) == MAX_CERTIFICATE_BYTES


def test_no_kind_of_message_or_record_is_without_a_property() -> None:
    assert MESSAGES.keys() == set(get_args(ControlMessage))
    assert RECORDS.keys() == set(Kind)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(relaxed, max_examples=15)
def test_messages_of_each_kind_are_taken(kind: type[ControlMessage], data: st.DataObject) -> None:
    messages = data.draw(MESSAGES[kind])
    assert {type(message) for message in messages} == {kind}
    assert [as_heard(message) for message in messages] == messages


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
@settings(relaxed, max_examples=15)
def test_records_of_each_kind_are_taken(kind: Kind, data: st.DataObject) -> None:
    bodies = data.draw(RECORDS[kind])
    assert bodies
    for emitted in bodies:
        flood = as_heard(Flood((emit(Signed(emitted, bytes(64))),)))
        assert isinstance(flood, Flood)
        signed, heard = parse_signed(flood.advertisements[0])
        content = parse_content(heard.kind, heard.content)
        assert (signed.body, heard.kind) == (emitted, kind)
        assert content is not None and emit(content) == heard.content
        assert is_key_of(kind, heard.key) and " malformed " not in str(heard)
        assert kind not in OF_THE_CA or parse_ca_record(heard) == content


@given(first=FIRST_PEERS, count=st.integers(1, 400), seed=u32)
@settings(relaxed, max_examples=10)
def test_links_are_advertised_as_they_are_measured(first: int, count: int, seed: int) -> None:
    chunks = measured_links(first, count, Random(seed))
    taken = [parse_content(Kind.LINKS, emit(content)) for _, content in chunks]
    assert taken == [content for _, content in chunks]
    found = [link for content in taken if isinstance(content, LinksContent) for link in content.links()]
    assert [peer for peer, _, _ in found] == [*range(first, first + count)]
    assert all(rtt != NOT_MEASURED for _, rtt, _ in found)


@given(index=st.integers(3, LAST_U32), serial=u64, name=names)
@settings(relaxed, max_examples=8)
def test_a_revocation_that_the_ca_signed_is_taken_by_a_neighbour(index: int, serial: int, name: str) -> None:
    listener = Node(1)
    listener.link(2)
    (learned,) = listener.hear(2, Flood((sign_revocation(CA, NodeIndex(index), serial, name),)))
    assert (learned.origin, learned.content) == (CA_ORIGIN, RevocationContent(serial, name))
    assert listener.drops.snapshot() == {}
