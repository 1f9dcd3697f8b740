"""Treecast's datagrams in a capture of the underlay, as docs/protocol.md names their fields.

Captures are made with offload off, so that each datagram is a packet of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from lab.node import PORT

ETHERNET_HEADER = 14
UDP = 17
INIT, RESPONSE, FINAL, SESSION, TREE = 0xC0, 0xC1, 0xC2, 0xC4, 0xC5
HEADERS = 14 + 20 + 8  # of an IPv4 UDP datagram inside the overlay: Ethernet, IPv4, UDP
SESSION_OVERHEAD = 16 + 4 + 16  # header, inner header, AEAD tag
TREE_OVERHEAD = 28 + 4 + 16 + 8  # header, inner header, AEAD tag, tree tag


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes

    @property
    def kind(self) -> int:
        """The first byte; -1 of an empty one."""
        return self.payload[0] if self.payload else -1

    @property
    def root(self) -> int:
        return self._word(4)

    @property
    def stream(self) -> int:
        return self._word(8)

    @property
    def key_id(self) -> int:
        return self._word(16)

    @property
    def tree_counter(self) -> int:
        return int(struct.unpack_from("!Q", self.payload, 20)[0])

    def _word(self, offset: int) -> int:
        return int(struct.unpack_from("!I", self.payload, offset)[0])


def read_datagrams(path: Path, port: int = PORT) -> list[Datagram]:
    """The UDP datagrams of a capture that come from or go to ``port``, in order."""
    read = (_udp(frame) for frame in frames(path.read_bytes()))
    return [datagram for datagram in read if datagram and port in (datagram.source_port, datagram.destination_port)]


def stream_trees(datagrams: list[Datagram]) -> list[Datagram]:
    """The tree datagrams of groups: all but those of broadcast trees."""
    return [datagram for datagram in datagrams if datagram.kind == TREE and datagram.stream != 0]


def stream_sizes(payload_bytes: int) -> set[int]:
    """How large the datagrams of a stream over IPv4 are: of its session-sealed copies, and on the tree."""
    return {HEADERS + payload_bytes + SESSION_OVERHEAD, HEADERS + payload_bytes + TREE_OVERHEAD}


def frames(pcap: bytes) -> Iterator[bytes]:
    """The frames of a pcap file, as tcpdump writes it on this machine (pcap-savefile(5))."""
    (magic,) = struct.unpack_from("=I", pcap)
    if magic != 0xA1B2C3D4:
        raise ValueError(f"not a pcap file of this machine: {magic:#x}")
    at = 24
    while at < len(pcap):
        _, _, captured, length = struct.unpack_from("=IIII", pcap, at)
        if captured != length:
            raise ValueError("a frame was cut off")
        yield pcap[at + 16 : at + 16 + captured]
        at += 16 + captured


def _udp(frame: bytes) -> Datagram | None:
    packet = frame[ETHERNET_HEADER:]
    version = packet[0] >> 4 if packet else 0
    if version == 4 and packet[9] == UDP:
        addresses, segment = (packet[12:16], packet[16:20]), packet[(packet[0] & 15) * 4 :]
    elif version == 6 and packet[6] == UDP:
        addresses, segment = (packet[8:24], packet[24:40]), packet[40:]
    else:
        return None
    source_port, destination_port, length, _ = struct.unpack_from("!HHHH", segment)
    source, destination = (str(ip_address(address)) for address in addresses)
    return Datagram(source, source_port, destination, destination_port, segment[8:length])
