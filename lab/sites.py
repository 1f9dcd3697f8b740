"""LANs with a node on each: what switch mode is tested and measured on. ``lab.lan`` has the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.lan import Lan
from lab.node import PROGRAM, Overlay, TreecastNode
from lab.topology import Lab
from lab.waiting import wait_until
from treecast.api.client import fetch_bridge

LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Sites:
    """Node ``n0`` is on the first LAN, ``n1`` on the second, and so on, each by eth1."""

    lab: Lab
    overlay: Overlay
    lans: tuple[Lan, ...]
    interfaces: tuple[str, ...]

    def bridge(self, site: int) -> str:
        """``bridge add`` on the node of that site."""
        node = self.overlay[site]
        return verb(node, "add", self.interfaces[site])

    def bridge_all(self) -> None:
        """Bridges all LANs, and waits until every node carries its own."""
        for site in range(len(self.lans)):
            self.bridge(site)
        nodes = self.overlay.nodes
        wait_until(lambda: {fetch_bridge(n.directory).state for n in nodes} == {"forwarding"}, LIMIT_S, "elections")


def make_sites(lab: Lab, count: int = 2, hosts: int = 2) -> Sites:
    """Nothing bridged yet."""
    underlay = lab.switch()
    machines = [lab.machine(f"n{number}", underlay) for number in range(count)]
    lans = tuple(Lan(lab, number, hosts) for number in range(1, count + 1))
    interfaces = tuple(lan.connect(lab, machine) for lan, machine in zip(lans, machines, strict=True))
    overlay = Overlay(machines, lab.directory)
    overlay.start()
    return Sites(lab, overlay, lans, interfaces)


def verb(node: TreecastNode, name: str, *words: str) -> str:
    """``treecast bridge NAME DIR ...`` on the node's machine: its stdout."""
    return node.machine.run([PROGRAM, "bridge", name, node.directory, *words]).stdout


def show_logs(nodes: Sequence[TreecastNode]) -> None:
    """Prints the nodes' logs, for a test that fails."""
    for node in nodes:
        print(f"--- {node.name}\n{node.log_tail()}")
