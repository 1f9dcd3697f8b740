"""The sides of the comparison: overlays that give each machine of a lab an interface and an address of their own.

::

      n0 (source)                    n1                             n8
     +--------------------------+   +--------------------------+   +--------------------------+
     | vxlan0     10.99.0.1/24  |   | vxlan0     10.99.0.2/24  |   | vxlan0     10.99.0.9/24  |
     | treecast0  10.77.0.1/16  |   | treecast0  10.77.0.2/16  |   | treecast0  10.77.0.9/16  |
     | eth0                     |   | eth0                     |   | eth0                     |
     +-----------||-------------+   +-----------||-------------+   +-----------||-------------+
     ============++==================== switch0 ++=============================++==============
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab.machine import Machine
from lab.node import Overlay, TreecastNode

VXLAN_PORT = 4789  # RFC 7348
VXLAN_OVERHEAD_BYTES = 50  # Ethernet 14, VXLAN 8, UDP 8, IPv4 20
ALL_UNKNOWN = "00:00:00:00:00:00"  # the fdb entry that broadcast, unknown unicast and multicast follow


class Side(Protocol):
    """One overlay on machines, running. The first machine is the source of all streams."""

    name: str

    def interface(self, machine: Machine) -> str: ...

    def ipv4(self, machine: Machine) -> str: ...

    def prepare(self, subscribers: Sequence[Machine]) -> None:
        """These are going to subscribe: what an operator would have to set for them."""

    def describe(self) -> str:
        """The side in words, with its MTU, for the printed conditions."""

    def stop(self) -> None: ...


class Raw:
    """No overlay: what the machines' own network does."""

    name = "raw"

    def interface(self, machine: Machine) -> str:
        return machine.underlay_interface

    def ipv4(self, machine: Machine) -> str:
        return machine.underlay_ipv4

    def prepare(self, subscribers: Sequence[Machine]) -> None:
        """Nothing: it is there."""

    def describe(self) -> str:
        return "the underlay itself, unicast"

    def stop(self) -> None:
        """Nothing was started."""


class Vxlan:
    """The kernel's VXLAN (RFC 7348) with head-end replication: no encryption, one copy per fdb entry."""

    name = "vxlan"

    def __init__(self, machines: Sequence[Machine], underlay_mtu_bytes: int) -> None:
        self._source, *self._others = machines
        self._numbers = {machine.name: number for number, machine in enumerate(machines, start=1)}
        self._mtu_bytes = underlay_mtu_bytes - VXLAN_OVERHEAD_BYTES
        for machine in machines:
            self._make_interface(machine)
        for machine in self._others:
            _append(machine, self._source)
        self._replicated: list[Machine] = []

    def interface(self, machine: Machine) -> str:
        return f"{self.name}0"

    def ipv4(self, machine: Machine) -> str:
        return f"10.99.0.{self._numbers[machine.name]}"

    def prepare(self, subscribers: Sequence[Machine]) -> None:
        """The source replicates to the subscribers and to nobody else: VXLAN at its best."""
        for machine in self._replicated:
            _fdb(self._source, "del", machine)
        for machine in subscribers:
            _append(self._source, machine)
        self._replicated = list(subscribers)

    def describe(self) -> str:
        return f"kernel VXLAN, head-end replication by fdb, not encrypted, MTU {self._mtu_bytes}"

    def stop(self) -> None:
        for machine in (self._source, *self._others):
            machine.run(["ip", "link", "del", self.interface(machine)])

    def _make_interface(self, machine: Machine) -> None:
        name = self.interface(machine)
        tunnel = ["id", "77", "dstport", str(VXLAN_PORT), "local", machine.underlay_ipv4]
        machine.run(["ip", "link", "add", name, "type", "vxlan", *tunnel, "dev", machine.underlay_interface])
        machine.run(["ip", "link", "set", name, "mtu", str(self._mtu_bytes), "up"])
        machine.run(["ip", "address", "add", f"{self.ipv4(machine)}/24", "dev", name])


class Treecast:
    """Treecast as an operator starts it: one known node, default options."""

    name = "treecast"

    def __init__(self, machines: Sequence[Machine], directory: Path) -> None:
        self._overlay = Overlay(machines, directory)
        self._nodes = {node.machine.name: node for node in self._overlay.nodes}
        self._overlay.start()

    def node(self, machine: Machine) -> TreecastNode:
        return self._nodes[machine.name]

    def interface(self, machine: Machine) -> str:
        return self._nodes[machine.name].interface

    def ipv4(self, machine: Machine) -> str:
        return self._nodes[machine.name].ipv4

    def prepare(self, subscribers: Sequence[Machine]) -> None:
        """Nothing: their joins are enough."""

    def describe(self) -> str:
        first = self._overlay[0]
        shown = first.machine.run(["ip", "-json", "link", "show", "dev", first.interface]).stdout
        offloads = ", ".join(first.status().offloads) or "none"
        return f"encrypted, MTU {json.loads(shown)[0]['mtu']}, offloads: {offloads}"

    def stop(self) -> None:
        self._overlay.stop()


def _append(machine: Machine, to: Machine) -> None:
    _fdb(machine, "append", to)


def _fdb(machine: Machine, verb: str, to: Machine) -> None:
    machine.run(["bridge", "fdb", verb, ALL_UNKNOWN, "dev", f"{Vxlan.name}0", "dst", to.underlay_ipv4])
