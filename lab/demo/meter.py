"""Counts one node's stream, datagram by datagram, at the node's interface: what its host sends and gets.

A packet socket sees super-frames (several datagrams of one flow in one frame) where the kernel made or took them; they
are counted by datagram. Losses are found by content: each datagram has a place in what the source sent.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from lab.machine import Machine

GROUP = "239.1.1.1"
PORT = 5004
DATAGRAM_BYTES = 1316
"""Seven MPEG-TS packets of 188 bytes."""

SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SOL_PACKET = 263
PACKET_STATISTICS = 6
ETH_P_ALL = 0x0003
BUFFER_BYTES = 64 * 2**20
MAX_FRAME_BYTES = 2**16 + 64
IGMP = 2
UDP = 17
REPORT_V3 = 0x22
TO_INCLUDE, TO_EXCLUDE = 3, 4


@dataclass(frozen=True, slots=True)
class StreamDatagram:
    """One datagram of the stream: when it passed (CLOCK_REALTIME, seconds) and which it was."""

    at_s: float
    digest: bytes


class Meter:
    """A packet socket on a node's interface, read by a thread. Use as a context manager."""

    def __init__(self, machine: Machine, interface: str) -> None:
        with machine.enter():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, 0))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"meter-{machine.name}")
        self.datagrams: list[StreamDatagram] = []
        self.payload_bytes = 0
        self.joins: list[float] = []
        self.leaves: list[float] = []
        self.missed_by_meter = 0

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        _, self.missed_by_meter = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._socket.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            try:
                frame, ancillary, _, _ = self._socket.recvmsg(MAX_FRAME_BYTES, 64)
            except TimeoutError:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2]) if ancillary else (0, 0)
            self._count(frame, seconds + nanoseconds / 1e9)

    def _count(self, frame: bytes, at_s: float) -> None:
        if frame[12:14] != b"\x08\x00":
            return
        header_bytes = (frame[14] & 15) * 4
        protocol, destination = frame[23], socket.inet_ntoa(frame[30:34])
        content = frame[14 + header_bytes : 14 + int.from_bytes(frame[16:18], "big")]
        if protocol == UDP and destination == GROUP and content[2:4] == PORT.to_bytes(2, "big"):
            for payload in _datagrams(content[8:]):
                self.payload_bytes += len(payload)
                self.datagrams.append(StreamDatagram(at_s, hashlib.blake2b(payload, digest_size=12).digest()))
        elif protocol == IGMP and content[:1] == bytes((REPORT_V3,)) and content[12:16] == socket.inet_aton(GROUP):
            if content[8] == TO_EXCLUDE:
                self.joins.append(at_s)
            elif content[8] == TO_INCLUDE:
                self.leaves.append(at_s)


def _datagrams(payload: bytes) -> Iterator[bytes]:
    for start in range(0, len(payload), DATAGRAM_BYTES):
        yield payload[start : start + DATAGRAM_BYTES]


class Positions:
    """Where each datagram stands in what the source sent; known for those whose content is unique."""

    def __init__(self) -> None:
        self._positions: dict[bytes, int | None] = {}
        self._read = 0

    def update(self, sent: list[StreamDatagram]) -> None:
        for position in range(self._read, len(sent)):
            digest = sent[position].digest
            self._positions[digest] = None if digest in self._positions else position
        self._read = len(sent)

    def lost(self, received: list[StreamDatagram]) -> int:
        """Datagrams the source sent between the first and the last that were received, and that were not.

        Counted from the first to the last datagram whose content is unique; a duplicate would count as minus one.
        """
        known = [
            (i, position)
            for i, item in enumerate(received)
            if (position := self._positions.get(item.digest)) is not None
        ]
        if len(known) < 2:
            return 0
        (first, first_position), (last, last_position) = known[0], known[-1]
        return (last_position - first_position) - (last - first)

    def in_order(self, received: list[StreamDatagram]) -> bool:
        positions = [position for item in received if (position := self._positions.get(item.digest)) is not None]
        return positions == sorted(positions)
