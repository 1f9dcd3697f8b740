"""A multicast router between a LAN behind a node and a subnet of its own, and the routing programs it may run.

::

      h2.1                     h1.1           router              beyond
     ===+== LAN 2            ===+==== LAN 1 ====+ eth0   eth1 +======+== a subnet
        |                       |                             |
        n1                      n0 ---------------------------+
     ===+====== underlay =======+===
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import Machine
from lab.lan import enable_multicast
from lab.sites import Sites

PROGRAMS = Path(__file__).parents[3] / ".make" / "routers" / "usr" / "sbin"
"""Unpacked by the Makefile: installed, they would run as services of the machine."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """A router with eth0 on the first LAN, and a host in the subnet at its eth1."""

    router: Machine
    host: Machine


@contextmanager
def beyond(sites: Sites, name: str) -> Iterator[Beyond]:
    """A router of this name and a host beyond it. The node's cable carries no super-packets until the block ends, as no
    real one does: Linux forwards none to a group that is larger than the MTU and must not be fragmented
    (``ipmr_queue_xmit``).
    """
    subnet = sites.lab.switch()
    router = sites.lab.machine(name, sites.lans[0].switch, subnet)
    host = sites.lab.machine(f"{name}-beyond", subnet)
    for machine, interface in ((router, "eth0"), (router, "eth1"), (host, "eth0")):
        enable_multicast(machine, interface)
    for version in (4, 6):
        router.sysctl(f"net/ipv{version}/conf/all/forwarding", 1)
    sites.overlay[0].machine.offload(False, sites.interfaces[0])
    yield Beyond(router, host)
    sites.overlay[0].machine.offload(True, sites.interfaces[0])
