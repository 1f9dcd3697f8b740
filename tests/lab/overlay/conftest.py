"""A network of four nodes that all tests share which only talk through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from lab.node import Overlay
from lab.sites import show_logs


@pytest.fixture(scope="session")
def mesh() -> Iterator[Overlay]:
    """Nodes n0 to n3, linked to each other. Offload is off on the underlay: a captured packet is a datagram."""
    with Lab() as lab:
        lan = lab.switch()
        machines = [lab.machine(f"n{number}", lan) for number in range(4)]
        for machine in machines:
            machine.offload(False)
        overlay = Overlay(machines, lab.directory)
        overlay.start()
        yield overlay
        show_logs(overlay.nodes)
        overlay.stop()
