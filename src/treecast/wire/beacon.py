"""Beacons: how the nodes on one LAN see each other, and how a node sees itself where two ways lead to one LAN.

Two untagged Ethernet frames: one to 03:54:43:00:00:01 (a locally administered group: bridges flood it, unlike
01:80:c2:...), EtherType 0x88B5 (IEEE 802 local experimental 1), and for switches that keep that away one of IPv4,
protocol 253 to 224.0.0.254 (RFC 4727: experiments on a link), each with one MessagePack array:

    [body (bin), signature (bin 64)]

``body`` holds the MessagePack array ``[version 2, network hash (bin 8), node index u32, epoch u63, sequence u63,
state 0..2, port + 1: 1..127]``. docs/protocol.md section 11 has which beacons count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from treecast.base.addresses import MacAddress
from treecast.base.errors import MalformedError
from treecast.wire import ethernet, ipv4
from treecast.wire.ethernet import EthernetFrame, EtherType
from treecast.wire.ipv4 import Ipv4Packet
from treecast.wire.one_line import hexadecimal

BEACON_ETHERTYPE = 0x88B5
BEACON_GROUP = MacAddress.parse("03:54:43:00:00:01")
BEACON_GROUP_IPV4 = IPv4Address("224.0.0.254")
PROTOCOL_EXPERIMENT = 253
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
    """A beacon as it came: ``body`` is what ``signature`` is over, ``ethertype`` which of its two copies this is."""

    beacon: Beacon
    body: bytes
    signature: bytes
    ethertype: int = BEACON_ETHERTYPE

    def __str__(self) -> str:
        return str(self.beacon)


_signed_decoder = msgspec.msgpack.Decoder(_Signed)
_decoder = msgspec.msgpack.Decoder(Beacon)


def network_hash(network_id: bytes) -> bytes:
    """The network's name on a LAN: 8 bytes that do not reveal its id."""
    return hashlib.sha256(b"treecast beacon network 1" + network_id).digest()[:8]


def beacon_frame(beacon: Beacon, source: MacAddress, sign: Callable[[bytes], bytes]) -> bytes:
    """The frame that carries a beacon. ``sign``: a body to its signature for BEACON_CONTEXT."""
    body = msgspec.msgpack.encode(beacon)
    payload = msgspec.msgpack.encode(_Signed(body, sign(body)))
    return ethernet.emit(EthernetFrame(BEACON_GROUP, source, BEACON_ETHERTYPE, payload))


def copy_in_ipv4(frame: bytes) -> bytes:
    """The other copy of a beacon's frame."""
    beacon = ethernet.parse(frame)
    packet = Ipv4Packet(
        source=IPv4Address(0),
        destination=BEACON_GROUP_IPV4,
        protocol=PROTOCOL_EXPERIMENT,
        ttl=1,
        payload=beacon.payload,
        type_of_service=ipv4.INTERNETWORK_CONTROL,
    )
    to = ethernet.multicast_mac(BEACON_GROUP_IPV4)
    return ethernet.emit(EthernetFrame(to, beacon.source, EtherType.IPV4, ipv4.emit(packet)))


def is_beacon(frame: EthernetFrame) -> bool:
    """Whether a frame is one of a beacon's copies, by its headers."""
    if frame.ethertype != EtherType.IPV4:
        return frame.ethertype == BEACON_ETHERTYPE
    head = frame.payload[: ipv4.HEADER_BYTES]
    is_experiment = head[9:10] == bytes((PROTOCOL_EXPERIMENT,)) and head[16:] == BEACON_GROUP_IPV4.packed
    return is_experiment and frame.destination == ethernet.multicast_mac(BEACON_GROUP_IPV4)


def parse_beacon_frame(frame: EthernetFrame) -> SignedBeacon:
    """The beacon of either copy, its signature unverified.

    MalformedError ``beacon_malformed``, ``beacon_other_destination``, ``ipv4_*``.
    """
    if frame.ethertype == EtherType.IPV4:
        packet = ipv4.parse(frame.payload)
        if packet.is_fragment:
            raise MalformedError(BEACON_MALFORMED)
        return parse_beacon(packet.payload, EtherType.IPV4)
    if frame.destination != BEACON_GROUP:
        raise MalformedError("beacon_other_destination")
    return parse_beacon(frame.payload)


def parse_beacon(payload: bytes, ethertype: int = BEACON_ETHERTYPE) -> SignedBeacon:
    """A beacon's payload, signature unverified. MalformedError ``beacon_malformed``."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedError(BEACON_MALFORMED)
    try:
        signed = _signed_decoder.decode(payload)
        return SignedBeacon(_decoder.decode(signed.body), signed.body, signed.signature, ethertype)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(BEACON_MALFORMED) from error
