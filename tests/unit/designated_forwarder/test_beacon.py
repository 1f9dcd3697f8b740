"""Beacons as bytes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, ipv4
from treecast.wire.beacon import (
    BEACON_ETHERTYPE,
    BEACON_GROUP,
    Beacon,
    BeaconState,
    beacon_frame,
    copy_in_ipv4,
    is_beacon,
    network_hash,
    parse_beacon,
    parse_beacon_frame,
)

MAC = MacAddress.parse("02:54:00:00:00:01")
beacons = st.builds(
    Beacon,
    version=st.just(2),
    network=st.binary(min_size=8, max_size=8),
    node_index=st.integers(1, 2**32 - 1),
    epoch=st.integers(0, 2**63 - 1),
    sequence=st.integers(0, 2**63 - 1),
    state=st.sampled_from(BeaconState),
    port_plus_one=st.integers(1, 127),
)
FIELDS: list[object] = [2, b"N" * 8, 7, 1, 300, 2, 1]


def payload(fields: list[object], *more: object) -> bytes:
    return msgspec.msgpack.encode([msgspec.msgpack.encode(fields), bytes(64), *more])


@given(beacons, st.binary(min_size=64, max_size=64))
def test_a_beacon_survives_its_frame(beacon: Beacon, signature: bytes) -> None:
    frame = ethernet.parse(beacon_frame(beacon, MAC, lambda _: signature))
    assert (frame.destination, frame.source, frame.ethertype) == (BEACON_GROUP, MAC, BEACON_ETHERTYPE)
    signed = parse_beacon(frame.payload)
    assert (signed.beacon, signed.signature) == (beacon, signature)
    assert signed.body == msgspec.msgpack.encode(beacon)


def test_a_beacons_bytes_are_these() -> None:
    beacon = Beacon(2, b"N" * 8, 7, 1, 300, BeaconState.FORWARDING, 1)
    wire = beacon_frame(beacon, MAC, lambda _: b"s" * 64)
    body = "9702c408" + "4e" * 8 + "0701cd012c0201"
    assert wire.hex() == "0354430000010254000000018" + "8b5" + "92c413" + body + "c440" + "73" * 64


def test_its_copy_in_ipv4_has_these_bytes_and_says_the_same() -> None:
    frame = beacon_frame(Beacon(2, b"N" * 8, 7, 1, 300, BeaconState.FORWARDING, 1), MAC, lambda _: b"s" * 64)
    copy = copy_in_ipv4(frame)
    head = "01005e0000fe025400000001" + "0800" + "45c0006c00000000" + "01fdd6d7" + "00000000" + "e00000fe"
    assert copy.hex() == head + frame[14:].hex()
    one, other = (parse_beacon_frame(ethernet.parse(wire)) for wire in (frame, copy))
    assert (one.body, one.signature) == (other.body, other.signature)
    assert (one.ethertype, other.ethertype) == (BEACON_ETHERTYPE, 0x0800)


def test_frames_of_beacons_are_told_from_others_by_their_headers() -> None:
    frame = beacon_frame(Beacon(2, b"N" * 8, 7, 1, 300, BeaconState.FORWARDING, 1), MAC, lambda _: b"s" * 64)
    copy = copy_in_ipv4(frame)
    assert is_beacon(ethernet.parse(frame)) and is_beacon(ethernet.parse(copy))
    for at, value in ((5, 0xFD), (12, 0x86), (23, 252), (33, 253)):  # MAC, EtherType, protocol, group
        other = bytearray(copy)
        other[at] = value
        assert not is_beacon(ethernet.parse(bytes(other)))
    assert not is_beacon(ethernet.parse(copy[:30]))


def test_part_of_a_copy_is_malformed() -> None:
    beacon = beacon_frame(Beacon(2, b"N" * 8, 7, 1, 300, BeaconState.SILENT, 1), MAC, lambda _: b"s" * 64)
    copy = ethernet.parse(copy_in_ipv4(beacon))
    part = ipv4.emit(replace(ipv4.parse(copy.payload), more_fragments=True))
    with pytest.raises(MalformedError, match="beacon_malformed"):
        parse_beacon_frame(replace(copy, payload=part))


def test_a_network_is_named_by_a_hash() -> None:
    assert network_hash(b"N" * 16).hex() == "f7c1bcbef136b46a"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_beacon_or_malformed(data: bytes) -> None:
    for one in (data, msgspec.msgpack.encode([data, bytes(64)])):
        try:
            parse_beacon(one)
        except MalformedError as error:
            assert error.reason == "beacon_malformed"


@pytest.mark.parametrize(
    "fields",
    [
        [1, *FIELDS[1:]],
        [2, b"N" * 7, 7, 1, 300, 2, 1],
        [2, b"N" * 8, 0, 1, 300, 2, 1],
        [2, b"N" * 8, 2**32, 1, 300, 2, 1],
        [2, b"N" * 8, 7, -1, 300, 2, 1],
        [2, b"N" * 8, 7, 1, -1, 2, 1],
        [2, b"N" * 8, 7, 1, 300, 3, 1],
        [2, b"N" * 8, 7, 1, 300, 2, 128],
        FIELDS[:-1],
        ["2", *FIELDS[1:]],
    ],
)
def test_a_field_out_of_its_range_is_malformed(fields: list[object]) -> None:
    with pytest.raises(MalformedError, match="beacon_malformed"):
        parse_beacon(payload(fields))


def test_fields_of_a_later_version_are_left_alone() -> None:
    later = parse_beacon(payload([*FIELDS, 9, "new"], "more"))
    assert later.beacon == parse_beacon(payload(FIELDS)).beacon
