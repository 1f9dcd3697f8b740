"""How much a port may teach this node, and how long it is remembered. How many entries: ``base/limits.py``."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import MacAddress
from treecast.base.limits import MAX_ADDRESSES_PER_HOST, MAX_HOSTS_PER_PORT
from treecast.base.time import Duration

HOST_LIFETIME: Duration = 300.0
"""The ageing time of a Linux bridge (IEEE 802.1D table 7-5)."""

ADDRESS_LIFETIME: Duration = 1200.0
"""An address is seen more rarely than its host: the 20 minutes that BSD keeps an ARP entry."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a thing may move: after ``max_moves`` within ``window`` it stays where it is for ``hold``."""

    max_moves: int
    window: Duration
    hold: Duration


VIRTUAL_ROUTER_PREFIXES = (bytes.fromhex("00005e0001"), bytes.fromhex("00005e0002"))
"""The MACs of VRRP's virtual routers, IPv4 and IPv6 (RFC 9568 section 7.3); CARP uses them too."""


def is_virtual_router(mac: MacAddress) -> bool:
    return mac.packed[:5] in VIRTUAL_ROUTER_PREFIXES


VIRTUAL_ROUTER_PACE = Pace(5, 5.0, 5.0)
"""They move with each failover; what a pair of hosts that quarrel about one costs all nodes is a move a second."""


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """Bounds and times of one node. Times in seconds.

    ``new_hosts_per_s``, ``new_hosts_burst``: new hosts and new addresses that one port may bring (each costs all nodes
    an advertisement); the burst lets a full port start at once. ``max_moves`` within ``move_window`` make a
    duplicate (RFC 7432 section 15.1), which stays where it was for ``duplicate_hold``; ``VIRTUAL_ROUTER_PACE`` is that
    of the MACs that are made to move.
    """

    host_lifetime: Duration = HOST_LIFETIME
    address_lifetime: Duration = ADDRESS_LIFETIME
    max_hosts_per_port: int = MAX_HOSTS_PER_PORT
    max_addresses_per_host: int = MAX_ADDRESSES_PER_HOST
    new_hosts_per_s: float = 32.0
    new_hosts_burst: float = 2.0 * MAX_HOSTS_PER_PORT
    max_moves: int = 5
    move_window: Duration = 180.0
    duplicate_hold: Duration = 180.0

    def pace(self, mac: MacAddress | None = None) -> Pace:
        """The pace of a host with this MAC; None: of an address."""
        if mac is not None and is_virtual_router(mac):
            return VIRTUAL_ROUTER_PACE
        return Pace(self.max_moves, self.move_window, self.duplicate_hold)


DEFAULTS = DiscoveryConfig()
