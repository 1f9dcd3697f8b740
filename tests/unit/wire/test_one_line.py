"""Every record of ``wire`` prints itself in one readable line."""

from __future__ import annotations

import enum
import importlib
import pkgutil
import re
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from treecast import wire
from treecast.base.addresses import Endpoint, IPAddress, MacAddress
from treecast.base.membership import ANY_SOURCE
from treecast.wire.advertised_groups import GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertisement import Body, HostContent, Kind, NodeContent, Signed, emit, host_key
from treecast.wire.arp import ArpOperation, ArpPacket
from treecast.wire.control import Acknowledge, Ciphertext, Digest, EncapsulationKey, Flood, Ranges
from treecast.wire.ethernet import VlanTag
from treecast.wire.group_membership import (
    GroupRecord,
    LeaveGroup,
    MembershipQuery,
    MembershipReport,
    OlderReport,
    ReceivedMessage,
    RecordType,
)
from treecast.wire.handshake import HandshakePayload, Refusal
from treecast.wire.one_line import MAX_LINE
from treecast.wire.pim import PimGroup, PimJoinPrune, PimSource

LONGEST = {
    IPv4Address: IPv4Address("255.255.255.255"),
    IPv6Address: IPv6Address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"),
    MacAddress: MacAddress(b"\xff" * 6),
    bool: True,
    float: 86_399.123456789,
    str: 'x"\n\x1b[2J' * 200,
    VlanTag: VlanTag(4095, 7, True),
}
KINDS = {
    Body: ["kind", *(kind.name for kind in Kind)],
    LeaveGroup: ["leave", "done"],
    ReceivedMessage: ["report", "query", "leave", "done"],
}
"""The words for a kind, where they are not those of the record's name."""


def records() -> Iterator[type]:
    """Every dataclass and msgspec structure that a module of ``wire`` defines, but bases of others."""
    for module in pkgutil.iter_modules(wire.__path__):
        for found in vars(importlib.import_module(f"treecast.wire.{module.name}")).values():
            own = isinstance(found, type) and found.__module__ == f"treecast.wire.{module.name}"
            if own and (is_dataclass(found) or issubclass(found, msgspec.Struct)) and not found.__subclasses__():
                yield found


RECORDS = sorted(set(records()), key=lambda record: (record.__module__, record.__qualname__))


def sample(hint: Any, items: int) -> Any:
    """A value of a type: as long as it may be where ``items`` is large, and as short where it is 0."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], {k: v for meta in arguments[1:] for k, v in _limits(meta)}, items)
    if origin in (Union, types.UnionType):
        return sample(arguments[0] if items == 0 and type(None) not in arguments else arguments[-1], items)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(sample(arguments[0], items) for _ in range(items))
        return tuple(sample(one, items) for one in arguments)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return max(hint, key=lambda member: len(member.name))
    if hint in LONGEST:
        return "" if hint is str and not items else LONGEST[hint]
    if hint is int:
        return 4095 if items else 0
    if hint is bytes:
        return b"\xff'\n" * items
    if hint is type(None):
        return None
    assert hint in RECORDS or is_dataclass(hint), hint
    return instance(hint, items)


def _limits(meta: Any) -> Iterator[tuple[str, Any]]:
    for name in ("ge", "le", "min_length", "max_length", "pattern"):
        if getattr(meta, name, None) is not None:
            yield name, getattr(meta, name)


def _bounded(base: Any, limits: dict[str, Any], items: int) -> Any:
    if base is int:
        return limits["le"] if items else limits["ge"]
    if base is bytes:
        return b"\xff" * (limits["max_length"] if items else limits.get("min_length", 0))
    if base is str:
        return "9" * (limits["max_length"] if items else 0)
    return sample(base, min(items, limits["max_length"]))


def instance(record: type, items: int) -> Any:
    if record in LONGEST and items:
        return LONGEST[record]
    hints = get_type_hints(record, include_extras=True)
    names = [one.name for one in fields(record)] if is_dataclass(record) else record.__struct_fields__  # type: ignore[attr-defined]
    return record(**{name: sample(hints[name], items) for name in names})


@pytest.mark.parametrize("items", [0, 1, 2, 40])
@pytest.mark.parametrize(
    "record", RECORDS, ids=lambda record: f"{record.__module__.rpartition('.')[2]}.{record.__name__}"
)
def test_every_record_is_one_short_line_that_names_its_kind(record: type, items: int) -> None:
    printed = str(instance(record, items))
    assert printed.isprintable() and 0 < len(printed) <= MAX_LINE, printed
    assert not re.search(r"\bb['\"]|<|object at|[A-Za-z]+\([a-z_]+=", printed), printed
    words = KINDS.get(record, re.findall(r"[A-Z][a-z0-9]*", record.__name__))
    assert any(word.lower() in printed.lower() for word in words), (words, printed)


def test_there_are_as_many_records_as_the_package_has() -> None:
    assert len(RECORDS) >= 40


G4, G6 = IPv4Address("239.1.2.3"), IPv6Address("ff15::1")
S4: IPAddress = IPv4Address("10.0.0.1")
M1, M2 = MacAddress.parse("02:00:00:00:00:01"), MacAddress.parse("02:00:00:00:00:02")
MANY = tuple(IPv4Address("10.0.0.1") + n for n in range(40))


def body(kind: Kind, key: bytes, content: bytes) -> Body:
    return Body(7, 3, 12, kind, key, content)


@pytest.mark.parametrize(
    ("record", "printed"),
    [
        (
            MembershipReport((GroupRecord(RecordType.MODE_IS_INCLUDE, G4, (S4,)),)),
            "IGMPv3 report 239.1.2.3 INCLUDE{10.0.0.1}",
        ),
        (MembershipReport((GroupRecord(RecordType.CHANGE_TO_EXCLUDE_MODE, G6),)), "MLDv2 report ff15::1 TO_EXCLUDE{}"),
        (
            MembershipReport((GroupRecord(RecordType.ALLOW_NEW_SOURCES, G4, MANY),)),
            "IGMPv3 report 239.1.2.3 ALLOW{10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6 and 34 more}",
        ),
        (MembershipQuery(3, IPv4Address(0), 10.0, False, 2, 125), "IGMPv3 general query, response within 10 s"),
        (MembershipQuery(1, G6, 1.0), "MLDv1 query ff15::1, response within 1 s"),
        (MembershipQuery(3, G4, 1.0, sources=(S4,)), "IGMPv3 query 239.1.2.3 of {10.0.0.1}, response within 1 s"),
        (OlderReport(2, G4), "IGMPv2 report 239.1.2.3"),
        (LeaveGroup(G4), "IGMPv2 leave 239.1.2.3"),
        (LeaveGroup(G6), "MLDv1 done ff15::1"),
        (
            ReceivedMessage(OlderReport(2, G4), M1, S4, G4, 7),
            "IGMPv2 report 239.1.2.3 from 10.0.0.1 (02:00:00:00:00:01) to 239.1.2.3 vlan 7",
        ),
        (
            PimJoinPrune(S4, S4 + 1, 210.0, (PimGroup(G4, 32, (PimSource(S4 + 8, True, True),), (PimSource(S4),)),)),
            "PIM join/prune from 10.0.0.1 to 10.0.0.2 for 210 s: 239.1.2.3 join (*) by RP 10.0.0.9 prune 10.0.0.1",
        ),
        (
            ArpPacket(ArpOperation.REQUEST, M1, IPv4Address("10.0.0.1"), M2, IPv4Address("10.0.0.2")),
            "ARP request for 10.0.0.2 from 10.0.0.1 (02:00:00:00:00:01)",
        ),
        (
            body(Kind.NODE, b"", emit(NodeContent.of(b"c" * 200, (Endpoint.parse("198.18.0.1:7700"),)))),
            "NODE n7 epoch 3 seq 12 at 198.18.0.1:7700, MTU 1500, certificate of 200 bytes",
        ),
        (
            body(Kind.GROUPS, chunk_key(258), emit(GroupsContent((ListedGroup.of((7, G4), ANY_SOURCE),)))),
            "GROUPS n7 epoch 3 seq 12 chunk 258 239.1.2.3 vlan 7 EXCLUDE{}",
        ),
        (ListedGroup.of((0, G4), ANY_SOURCE).as_moved(), "group 239.1.2.3 EXCLUDE{} moved"),
        (body(Kind.GROUPS, chunk_key(0), b""), "GROUPS n7 epoch 3 seq 12 chunk 0 withdrawn"),
        (
            body(Kind.HOST, host_key(0, M1), emit(HostContent.of((S4.packed,), 4, is_router=True))),
            "HOST n7 epoch 3 seq 12 02:00:00:00:00:01 sequence 4 at 10.0.0.1, router",
        ),
        (body(Kind.LINKS, b"\1", emit(LinksContent((1, 2)))), "LINKS n7 epoch 3 seq 12 chunk 1 to n1, n2"),
        (body(Kind.HOST, b"?", b"?"), "HOST n7 epoch 3 seq 12 malformed key 3f malformed content of 1 byte"),
        (
            Signed(emit(body(Kind.GROUPS, chunk_key(0), b"")), bytes(64)),
            "signed GROUPS n7 epoch 3 seq 12 chunk 0 withdrawn",
        ),
        (Flood((b"x" * 600, b"y" * 424)), "FLOOD of 2 advertisements, 1,024 bytes"),
        (Acknowledge(((7, 3, 12),)), "ACKNOWLEDGE n7 epoch 3 seq 12"),
        (Digest(0, 9, ((7, 3, bytes(8)),)), "DIGEST of n0 to n9: n7 epoch 3 hash 0000000000000000"),
        (Digest(7, 7, (), expects_reply=True), "DIGEST of n7 to n7, expects a reply: nothing"),
        (Ranges(0, ((9, bytes(8)), (70, bytes(8)))), "RANGES from n0: to n9 0000000000000000, to n70 0000000000000000"),
        (
            HandshakePayload(b"c" * 200, 1, 5, 6, 0, 1500, "0.1"),
            "handshake payload: epoch 5, clock 6 ms, AEAD 1, MTU 1500, version 0.1, protocol 2 to 2, "
            "certificate of 200 bytes",
        ),
        (EncapsulationKey(7, 1, bytes(592)), "ENCAPSULATION KEY half 1 of exchange 7"),
        (Ciphertext(7, 0, bytes(544)), "CIPHERTEXT half 0 of exchange 7"),
        (Refusal(4, 6), "refusal: CERTIFICATE_EXPIRED, clock 6 ms"),
        (Refusal(99, 6), "refusal: reason 99, clock 6 ms"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_says_what_a_record_says(record: object, printed: str) -> None:
    assert str(record) == printed
