"""Frames built by hand, sent into a TAP and read from it behind the kernel's virtio-net header (packet(7))."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from lab.machine import Machine
from lab.planes import INTERFACE, ipv4, mac
from tests.lab.offload.bursts import PORT

SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_VNET_HDR = 15
ETH_P_ALL = 3
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_VLAN = 0x8100
VNET = struct.Struct("@BBHHHH")  # flags, GSO type, header length, GSO size, checksum start, checksum offset
NEEDS_CSUM = 1
GSO_UDP_L4 = 5
AUXDATA = struct.Struct("@IIIHHHH")  # status, len, snaplen, mac, net, vlan_tci, vlan_tpid
SOURCE_PORT = 40_000
UDP_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame as it came off the TAP; ``vlan`` is None when untagged."""

    gso_type: int
    gso_size: int
    vlan: int | None
    udp_payload: bytes


def internet_checksum(data: bytes) -> int:
    """RFC 1071."""
    words: tuple[int, ...] = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def udp_frame(payload: bytes, number: int, *, vlan: int | None = None, partial: bool = False) -> bytes:
    """A frame from node 1 to node 2; ``partial`` leaves the pseudo-header's sum where the checksum goes."""
    source, destination = (IPv4Address(ipv4(node)).packed for node in (1, 2))
    length = UDP_HEADER_BYTES + len(payload)
    pseudo = source + destination + struct.pack("!HH", socket.IPPROTO_UDP, length)
    ports = struct.pack("!HHH", SOURCE_PORT, PORT, length)
    checksum = internet_checksum(pseudo) ^ 0xFFFF if partial else internet_checksum(pseudo + ports + payload)
    # 0x4000: don't fragment.
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 64, socket.IPPROTO_UDP)
    header_checksum = internet_checksum(start + bytes(2) + source + destination)
    ip = start + struct.pack("!H", header_checksum) + source + destination
    tag = b"" if vlan is None else struct.pack("!HH", ETHERTYPE_VLAN, vlan)
    ethernet = mac(2) + mac(1) + tag + struct.pack("!H", ETHERTYPE_IPV4)
    return ethernet + ip + ports + struct.pack("!H", checksum) + payload


def super_frame(payload: bytes, size: int, *, vlan: int | None) -> bytes:
    """Virtio-net header and frame: datagrams of ``size`` bytes."""
    network = 14 if vlan is None else 18
    header = VNET.pack(NEEDS_CSUM, GSO_UDP_L4, network + 28, size, network + 20, 6)
    return header + udp_frame(payload, 1, vlan=vlan, partial=True)


@contextmanager
def packet_socket(machine: Machine, *, vnet: bool) -> Iterator[socket.socket]:
    """All frames of the machine's TAP: a socket for one protocol neither sends nor sees tags."""
    with machine.enter(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as own:
        own.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        own.setsockopt(SOL_PACKET, PACKET_VNET_HDR, int(vnet))
        own.bind((INTERFACE, ETH_P_ALL))
        yield own


def read_udp(packets: socket.socket, size_bytes: int, limit_s: float) -> list[Captured]:
    """Frames with node 1's datagrams, until their payloads are ``size_bytes`` together."""
    packets.settimeout(limit_s)
    captured: list[Captured] = []
    while sum(len(one.udp_payload) for one in captured) < size_bytes:
        data, control, _, _ = packets.recvmsg(1 << 17, 256)
        _, gso_type, _, gso_size, _, _ = VNET.unpack_from(data)
        frame = data[VNET.size :]
        if frame[34:36] != struct.pack("!H", SOURCE_PORT):
            continue
        auxiliary = AUXDATA.unpack(control[0][2])
        has_tag = bool(auxiliary[0] & 0x10)  # TP_STATUS_VLAN_VALID
        captured.append(Captured(gso_type, gso_size, auxiliary[5] if has_tag else None, frame[42:]))
    return captured
