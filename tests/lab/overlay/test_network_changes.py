"""This machine's addresses and routes change: the node follows when the kernel says so, not when it next looks."""

from __future__ import annotations

from functools import partial

import pytest

from lab import wait_until
from lab.node import TreecastNode
from tests.lab.conftest import OverlayFactory
from tests.lab.switch.interface_state import last_told

LIMIT_S = 20.0
SOON_S = 1.0


def test_addresses_and_routes_are_followed(overlay: OverlayFactory) -> None:
    followed(overlay, LIMIT_S)


@pytest.mark.soak
def test_addresses_and_routes_are_followed_within_1_s(overlay: OverlayFactory) -> None:
    followed(overlay, SOON_S)


def followed(overlay: OverlayFactory, limit_s: float) -> None:
    """Each change within the limit."""
    n0, n1 = overlay(2).nodes
    machine, extra, dev = n0.machine, "192.0.2.77", n0.machine.underlay_interface
    for _ in range(2):
        machine.run(["ip", "address", "add", f"{extra}/24", "dev", dev])
        wait_until(lambda: extra in last_told(n0), limit_s, "others are told of the new address")
        machine.run(["ip", "address", "del", f"{extra}/24", "dev", dev])
        wait_until(lambda: bool(last_told(n0)) and extra not in last_told(n0), limit_s, "and that it is gone")
    for mtu in (1400, 1350):
        machine.run(["ip", "route", "replace", f"{n1.machine.underlay_ipv4}/32", "dev", dev, "mtu", str(mtu)])
        line = f'event="underlay MTU changed: no datagram is longer" bytes={mtu}'
        wait_until(partial(_logged, n0, line), limit_s, "the MTU of the way is")


def _logged(node: TreecastNode, line: str) -> bool:
    return line in node.log_tail()
