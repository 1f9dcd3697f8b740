"""Beacons as bytes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet
from treecast.wire.beacon import (
    BEACON_ETHERTYPE,
    BEACON_GROUP,
    Beacon,
    BeaconState,
    beacon_frame,
    network_hash,
    parse_beacon,
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
