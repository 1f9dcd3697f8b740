"""Addresses, routes and connections of a machine, for tests of what becomes of them when its interfaces are bridged."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from lab import Machine, wait_until
from lab.node import TreecastNode

LIMIT_S = 15.0


@contextmanager
def connection(
    one: Machine, other: Machine, address: str, scope: str = ""
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """An established TCP connection from ``one`` to an address of ``other``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with other.enter():
        listener = socket.socket(family, socket.SOCK_STREAM)
    with one.enter():
        client = socket.socket(family, socket.SOCK_STREAM)
    with listener, client:
        listener.settimeout(LIMIT_S)
        client.settimeout(LIMIT_S)
        listener.bind((address, 0))
        listener.listen(1)
        client.connect(listener.getsockname()[:2])
        server, _ = listener.accept()
        server.settimeout(LIMIT_S)
        with server:
            yield client, server


def exchange(ends: tuple[socket.socket, socket.socket]) -> None:
    """A line each way, as a shell session would."""
    client, server = ends
    for sender, receiver in ((client, server), (server, client)):
        sender.sendall(b"still here\n")
        assert receiver.recv(100) == b"still here\n"


def carried(machine: Machine) -> list[str]:
    """All addresses and routes, without what has no order or changes with time."""
    addresses = machine.run(["ip", "-o", "addr"]).stdout.splitlines()
    routes = [*_routes(machine, "-4"), *_routes(machine, "-6")]
    return sorted(" ".join(line.split()[1:4]) for line in addresses) + sorted(routes)


def _routes(machine: Machine, family: str) -> list[str]:
    lines = machine.run(["ip", family, "route", "show", "table", "all"]).stdout.splitlines()
    return [line.strip() for line in lines if "table local" not in line or "proto kernel" not in line]


def overlays(node: TreecastNode, lines: list[str]) -> list[str]:
    """Addresses and routes of the overlay and its groups; the LAN's route to groups is the machine's own."""
    starts = (node.ipv4.rsplit(".", 2)[0], node.ipv6.rsplit(":", 4)[0], "224.0.0.0/4", "ff00::/8", "multicast ff00::/8")
    return [
        line for line in lines if "metric 500" not in line and any(word.startswith(starts) for word in line.split())
    ]


def snoops(node: TreecastNode, bridge: str) -> bool:
    shown = node.machine.run(["ip", "-d", "-o", "link", "show", bridge]).stdout
    return "mcast_snooping 1" in shown


def ipv4_of(lines: list[str]) -> list[str]:
    return [line for line in lines if " inet " in line]


def last_told(node: TreecastNode) -> set[str]:
    """The addresses that it said last, when they changed since its start; none before that."""
    lines = [line for line in node.log_of_run().splitlines() if 'event="addresses changed"' in line]
    told = re.findall(r'endpoints="([^"]*)"', lines[-1]) if lines else []
    return {endpoint.rpartition(":")[0].strip("[]") for line in told for endpoint in line.split()}


def spoil_ports_of(node: TreecastNode, ports: Iterable[str], said: Callable[[], str]) -> None:
    """A bridge's ports cut off from each other, then without floods, each undone when it is ``said``."""
    for spoil, mend, text in (
        ("isolated on", "isolated off", "isolated from each other"),
        ("mcast_flood off", "mcast_flood on", "has mcast_flood off"),
    ):
        for port in ports:
            node.machine.run(["ip", "link", "set", port, "type", "bridge_slave", *spoil.split()])
        wait_until(partial(_contains, said, text), LIMIT_S, f"{spoil} is said")
        for port in ports:
            node.machine.run(["ip", "link", "set", port, "type", "bridge_slave", *mend.split()])


def _contains(said: Callable[[], str], text: str) -> bool:
    return text in said()
