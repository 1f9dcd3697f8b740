"""A host of a bridged LAN with a raw socket: beacons that it makes up and repeats (docs/protocol.md, section 11), and
queries of IGMPv3 as any querier's (RFC 9776 section 4.1).
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.hostile_speaker import layouts as wire

BEACON_GROUP, BEACON_ETHERTYPE = bytes.fromhex("035443000001"), 0x88B5
SILENT, CAPABLE, FORWARDING = range(3)
RECENT = 16
"""A node's beacon that comes back is a loop to it while it is one of so many last ones."""
ALL_SYSTEMS, ALL_SYSTEMS_MAC = "224.0.0.1", bytes.fromhex("01005e000001")
LONGEST = 0xFF
"""The highest code of an interval (RFC 9776 section 4.1.7): 31,744 s of QQIC, 3,174.4 s of Max Resp Time."""
READ_LIMIT_S = 0.1


def network_hash(network_id: bytes) -> bytes:
    return hashlib.sha256(b"treecast beacon network 1" + network_id).digest()[:8]


@dataclass(frozen=True, slots=True)
class Beacon:
    """A beacon's body."""

    network: bytes
    node: int
    epoch: int
    sequence: int
    state: int
    port_plus_one: int

    @classmethod
    def parse(cls, frame: bytes) -> Beacon:
        """The body of a frame's; its signature is not looked at."""
        body = wire.decode(frame[14:])[0]
        if not isinstance(body, bytes):
            raise TypeError("no beacon")
        match wire.decode(body):
            case [2, bytes() as network, int() as node, int() as epoch, int() as number, int() as state, int() as port]:
                return cls(network, node, epoch, number, state, port)
        raise ValueError("a beacon of another version")

    def frame(self, source: bytes, sign: Callable[[bytes], bytes], to: bytes = BEACON_GROUP) -> bytes:
        fields = (self.network, self.node, self.epoch, self.sequence, self.state, self.port_plus_one)
        body = wire.encode([2, *fields])
        payload = wire.encode([body, sign(body)])
        return to + source + struct.pack(">H", BEACON_ETHERTYPE) + payload


def query(source: str, *, response_code: int, robustness: int, interval_code: int, mac: bytes) -> bytes:
    """A frame with a general query of IGMPv3. ``response_code``: in tenths of a second, ``interval_code``: seconds."""
    igmp = struct.pack(">BBH4sBBH", 0x11, response_code, 0, bytes(4), robustness, interval_code, 0)
    igmp = igmp[:2] + _checksum(igmp) + igmp[4:]
    router_alert = bytes((0x94, 4, 0, 0))
    addresses = socket.inet_aton(source) + socket.inet_aton(ALL_SYSTEMS)
    head = struct.pack(">BBHHHBBH", 0x46, 0xC0, 24 + len(igmp), 0, 0, 1, 2, 0) + addresses + router_alert
    head = head[:10] + _checksum(head) + head[12:]
    return ALL_SYSTEMS_MAC + mac + b"\x08\x00" + head + igmp


def _checksum(data: bytes) -> bytes:
    total = sum(word for (word,) in struct.iter_unpack(">H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


@dataclass(slots=True)
class LanHost:
    """The host. ``heard``: frames of beacons of each node, in their order."""

    own: socket.socket
    mac: bytes
    heard: dict[int, list[bytes]] = field(default_factory=dict)

    def send(self, frame: bytes) -> None:
        self.own.send(frame)

    def latest(self, node: int) -> Beacon:
        return Beacon.parse(self.heard[node][-1])

    def old(self, node: int) -> list[bytes]:
        """Beacons of a node that are no loop any more when they are repeated."""
        newest = self.latest(node).sequence
        return [one for one in list(self.heard[node]) if Beacon.parse(one).sequence < newest - RECENT - 2]

    def listen(self, over: threading.Event) -> None:
        while not over.is_set():
            try:
                frame, address = self.own.recvfrom(2048)
            except TimeoutError:
                continue
            if address[2] != socket.PACKET_OUTGOING:
                self.heard.setdefault(Beacon.parse(frame).node, []).append(frame)


@contextmanager
def lan_host(make: Callable[[], socket.socket], interface: str = "eth0") -> Iterator[LanHost]:
    """A host that hears beacons until the block ends. ``make``: a packet socket on its machine."""
    over = threading.Event()
    with make() as own:
        own.bind((interface, BEACON_ETHERTYPE))
        own.settimeout(READ_LIMIT_S)
        host = LanHost(own, own.getsockname()[4])
        reader = threading.Thread(target=host.listen, args=(over,))
        reader.start()
        try:
            yield host
        finally:
            over.set()
            reader.join()
