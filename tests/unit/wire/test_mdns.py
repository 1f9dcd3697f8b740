"""mDNS responses: the addresses that they give names to, and what is refused."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address

import pytest

from treecast.base.errors import MalformedError
from treecast.wire import mdns
from treecast.wire.mdns import NamedAddress

FOUR, SIX = IPv4Address("10.1.0.7"), IPv6Address("fe80::7")
NAME = b"\x03cam\x05local\x00"
GROUP = mdns.GROUPS[0]


def datagram(message: bytes) -> bytes:
    return b"\x14\xe9\x14\xe9" + (8 + len(message)).to_bytes(2, "big") + b"\0\0" + message


def response(*records: bytes, questions: bytes = b"", counts: tuple[int, int, int, int] | None = None) -> bytes:
    counted = counts or (1 if questions else 0, len(records), 0, 0)
    header = b"\0\0\x84\0" + b"".join(count.to_bytes(2, "big") for count in counted)
    return datagram(header + questions + b"".join(records))


def record(name: bytes, kind: int, value: bytes, *, record_class: int = 0x8001, ttl: int = 120) -> bytes:
    fixed = kind.to_bytes(2, "big") + record_class.to_bytes(2, "big") + ttl.to_bytes(4, "big")
    return name + fixed + len(value).to_bytes(2, "big") + value


def test_addresses_come_with_their_names_from_answers_and_additionals() -> None:
    pointer = b"\xc0\x0c"
    service = record(b"\x04_tst\xc0\x10", 12, b"\x01x" + pointer)
    data = response(record(NAME, 1, FOUR.packed), service, record(pointer, 28, SIX.packed), counts=(0, 1, 0, 2))
    assert mdns.is_response(GROUP, 17, data)
    assert mdns.parse(data) == [NamedAddress(b"cam.local", FOUR), NamedAddress(b"cam.local", SIX)]


def test_questions_are_skipped() -> None:
    data = response(record(b"\xc0\x0c", 1, FOUR.packed), questions=NAME + b"\0\x01\0\x01")
    assert mdns.parse(data) == [NamedAddress(b"cam.local", FOUR)]


def test_queries_and_other_groups_and_ports_are_no_responses() -> None:
    data = response()
    assert not mdns.is_response(GROUP, 17, data[:10] + b"\0" + data[11:])
    assert not mdns.is_response(IPv4Address("224.0.0.252"), 17, data)
    assert not mdns.is_response(GROUP, 6, data)
    assert not mdns.is_response(GROUP, 17, b"\x14\xe9\x14\xea" + data[4:])
    assert not mdns.is_response(GROUP, 17, data[:10])


@pytest.mark.parametrize(
    "one",
    [
        record(NAME, 1, FOUR.packed, ttl=0),
        record(NAME, 1, FOUR.packed, record_class=3),
        record(NAME, 1, FOUR.packed[:3]),
        record(NAME, 28, FOUR.packed),
        record(NAME, 16, b"text"),
    ],
    ids=["goodbye", "other class", "short A", "short AAAA", "TXT"],
)
def test_what_names_no_address_is_nothing(one: bytes) -> None:
    assert mdns.parse(response(one)) == []


LONG = b"\x3f" + b"a" * 63


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (response()[:-1], "mdns_bad_length"),
        (datagram(bytes(11)), "mdns_bad_length"),
        (response(counts=(0, 0, 200, 200)), "mdns_too_many_records"),
        (response(counts=(0, 1, 0, 0)), "mdns_truncated"),
        (response(NAME + b"\0\x01"), "mdns_truncated"),
        (response(record(NAME, 1, FOUR.packed)[:-1]), "mdns_truncated"),
        (response(record(b"\x40", 1, FOUR.packed)), "mdns_bad_name"),
        (response(record(b"\xc0\x0c", 1, FOUR.packed)), "mdns_bad_name"),
        (response(record(b"\x01a\xc0\x0c", 1, FOUR.packed)), "mdns_bad_name"),
        (response(record(b"\xc0\x40", 1, FOUR.packed)), "mdns_bad_name"),
        (response(record(b"\xc0\x02", 1, FOUR.packed)), "mdns_bad_name"),
        (response(record(LONG * 4 + b"\0", 1, FOUR.packed)), "mdns_bad_name"),
    ],
    ids=[
        "cut short",
        "no header",
        "many records",
        "no record",
        "cut record",
        "cut value",
        "reserved label",
        "pointer to itself",
        "pointer to its own start",
        "pointer forwards",
        "pointer into the header",
        "long name",
    ],
)
def test_bad_mdns_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError) as refused:
        mdns.parse(data)
    assert refused.value.reason == reason


def test_a_chain_of_pointers_ends() -> None:
    """Each record's name points at the one before: the walk is bounded, not only finite."""
    chain = [record(NAME, 16, b"")]
    at = 12
    for _ in range(mdns.MAX_POINTERS + 1):
        chain.append(record(b"\xc0" + bytes([at]), 16, b""))
        at += len(chain[-2])
    chain.append(record(b"\xc0" + bytes([at]), 1, FOUR.packed))
    with pytest.raises(MalformedError) as refused:
        mdns.parse(response(*chain))
    assert refused.value.reason == "mdns_bad_name"


def test_any_bytes_are_names_or_a_named_error() -> None:
    rng = random.Random(7)
    good = response(record(NAME, 1, FOUR.packed), record(b"\x01x\xc0\x0c", 28, SIX.packed))
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(8, len(data))] = rng.choice((0, 0xC0, 0x0C, 0x40, 0xFF, rng.randrange(256)))
        try:
            found = mdns.parse(bytes(data))
        except MalformedError as error:
            assert error.reason.startswith("mdns_")
        else:
            assert all(len(said.name) <= mdns.MAX_NAME_BYTES for said in found)
