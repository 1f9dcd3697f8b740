"""Numbered datagrams in bursts, as super-frames and one by one, and TCP streams with their digest.

Receivers have room for all that a test sends, so that a test first sends and then reads: no threads for UDP.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.machine import Machine
from lab.planes import INTERFACE, ipv4, ipv6

PORT = 5004
FAMILIES = [pytest.param(socket.AF_INET, id="IPv4"), pytest.param(socket.AF_INET6, id="IPv6")]
GROUPS = {socket.AF_INET: "239.1.1.1", socket.AF_INET6: "ff05::1234"}
LIMIT_S = 10.0
ROOM_BYTES = 64 << 20
MOST_BYTES = 65_000  # of one send: an IP packet's
# linux/udp.h; asm-generic/socket.h
UDP_SEGMENT = 103
UDP_GRO = 104
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33


@dataclass(frozen=True, slots=True)
class Read:
    """The datagrams that a receiver has read, and how many of them each of the kernel's super-frames held."""

    datagrams: list[bytes]
    held: list[int]


def numbered(number: int, size_bytes: int) -> bytes:
    """A datagram that says which one it is, with contents that no other has."""
    name = struct.pack("!I", number)
    filling = hashlib.shake_128(name).digest(size_bytes)
    return (name + filling)[:size_bytes]


def burst(count: int, size_bytes: int) -> list[bytes]:
    return [numbered(number, size_bytes) for number in range(count)]


def unicast(family: socket.AddressFamily, node: int) -> tuple[str, int]:
    return (ipv4(node) if family == socket.AF_INET else ipv6(node), PORT)


@contextmanager
def udp_sender(machine: Machine, family: socket.AddressFamily) -> Iterator[socket.socket]:
    """Multicast leaves by the TAP."""
    with machine.enter():
        sender = socket.socket(family, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(INTERFACE)
    with sender:
        sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, ROOM_BYTES)
        if family == socket.AF_INET6:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 4)
        else:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", b"", b"", index))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
        yield sender


def send_super_frames(sender: socket.socket, destination: tuple[str, int], datagrams: list[bytes]) -> None:
    """Bursts of different lengths, by UDP_SEGMENT; the datagrams are of one size."""
    size = len(datagrams[0])
    most = min(44, MOST_BYTES // size)
    first = length = 0
    while first < len(datagrams):
        length = length % most + 1  # 1, 2, ... most, 1, 2, ...
        control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("@H", size))]
        sender.sendmsg([b"".join(datagrams[first : first + length])], control, 0, destination)
        first += length


@contextmanager
def udp_receiver(
    machine: Machine,
    family: socket.AddressFamily,
    *,
    interface: str = INTERFACE,
    group: str | None = None,
    super_frames: bool = False,
) -> Iterator[socket.socket]:
    """A receiver whose buffer holds a whole test; ``super_frames`` asks for the kernel's as they are (UDP_GRO)."""
    with machine.enter():
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(interface)
    with receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
        receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, int(super_frames))
        receiver.bind(("", PORT))
        if group is not None and family == socket.AF_INET6:
            membership = struct.pack("@16si", ip_address(group).packed, index)
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        elif group is not None:
            membership = struct.pack("@4s4si", ip_address(group).packed, b"", index)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        yield receiver


def read_datagrams(receiver: socket.socket, count: int, limit_s: float = LIMIT_S) -> Read:
    """Reads up to ``count`` datagrams; fewer when none came for ``limit_s``."""
    receiver.settimeout(limit_s)
    read = Read([], [])
    while len(read.datagrams) < count:
        try:
            data, control, _, _ = receiver.recvmsg(1 << 16, 64)
        except TimeoutError:
            break
        sizes = [struct.unpack("@i", value)[0] for _, kind, value in control if kind == UDP_GRO]
        size = sizes[0] if sizes else max(len(data), 1)
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        read.datagrams.extend(parts)
        read.held.append(len(parts))
    return read


def transfer_digests(
    source: Machine, sink: Machine, family: socket.AddressFamily, node: int, size_bytes: int
) -> tuple[str, str]:
    """A TCP stream from one machine to another: the digests of what was sent and of what arrived."""
    with sink.enter():
        listener = socket.socket(family)
    with source.enter():
        sender = socket.socket(family)
    sent, arrived = hashlib.sha256(), hashlib.sha256()
    with listener, sender:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", PORT))
        listener.listen()
        sender.settimeout(LIMIT_S)
        sender.connect(unicast(family, node))
        receiver, _ = listener.accept()
        thread = threading.Thread(target=_send_stream, args=(sender, sent, size_bytes))
        with receiver:
            receiver.settimeout(LIMIT_S)
            thread.start()
            while data := receiver.recv(1 << 18):
                arrived.update(data)
        thread.join()
    return sent.hexdigest(), arrived.hexdigest()


def _send_stream(sender: socket.socket, digest: hashlib._Hash, size_bytes: int) -> None:
    number = 0
    while size_bytes > 0:
        # Pieces of all lengths, so that segments end with PSH at odd places.
        piece = numbered(number, min(size_bytes, 1 + number * 7919 % 200_000))
        digest.update(piece)
        sender.sendall(piece)
        size_bytes -= len(piece)
        number += 1
    sender.shutdown(socket.SHUT_WR)


def checksum_errors(machine: Machine, protocol: str) -> int:
    """``InCsumErrors`` of Udp, Tcp (IPv4 and IPv6 for Tcp) or Udp6 as the machine's kernel counts them."""
    with machine.enter():
        if protocol == "Udp6":
            text = Path("/proc/thread-self/net/snmp6").read_text(encoding="ascii")
            return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Udp6InCsumErrors"))
        text = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii")
    names, values = (line.split() for line in text.splitlines() if line.startswith(f"{protocol}:"))
    return int(values[names.index("InCsumErrors")])
