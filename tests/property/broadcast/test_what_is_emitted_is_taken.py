"""The parser takes all that a node of a network of up to 5,000 emits, and so does a node that receives it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from random import Random

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.unit.broadcast.test_broadcast import CA, NETWORK, Node
from tests.unit.identity.samples import LONGEST
from treecast.base.addresses import Endpoint, is_unicast
from treecast.base.counters import Drops
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.base.timers import Timers
from treecast.broadcast.flooding import Neighbour
from treecast.broadcast.own_groups import MAX_LISTED_BYTES, OwnGroups
from treecast.identity.certificate import Certificate, CertificateContent, Extension, issue
from treecast.identity.keys import NodeKeys
from treecast.wire.advertised_groups import MAX_SOURCES, GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertised_prefixes import GroupPrefixContent, group_prefix_key, parse_group_prefix_key
from treecast.wire.advertisement import (
    SIGNING_CONTEXT,
    Body,
    Content,
    Kind,
    NodeContent,
    Signed,
    emit,
    parse_content,
    parse_signed,
)
from treecast.wire.control import (
    MAX_RANGES,
    Acknowledge,
    ControlMessage,
    Digest,
    Flood,
    Ranges,
    emit_control,
    parse_control,
)
from treecast.wire.handshake import (
    MAX_VERSION_CHARACTERS,
    HandshakePayload,
    Refusal,
    emit_payload,
    parse_payload,
    parse_refusal,
)
from treecast.wire.key_context import emit_context, parse_context

relaxed = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Cores are shared."""

MOST_NODES = 5_000
LAST_CHUNK = 0xFFFF
LAST_U32, LAST_U64 = 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF
MAX_PAYLOAD_BYTES = 1136 - 12 - 32 - 48 - 16 - 16 - 2
"""The payload that RESPONSE leaves: header, ephemeral key, sealed static key, tag, MAC (docs/protocol.md section 3)."""

u32 = st.integers(0, LAST_U32)
u64 = st.integers(0, LAST_U64)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
groups = st.one_of(st.ip_addresses(network="224.0.0.0/4"), st.ip_addresses(network="ff00::/8"))
endpoints = st.builds(Endpoint, addresses, st.integers(0, 0xFFFF))


def as_heard(message: ControlMessage) -> ControlMessage:
    """The message after its way over the wire."""
    return parse_control(emit_control(message))


def a_listener(node: Node) -> Node:
    """Another node, which knows nothing yet and is linked to this one."""
    listener = Node(2)
    listener.link(node.index)
    return listener


def hear_all(listener: Node, node: Node) -> set[int]:
    """All that the node has for its neighbour 2, which holds nothing of it; returns the links that this learns of."""
    links: set[int] = set()
    node.hear(listener.index, Digest(0, LAST_U32, ()))
    for peer, message in node.broadcast.outgoing(node.now):
        heard = as_heard(message)
        if peer == listener.index and isinstance(heard, Flood | Acknowledge | Digest):
            for learned in listener.hear(node.index, heard):
                links |= set(learned.content.peers) if isinstance(learned.content, LinksContent) else set()
    return links


@example(links=201, first=3)
@given(links=st.integers(1, MOST_NODES), first=st.sampled_from([3, 120, 60_000, LAST_U32 - MOST_NODES]))
@settings(relaxed, max_examples=5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_links_of_any_number_are_taken_by_a_neighbour(links: int, first: int) -> None:
    node = Node(1)
    others = [*range(first, first + links - 1)]
    node.link(2)
    for peer in others:
        node.broadcast.link_up(node.now, NodeIndex(peer))
    node.now = Instant(1.0)
    node.broadcast.advance(node.now)
    listener = a_listener(node)
    assert hear_all(listener, node) == {2, *others}
    assert listener.drops.snapshot() == {}


def test_202_nodes_are_no_cliff() -> None:
    node = Node(1)
    node.link(*range(2, 203))
    node.now = Instant(1.0)
    node.broadcast.advance(node.now)
    listener = a_listener(node)
    assert len(hear_all(listener, node)) == 201


def test_a_link_that_comes_or_goes_changes_one_advertisement_of_links() -> None:
    node = Node(1)
    node.link(*range(2, 1002))
    node.now = Instant(1.0)
    node.broadcast.advance(node.now)
    listener = a_listener(node)
    hear_all(listener, node)
    for change in (node.broadcast.link_down, node.broadcast.link_up):
        change(node.now, NodeIndex(500))
        node.now = Instant(node.now + 0.5)
        node.broadcast.advance(node.now)
        bodies = {parse_signed(wire)[1] for peer, wire in node.floods() if peer == 2}
        newest = max(body.sequence for body in bodies)
        assert {body.key for body in bodies if body.kind == Kind.LINKS and body.sequence == newest} == {b"\x03"}


def test_digests_of_5000_origins_are_taken_by_a_neighbour() -> None:
    node = Node(1)
    node.link(2)
    for index in range(1_000, 1_000 + MOST_NODES):
        node.hear(2, Flood((_node_of(index),)))
    node.broadcast.outgoing(node.now)
    everything_differs = Ranges(0, tuple((1_000 + 350 * (n + 1), bytes(8)) for n in range(MAX_RANGES)))
    node.hear(2, everything_differs)
    heard = [as_heard(message) for _, message in node.broadcast.outgoing(node.now)]
    assert sum(len(message.origins) for message in heard if isinstance(message, Digest)) == MOST_NODES + 1


def test_ranges_of_5000_origins_are_taken_by_a_neighbour() -> None:
    node = Node(1)
    node.link(2)
    for index in range(1_000, 1_000 + MOST_NODES):
        node.hear(2, Flood((_node_of(index),)))
    node.broadcast.outgoing(node.now)
    node.now = Instant(10.0)
    node.link(2)
    (ranges,) = [m for _, m in node.broadcast.outgoing(node.now) if isinstance(m, Ranges)]
    assert as_heard(ranges) == ranges


_KEYS = NodeKeys.from_seeds(bytes(32), bytes([1] * 32))


def _node_of(index: int) -> bytes:
    """A NODE advertisement of a member; all have the same keys here."""
    claims = CertificateContent(
        NETWORK.id, NodeIndex(index), f"n{index}", _KEYS.static.public, _KEYS.signing.public, None, None, 0, 10**9
    )
    body = emit(Body(index, 1, 1, Kind.NODE, b"", emit(NodeContent.of(issue(CA, claims).encode(), ()))))
    return emit(Signed(body, _KEYS.signing.sign(SIGNING_CONTEXT, body)))


def check_advertisement(kind: Kind, key: bytes, content: Content, origin: int, epoch: int, sequence: int) -> None:
    body = emit(Body(origin, epoch, sequence, kind, key, emit(content)))
    wire = emit(Signed(body, bytes(64)))
    heard = as_heard(Flood((wire,)))
    assert isinstance(heard, Flood)
    _, parsed = parse_signed(heard.advertisements[0])
    assert (parsed.kind, parsed.key, parse_content(kind, parsed.content)) == (kind, key, content)


def filters(version: int) -> st.SearchStrategy[SourceFilter]:
    sources = (st.ip_addresses(v=4) if version == 4 else st.ip_addresses(v=6)).filter(is_unicast)
    return st.builds(SourceFilter, st.sampled_from(FilterMode), st.frozensets(sources, max_size=MAX_SOURCES))


@relaxed
@given(
    wanted=groups.flatmap(lambda group: st.tuples(st.just(group), filters(group.version))),
    vlan=st.integers(0, 4095),
    numbers=st.tuples(u32, u64, u64),
)
def test_groups_are_taken(
    wanted: tuple[IPv4Address | IPv6Address, SourceFilter], vlan: int, numbers: tuple[int, int, int]
) -> None:
    group, source_filter = wanted
    listed = ListedGroup.of((vlan, group), source_filter)
    check_advertisement(Kind.GROUPS, chunk_key(LAST_CHUNK), GroupsContent((listed,)), *numbers)
    assert (listed.key, listed.source_filter()) == ((vlan, group), source_filter)


def test_the_longest_group_is_taken() -> None:
    sources = frozenset(IPv6Address(2**127 - 1 - number) for number in range(MAX_SOURCES))
    listed = ListedGroup.of((4095, IPv6Address("ff3e::1")), SourceFilter(FilterMode.EXCLUDE, sources))
    assert len(emit(listed)) <= MAX_LISTED_BYTES
    check_advertisement(Kind.GROUPS, chunk_key(7), GroupsContent((listed,)), LAST_U32, LAST_U64, LAST_U64)


@given(first=st.sampled_from(["239.1.0.0", "ff3e::1:0"]), vlan=st.sampled_from([0, 1, 200, 4095]))
@settings(relaxed)
def test_a_chunk_that_is_full_is_taken(first: str, vlan: int) -> None:
    groups = OwnGroups(Drops())
    for number in range(300):
        groups.put((vlan, ip_address(first) + number), ANY_SOURCE)
    for key, content in groups.take_changed(Instant(0.0)):
        assert content is not None
        check_advertisement(Kind.GROUPS, key, content, LAST_U32, LAST_U64, LAST_U64)


@relaxed
@given(
    prefix=st.sampled_from(["224.0.0.0/4", "239.1.2.3/32", "ff00::/8", "ff15::/16"]), numbers=st.tuples(u32, u64, u64)
)
def test_prefixes_of_groups_are_taken(prefix: str, numbers: tuple[int, int, int]) -> None:
    key = (4095, ip_network(prefix))
    check_advertisement(Kind.GROUP_PREFIX, group_prefix_key(key), GroupPrefixContent(), *numbers)
    assert parse_group_prefix_key(group_prefix_key(key)) == key
    assert parse_context(emit_context(Flow.of_prefix(key))) == Flow.of_prefix(key)


@relaxed
@given(items=st.lists(st.tuples(u32, u64, u64), max_size=200))
def test_acknowledgements_are_taken(items: list[tuple[int, int, int]]) -> None:
    neighbour = Neighbour(NodeIndex(2), Timers(), Random(1), Drops(), Instant(0.0))
    neighbour.acknowledgements += items
    heard = [as_heard(message) for message in neighbour.messages(Instant(0.0))]
    assert [item for message in heard if isinstance(message, Acknowledge) for item in message.items] == items


@relaxed
@given(epoch=u64, clock=u64, mtu=st.integers(1280, 9000), refused=st.integers(0, 255), aead=st.sampled_from([1, 2]))
def test_handshake_payloads_fit_their_datagrams_and_are_taken(
    epoch: int, clock: int, mtu: int, refused: int, aead: int
) -> None:
    version = "9" * MAX_VERSION_CHARACTERS
    certificate, most = longest_certificate(441), 2**63 - 1
    payload = HandshakePayload(
        certificate, aead, epoch, clock, refused, mtu, version, capabilities=most, link_secret=bytes(8)
    )
    assert parse_payload(emit_payload(payload)) == payload
    assert len(emit_payload(payload)) <= MAX_PAYLOAD_BYTES
    refusal = Refusal(max(refused, 1), clock)
    assert parse_refusal(emit_payload(refusal)) == refusal


def longest_certificate(extra_bytes: int = 0) -> bytes:
    """The longest without prefixes; or one with an extension of so many bytes."""
    claims = replace(
        LONGEST,
        network_id=NETWORK.id,
        static_key=_KEYS.static.public,
        signing_key=_KEYS.signing.public,
        extensions=(Extension(0, False, bytes(extra_bytes)),) if extra_bytes else (),
    )
    wire = issue(CA, claims).encode()
    assert Certificate.decode(wire).name == LONGEST.name
    return wire
