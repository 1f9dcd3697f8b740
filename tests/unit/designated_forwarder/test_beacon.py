"""Beacons as bytes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet
from treecast.wire.beacon import BEACON_ETHERTYPE, BEACON_GROUP, Beacon, BeaconState, beacon_frame, parse_beacon

MAC = MacAddress.parse("02:54:00:00:00:01")
beacons = st.builds(
    Beacon,
    version=st.just(1),
    network_id=st.binary(min_size=16, max_size=16),
    node_id=st.binary(min_size=16, max_size=16),
    node_index=st.integers(1, 2**32 - 1),
    sequence=st.integers(0, 2**63 - 1),
    state=st.sampled_from(BeaconState),
    port_plus_one=st.integers(1, 127),
)


@given(beacons, st.integers(0, 40))
def test_a_beacon_survives_its_frame_and_any_padding(beacon: Beacon, padding: int) -> None:
    frame = ethernet.parse(beacon_frame(beacon, MAC) + bytes(padding))
    assert (frame.destination, frame.source, frame.ethertype) == (BEACON_GROUP, MAC, BEACON_ETHERTYPE)
    assert parse_beacon(frame.payload) == beacon


def test_a_beacons_bytes_are_these() -> None:
    beacon = Beacon(1, b"N" * 16, b"n" * 16, 7, 300, BeaconState.FORWARDING, 1)
    wire = beacon_frame(beacon, MAC)
    assert wire.hex() == (
        "0354430000010254000000018 8b5".replace(" ", "")
        + "9701c410" + "4e" * 16 + "c410" + "6e" * 16 + "07cd012c0201" + "00" * 2
    )  # fmt: skip
    assert len(wire) == 60


@given(st.binary(max_size=200))
def test_any_bytes_are_a_beacon_or_malformed(data: bytes) -> None:
    try:
        parse_beacon(data)
    except MalformedError as error:
        assert error.reason == "beacon_malformed"


@pytest.mark.parametrize(
    "fields",
    [
        [2, b"N" * 16, b"n" * 16, 7, 300, 2, 1],
        [1, b"N" * 15, b"n" * 16, 7, 300, 2, 1],
        [1, b"N" * 16, b"n" * 17, 7, 300, 2, 1],
        [1, b"N" * 16, b"n" * 16, 0, 300, 2, 1],
        [1, b"N" * 16, b"n" * 16, 2**32, 300, 2, 1],
        [1, b"N" * 16, b"n" * 16, 7, -1, 2, 1],
        [1, b"N" * 16, b"n" * 16, 7, 300, 3, 1],
        [1, b"N" * 16, b"n" * 16, 7, 300, 2, 128],
        [1, b"N" * 16, b"n" * 16, 7, 300, 2],
        ["1", b"N" * 16, b"n" * 16, 7, 300, 2, 1],
    ],
)
def test_a_field_out_of_its_range_is_malformed(fields: list[object]) -> None:
    with pytest.raises(MalformedError, match="beacon_malformed"):
        parse_beacon(msgspec.msgpack.encode(fields))


def test_fields_of_a_later_version_are_left_alone() -> None:
    fields = [1, b"N" * 16, b"n" * 16, 7, 300, 2, 1]
    assert parse_beacon(msgspec.msgpack.encode([*fields, 9, "new"])) == parse_beacon(msgspec.msgpack.encode(fields))
