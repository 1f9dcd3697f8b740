"""Beacons: how the nodes on one LAN see each other, and how a node sees itself where two ways lead to one LAN.

An untagged Ethernet frame to 03:54:43:00:00:01 (a locally administered group: bridges flood it, unlike 01:80:c2:...),
EtherType 0x88B5 (IEEE 802 local experimental 1), with one MessagePack array:

    [body (bin), signature (bin 64)]

``body`` holds the MessagePack array ``[version 2, network hash (bin 8), node index u32, epoch u63, sequence u63,
state 0..2, port + 1: 1..127]``. docs/protocol.md section 11 has which beacons count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
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
MAX_PAYLOAD_BYTES = 256
BEACON_CONTEXT = b"treecast beacon 1"
"""The context of beacons' signatures."""
BEACON_MALFORMED = "beacon_malformed"


class BeaconState(IntEnum):
    """The state of the sender's port on this LAN. CAPABLE: it would forward if nobody better did."""

    SILENT = 0
    CAPABLE = 1
    FORWARDING = 2


class Beacon(msgspec.Struct, frozen=True, array_like=True):
    """One beacon's body. ``epoch``: the sender's, as in its advertisements; ``port_plus_one``: its port, from 1."""

    version: Literal[2]
    network: Annotated[bytes, Meta(min_length=8, max_length=8)]
    node_index: Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
    epoch: Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
    sequence: Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
    state: BeaconState
    port_plus_one: Annotated[int, Meta(ge=1, le=127)]

    def __str__(self) -> str:
        state = self.state.name.lower()
        return f"beacon of n{self.node_index} port {self.port} {state} epoch {self.epoch} sequence {self.sequence}"

    @property
    def port(self) -> int:
        return self.port_plus_one - 1


class _Signed(msgspec.Struct, frozen=True, array_like=True):
    body: Annotated[bytes, Meta(max_length=MAX_PAYLOAD_BYTES)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    def __str__(self) -> str:
        return f"signed beacon {hexadecimal(self.body)}"


@dataclass(frozen=True, slots=True)
class SignedBeacon:
    """A beacon as it came: ``body`` is what ``signature`` is over."""

    beacon: Beacon
    body: bytes
    signature: bytes

    def __str__(self) -> str:
        return str(self.beacon)


_signed_decoder = msgspec.msgpack.Decoder(_Signed)
_decoder = msgspec.msgpack.Decoder(Beacon)


def network_hash(network_id: bytes) -> bytes:
    """The network's name on a LAN: 8 bytes that do not say its id."""
    return hashlib.sha256(b"treecast beacon network 1" + network_id).digest()[:8]


def beacon_frame(beacon: Beacon, source: MacAddress, sign: Callable[[bytes], bytes]) -> bytes:
    """The frame that carries a beacon. ``sign``: a body to its signature for BEACON_CONTEXT."""
    body = msgspec.msgpack.encode(beacon)
    payload = msgspec.msgpack.encode(_Signed(body, sign(body)))
    return ethernet.emit(EthernetFrame(BEACON_GROUP, source, BEACON_ETHERTYPE, payload))


def parse_beacon(payload: bytes) -> SignedBeacon:
    """A beacon frame's payload, signature unverified. MalformedError ``beacon_malformed``."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedError(BEACON_MALFORMED)
    try:
        signed = _signed_decoder.decode(payload)
        return SignedBeacon(_decoder.decode(signed.body), signed.body, signed.signature)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(BEACON_MALFORMED) from error
