"""Two nodes, each with a LAN of two hosts behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab import Lab, wait_until
from lab.lan import Lan
from lab.node import PROGRAM, Overlay, TreecastNode
from treecast.api.client import ask_bridge


@dataclass(frozen=True, slots=True)
class Sites:
    """See ``lab.lan`` for the drawing."""

    lab: Lab
    overlay: Overlay
    lans: tuple[Lan, ...]
    interfaces: tuple[str, ...]

    def bridge(self, site: int) -> str:
        """``bridge add`` on the node of that site."""
        node = self.overlay[site]
        return verb(node, "add", self.interfaces[site])


def verb(node: TreecastNode, name: str, *words: str) -> str:
    """``treecast bridge NAME DIR ...`` on the node's machine: its stdout."""
    return node.machine.run([PROGRAM, "bridge", name, node.directory, *words]).stdout


@pytest.fixture(scope="session")
def sites() -> Iterator[Sites]:
    """Both LANs bridged. For tests that only talk through it."""
    with Lab() as lab:
        own = make_sites(lab)
        for site in range(2):
            own.bridge(site)
        wait_forwarding(own)
        yield own
        for node in own.overlay.nodes:
            print(f"--- {node.name}\n{node.log_tail()}")


def wait_forwarding(sites: Sites) -> None:
    """Until both nodes carry their LANs."""
    nodes = sites.overlay.nodes
    wait_until(lambda: {ask_bridge(node.directory).state for node in nodes} == {"forwarding"}, 10.0, "both are elected")


def make_sites(lab: Lab) -> Sites:
    """Nothing bridged yet."""
    underlay = lab.switch()
    machines = [lab.machine(f"n{number}", underlay) for number in range(2)]
    lans = tuple(Lan(lab, number) for number in (1, 2))
    interfaces = tuple(lan.connect(lab, machine) for lan, machine in zip(lans, machines, strict=True))
    overlay = Overlay(machines, lab.directory)
    overlay.start()
    return Sites(lab, overlay, lans, interfaces)
