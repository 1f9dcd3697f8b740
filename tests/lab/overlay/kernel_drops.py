"""Drops of the kernels on a datagram's way: where to look when no node has counted a loss."""

from __future__ import annotations

from pathlib import Path

from lab.machine import Machine

_UDP_LOSSES = ("InErrors", "RcvbufErrors", "SndbufErrors")


def kernel_drops(machine: Machine) -> dict[str, int]:
    """The drops of each interface, of all UDP sockets, and of the queues that all machines here share (``softnet``)."""
    with machine.enter():
        here = Path("/proc/thread-self/net")
        interfaces = (here / "dev").read_text(encoding="ascii").splitlines()[2:]
        udp = [
            line.split()[1:]
            for line in (here / "snmp").read_text(encoding="ascii").splitlines()
            if line.startswith("Udp:")
        ]
        softnet = (here / "softnet_stat").read_text(encoding="ascii").splitlines()
    found: dict[str, int] = {}
    for line in interfaces:
        name, _, numbers = line.partition(":")
        columns = [int(number) for number in numbers.split()]
        found[f"{name.strip()} in"], found[f"{name.strip()} out"] = columns[3], columns[11]
    counts = dict(zip(*udp, strict=True))
    found |= {f"udp {name}": int(counts[name]) for name in _UDP_LOSSES}
    return found | {"softnet": sum(int(line.split()[1], 16) for line in softnet)}
