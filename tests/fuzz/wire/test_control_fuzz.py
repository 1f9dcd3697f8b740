"""Any bytes give a typed record or a named refusal: control messages, advertisements, handshake and key contexts."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.base.flows import Flow
from treecast.wire.advertised_groups import GroupsContent, ListedGroup
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertised_prefixes import GroupPrefixContent, group_prefix_key, parse_group_prefix_key
from treecast.wire.advertisement import (
    Body,
    Content,
    HostContent,
    Kind,
    ListedEndpoint,
    NodeContent,
    Signed,
    emit,
    host_key,
    parse_content,
    parse_host_key,
    parse_signed,
)
from treecast.wire.control import (
    MAX_CONTROL_BYTES,
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
    TracedTree,
    TraceRequest,
    TreeAcknowledgement,
    TreeQuery,
    TreeRefusal,
    TreeReport,
    emit_control,
    parse_control,
)
from treecast.wire.handshake import HandshakePayload, emit_payload, handshake_type, parse_payload, receiver_index
from treecast.wire.key_context import emit_context, parse_context
from treecast.wire.traced_trees import Place, TracedNode

MESSAGES: list[ControlMessage] = [
    Flood((b"abc", b"")),
    Acknowledge(((1, 2, 3), (4, 5, 6))),
    Digest(0, 9, ((1, 2, b"12345678"),), expects_reply=True),
    Ranges(3, ((3, b"12345678"), (9, b"87654321"))),
    KeyAcknowledgement(1, 2),
    KeyRefusal(1, 2, 3),
    TreeAcknowledgement(1, 2),
    TreeRefusal(1, 2, 3),
    ParentLost(1, 2, 3, 4),
    TreeQuery(1, 2),
    TreeReport(1, 2, 3, True, (4, 5), (Place(1, 2, 3, 4, 1, 5, 6, None, 2, (7, 8)),)),
    TraceRequest(1, b"\xef\x01\x01\x01", b"\x0a\x4d\x00\x01"),
    TracedTree(
        1,
        0,
        1,
        0,
        b"\xef\x01\x01\x01",
        None,
        b"",
        2,
        3,
        4,
        5,
        (6, 7),
        0,
        (TracedNode(8, 1, True, True, Place(1, 2, 3, 0, 0, 5, None, None, 0, ()), (1, 2)),),
    ),
    Goodbye(),
    EncapsulationKey(1, 0, bytes(592)),
    Ciphertext(1, 1, bytes(544)),
]
GROUPS = GroupsContent(
    (
        ListedGroup(0, b"\xef\x01\x01\x01", 1, ()),
        ListedGroup(7, b"\xe8\x01\x01\x01", 2, (b"\x01\x02\x03\x04",)),
        ListedGroup(7, b"\xff\x3e" + bytes(14), 0, (b"\xfd" + bytes(15),)),
    )
)
CONTENTS: list[tuple[Kind, Content]] = [
    (Kind.NODE, NodeContent(b"certificate", (ListedEndpoint(b"\x01\x02\x03\x04", 7700),))),
    (Kind.GROUPS, GROUPS),
    (Kind.HOST, HostContent((b"\x01\x02\x03\x04",), 7)),
    (Kind.LINKS, LinksContent((1, 2, 3))),
    (Kind.LINKS, LinksContent((1, 2), b"\x07\x33", b"\x00\x07", b"\x00\x00")),
    (Kind.GROUP_PREFIX, GroupPrefixContent()),
]
FLOWS = [
    None,
    Flow(0, IPv4Address("239.1.1.1"), None),
    Flow(5, IPv6Address("ff3e::1"), IPv6Address("2001:db8::1")),
    Flow.of_prefix((0, IPv4Network("239.0.0.0/8"))),
    Flow.of_prefix((7, IPv6Network("ff15::/16"))),
]


def content_values(data: bytes) -> None:
    for kind in Kind:
        content = parse_content(kind, data)
        match content:
            case NodeContent():
                content.endpoint_values()
            case GroupsContent():
                assert all(one.key[1].is_multicast and one.source_filter() for one in content.groups)
            case HostContent():
                content.address_values()


PARSERS: list[Callable[[bytes], object]] = [
    parse_control,
    parse_signed,
    parse_payload,
    parse_context,
    parse_host_key,
    parse_group_prefix_key,
    handshake_type,
    receiver_index,
    content_values,
]
VALID = [
    *(emit_control(message) for message in MESSAGES),
    *(emit(content) for _, content in CONTENTS),
    *(emit_context(flow) for flow in FLOWS),
    emit_payload(HandshakePayload(b"c" * 200, 1, 2, 3, 0, 1500, "1.0", link_secret=b"a secret")),
    emit(Signed(emit(Body(1, 2, 3, Kind.GROUPS, b"key", b"content")), bytes(64))),
    group_prefix_key((0, IPv4Network("239.0.0.0/8"))),
    group_prefix_key((7, IPv6Network("ff15::/16"))),
    host_key(0, MacAddress(bytes(6))),
]

mutated = st.builds(
    lambda data, at, bits, cut: (bytes(b ^ bits if i == at % max(1, len(data)) else b for i, b in enumerate(data)))[
        : len(data) - cut
    ],
    st.sampled_from(VALID),
    st.integers(0, 600),
    st.integers(0, 255),
    st.integers(0, 20),
)


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.one_of(st.binary(max_size=200), mutated))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_record_or_refused_by_name(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except MalformedError as error:
        assert error.reason.replace("_", "").isalpha()


@pytest.mark.parametrize("message", MESSAGES)
def test_control_messages_survive_the_wire(
    message: ControlMessage,
) -> None:
    assert parse_control(emit_control(message)) == message


@pytest.mark.parametrize("flow", FLOWS)
def test_key_contexts_survive_the_wire(flow: Flow | None) -> None:
    assert parse_context(emit_context(flow)) == flow


@pytest.mark.parametrize("text", ["224.0.0.0/4", "239.1.2.3/32", "ff00::/8", "ff15::/16"])
def test_prefixes_of_groups_survive_the_wire(text: str) -> None:
    key = (7, ip_network(text))
    assert parse_group_prefix_key(group_prefix_key(key)) == key


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8", "0.0.0.0/0", "224.0.0.0/24", "224.0.0.8/29", "ff02::/16", "ff32::1/128"]
)
def test_prefixes_that_hold_no_routed_groups_are_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="advertisement_malformed"):
        parse_group_prefix_key(group_prefix_key((0, ip_network(text))))
    with pytest.raises(MalformedError, match="key_context_malformed"):
        parse_context(emit_context(Flow.of_prefix((0, ip_network(text)))))


@pytest.mark.parametrize(("kind", "content"), CONTENTS)
def test_contents_survive_the_wire(
    kind: Kind, content: NodeContent | GroupsContent | GroupPrefixContent | HostContent | LinksContent
) -> None:
    assert parse_content(kind, emit(content)) == content


def test_a_message_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(MalformedError, match="control_malformed"):
        parse_control(emit_control(Flood((bytes(1200), bytes(1200)))) + bytes(MAX_CONTROL_BYTES))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(MalformedError):
        parse_control(b"\x91" * 1300)


@pytest.mark.parametrize("lasts", [(), (2,), (9, 9), (9, 5), tuple(range(3, 20))])
def test_sub_ranges_that_do_not_follow_each_other_are_refused(lasts: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError, match="control_malformed"):
        parse_control(emit_control(Ranges(3, tuple((last, bytes(8)) for last in lasts))))
