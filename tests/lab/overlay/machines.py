"""Programs on the lab's machines: TCP transfers, pings, and sockets that hear what everybody is to hear."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, ip_address

from lab import Machine, wait_until
from lab.node import INTERFACE

LIMIT_S = 15.0
TALK_S = 20.0
READ_BYTES = 65536
SO_BINDTODEVICE = 25  # asm-generic/socket.h


def introduce(machines: Sequence[Machine]) -> None:
    """Tells each machine the others' MAC addresses on the first switch.

    One neighbour table serves all namespaces of a kernel, and takes 1,024 entries that were learned (gc_thresh3 in
    arp(7)); 33 machines that all talk to each other learn 1,056. Permanent entries do not count.
    """
    macs = [machine.run(["cat", f"/sys/class/net/{machine.underlay_interface}/address"]).stdout for machine in machines]
    for machine in machines:
        lines = [
            f"neigh replace {address} lladdr {mac.strip()} dev {machine.underlay_interface} nud permanent\n"
            for other, mac in zip(machines, macs, strict=True)
            for address in (other.underlay_ipv4, other.underlay_ipv6)
            if other is not machine
        ]
        machine.run(["ip", "-batch", "-"], stdin="".join(lines))


def ping(machine: Machine, address: str, count: int = 2) -> None:
    """RuntimeError when any echo stays without its reply."""
    done = machine.run(["ping", "-c", str(count), "-i", "0.2", "-W", "10", address])
    if f" {count} received" not in done.stdout:
        raise RuntimeError(f"{machine.name} to {address}: {done.stdout}")


def talk(machine: Machine, address: str) -> None:
    """They find each other, and then no echo is lost."""
    once = ["ping", "-c", "1", "-W", "1", address]
    wait_until(lambda: machine.run(once, check=False).returncode == 0, TALK_S, f"{machine.name} reaches {address}")
    ping(machine, address, 3)


def transfer(sender: Machine, receiver: Machine, address: str, data: bytes) -> str:
    """Sends ``data`` through a TCP connection to ``address`` of ``receiver``: the SHA-256 of what has come."""
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    with receiver.enter():
        listener = socket.socket(family, socket.SOCK_STREAM)
    with sender.enter():
        connection = socket.socket(family, socket.SOCK_STREAM)
    with listener, connection, ThreadPoolExecutor(max_workers=1) as pool:
        listener.settimeout(LIMIT_S)
        connection.settimeout(LIMIT_S)
        listener.bind((address, 0))
        listener.listen(1)
        digest = pool.submit(_digest_of_next, listener)
        connection.connect(listener.getsockname()[:2])
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return digest.result(LIMIT_S)


def _digest_of_next(listener: socket.socket) -> str:
    connection, _ = listener.accept()
    connection.settimeout(LIMIT_S)
    digest = hashlib.sha256()
    with connection:
        while data := connection.recv(READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def listen(machine: Machine, port: int, group: str) -> socket.socket:
    """A UDP socket that hears ``group`` (a broadcast address needs no join) on the overlay's interface."""
    address = ip_address(group)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with machine.enter():
        own = socket.socket(family, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, INTERFACE.encode())
        own.bind(("", port))
        own.settimeout(LIMIT_S)
        index = socket.if_nametoindex(INTERFACE)
        if isinstance(address, IPv4Address) and address.is_multicast:
            membership = address.packed + bytes(4) + index.to_bytes(4, "little")  # struct ip_mreqn (ip(7))
            own.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        elif address.is_multicast:
            membership = address.packed + index.to_bytes(4, "little")
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    return own


def speak(machine: Machine, port: int, group: str, payloads: list[bytes]) -> None:
    """Sends datagrams to a group or broadcast address on the overlay's interface."""
    address = ip_address(group)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with machine.enter(), socket.socket(family, socket.SOCK_DGRAM) as own:
        own.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, INTERFACE.encode())
        own.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for payload in payloads:
            own.sendto(payload, (group, port))


def heard(own: socket.socket, count: int) -> list[bytes]:
    """The next ``count`` datagrams, then any that came at once after them."""
    got = [own.recv(READ_BYTES) for _ in range(count)]
    own.setblocking(False)
    try:
        while True:
            got.append(own.recv(READ_BYTES))
    except BlockingIOError:
        return got
