"""Beacons: how the nodes on one LAN see each other, and how a node sees itself where two ways lead to one LAN.

An untagged Ethernet frame to 03:54:43:00:00:01 (a locally administered group: bridges flood it, unlike 01:80:c2:...),
EtherType 0x88B5 (IEEE 802 local experimental 1), with one MessagePack array, then zeros up to the smallest frame:

    [version 1, network id 16 bytes, node id 16 bytes, node index u32, sequence u64, state 0..2, port + 1: 1..127]

``sequence`` grows with every beacon of a node, over its restarts too: it begins at the start's milliseconds since 1970.
The last byte is never zero, so that padding can be cut off.
Beacons are not authenticated, as STP's messages are not: who is on the LAN can stop a node from forwarding there.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet
from treecast.wire.ethernet import EthernetFrame
from treecast.wire.one_line import hexadecimal

BEACON_ETHERTYPE = 0x88B5
BEACON_GROUP = MacAddress.parse("03:54:43:00:00:01")
MIN_PAYLOAD_BYTES = 46  # IEEE 802.3 clause 3.2.8
MAX_PAYLOAD_BYTES = 128
BEACON_MALFORMED = "beacon_malformed"


class BeaconState(IntEnum):
    """The state of the sender's port on this LAN. CAPABLE: it would forward if nobody better did."""

    SILENT = 0
    CAPABLE = 1
    FORWARDING = 2


class Beacon(msgspec.Struct, frozen=True, array_like=True):
    """One beacon. ``port_plus_one``: the sender's port, from 1."""

    version: Literal[1]
    network_id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    node_id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    node_index: Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
    sequence: Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
    state: BeaconState
    port_plus_one: Annotated[int, Meta(ge=1, le=127)]

    def __str__(self) -> str:
        state = self.state.name.lower()
        node = f"n{self.node_index} ({hexadecimal(self.node_id)})"
        return f"beacon of {node} port {self.port} {state} sequence {self.sequence}"

    @property
    def port(self) -> int:
        return self.port_plus_one - 1


_decoder = msgspec.msgpack.Decoder(Beacon)


def beacon_frame(beacon: Beacon, source: MacAddress) -> bytes:
    """The frame that carries a beacon, long enough for Ethernet."""
    payload = msgspec.msgpack.encode(beacon).ljust(MIN_PAYLOAD_BYTES, b"\0")
    return ethernet.emit(EthernetFrame(BEACON_GROUP, source, BEACON_ETHERTYPE, payload))


def parse_beacon(payload: bytes) -> Beacon:
    """A beacon frame's payload, with or without padding. MalformedError ``beacon_malformed``."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedError(BEACON_MALFORMED)
    try:
        return _decoder.decode(payload.rstrip(b"\0"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(BEACON_MALFORMED) from error
