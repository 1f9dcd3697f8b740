"""Two nodes on one LAN, and a third one on another.

::

      h1.1     h1.2                                h2.1     h2.2
     ==++========++==++=========++== LAN 1     ====++========++==++== LAN 2
                     ||         ||                              ||
                     n0         n1                              n2
     ================++=========++== underlay ==================++====
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab import Lab, wait_until
from lab.lan import Lan
from lab.node import Overlay
from lab.sites import LIMIT_S, show_logs, verb
from tests.lab.overlay.asking import drops
from treecast.api.client import fetch_bridge, fetch_hosts


@dataclass(frozen=True, slots=True)
class Twice:
    overlay: Overlay
    shared: Lan
    other: Lan

    def states(self) -> tuple[str, ...]:
        return tuple(fetch_bridge(node.directory).state for node in self.overlay.nodes if node.running)


@contextmanager
def one_lan_twice(*options: Sequence[str]) -> Iterator[Twice]:
    """n0 carries the shared LAN. ``options``: of each of the three nodes."""
    with Lab() as lab:
        underlay = lab.switch()
        machines = [lab.machine(f"n{number}", underlay) for number in range(3)]
        shared, other = Lan(lab, 1), Lan(lab, 2)
        interfaces = [
            shared.connect(lab, machines[0], 251),
            shared.connect(lab, machines[1], 252),
            other.connect(lab, machines[2]),
        ]
        overlay = Overlay(machines, lab.directory)
        for node, own in zip(overlay.nodes, options, strict=True):
            node.start(*[overlay[0].endpoint] * (node is not overlay[0]), options=own)
        for node in overlay.nodes:
            node.wait_ready()
        overlay.wait_linked()
        for node, interface in zip(overlay.nodes, interfaces, strict=True):
            verb(node, "add", interface)
        made = Twice(overlay, shared, other)
        wait_until(lambda: made.states() == ("forwarding", "capable", "forwarding"), LIMIT_S, "the elections are over")
        yield made
        show_logs(overlay.nodes)
        for node in overlay.nodes:
            if node.running:
                print(drops(node), *fetch_hosts(node.directory), node.machine.run(["ip", "neigh"]).stdout, sep="\n")
