"""Looks at what crossed the wire: is any of the stream readable, and who got datagrams of a group's tree?"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TS_PACKET_BYTES = 188
SYNC_BYTES_IN_A_ROW = 6
"""Six at their places by chance: once in 2^48 bytes of ciphertext."""

_PLAINTEXT = re.compile(
    b"\x47" + b"".join(b".{%d}\x47" % (TS_PACKET_BYTES - 1) for _ in range(SYNC_BYTES_IN_A_ROW - 1)), re.DOTALL
)
TREE_DATAGRAM = 0xC5
SESSION_DATAGRAM = 0xC4
BROADCAST_STREAM = 0
BIG_DATAGRAM_BYTES = 1200
_MAGIC_MICROSECONDS = 0xA1B2C3D4


@dataclass(frozen=True, slots=True)
class WireFacts:
    """UDP payloads in a capture: large ones may be several datagrams that the kernel put together."""

    packets: int
    payload_bytes: int
    plaintext_packets: int
    group_packets: int
    """Tree datagrams of a group's tree, and session datagrams large enough to carry a frame of the stream."""


def packets(path: Path) -> Iterator[bytes]:
    """The frames of a pcap file (libpcap's classic format, Ethernet); ValueError for another format."""
    with path.open("rb") as file:
        header = file.read(24)
        if len(header) < 24 or struct.unpack_from("<I", header)[0] != _MAGIC_MICROSECONDS:
            raise ValueError(f"{path} is no pcap file of this machine")
        while len(record := file.read(16)) == 16:
            yield file.read(struct.unpack_from("<I", record, 8)[0])


def has_plaintext(payload: bytes) -> bool:
    """Whether MPEG-TS shows: sync bytes at 188-byte stride."""
    return _PLAINTEXT.search(payload) is not None


def look(path: Path, *, outgoing_mac: bytes | None = None) -> WireFacts:
    """The facts of a capture; with ``outgoing_mac``, of the frames that came to that machine only."""
    count = total = plaintext = group = 0
    for frame in packets(path):
        if outgoing_mac is not None and frame[6:12] == outgoing_mac:
            continue
        payload = _udp_payload(frame)
        if payload is None:
            continue
        count += 1
        total += len(payload)
        plaintext += has_plaintext(payload)
        group += _is_of_a_group(payload)
    return WireFacts(count, total, plaintext, group)


def _is_of_a_group(payload: bytes) -> bool:
    if payload[:1] == bytes((TREE_DATAGRAM,)):
        return int.from_bytes(payload[8:12], "big") != BROADCAST_STREAM
    return payload[:1] == bytes((SESSION_DATAGRAM,)) and len(payload) >= BIG_DATAGRAM_BYTES


def _udp_payload(frame: bytes) -> bytes | None:
    if frame[12:14] == b"\x08\x00" and frame[23] == 17:
        return frame[14 + (frame[14] & 15) * 4 + 8 :]
    if frame[12:14] == b"\x86\xdd" and frame[20] == 17:
        return frame[62:]
    return None
