"""Sockets of hosts that know nothing of Treecast: broadcast in and out of eth0."""

from __future__ import annotations

import socket

from lab import Machine

LIMIT_S = 10.0
SO_BINDTODEVICE = 25  # asm-generic/socket.h


def listen(machine: Machine, port: int) -> socket.socket:
    """A UDP socket on eth0 that hears broadcasts."""
    own = _socket(machine)
    own.bind(("", port))
    own.settimeout(LIMIT_S)
    return own


def speak(machine: Machine, address: str, port: int, payloads: list[bytes]) -> None:
    """Sends datagrams to a broadcast address."""
    with _socket(machine) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for payload in payloads:
            own.sendto(payload, (address, port))


def _socket(machine: Machine) -> socket.socket:
    with machine.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
    return own
