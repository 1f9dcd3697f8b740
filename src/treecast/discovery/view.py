"""The host table as it is shown to people."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant


@dataclass(frozen=True, slots=True)
class HostView:
    """One host. ``port``: None behind another node; ``sighted_at``: None for a node's own interface here.

    ``moves``: in the last minutes; ``duplicate``: in two places at once, kept where it was; ``conflicts``: MACs that
    claim an address of this host too.
    """

    vlan: int
    mac: MacAddress
    addresses: tuple[IPAddress, ...]
    node: NodeIndex
    port: int | None
    sighted_at: Instant | None
    is_router: bool
    moves: int
    duplicate: bool
    conflicts: tuple[MacAddress, ...]
    name: str = ""
    """The host's own name; empty behind another node."""


@dataclass(slots=True)
class DiscoveryCounters:
    """Counters of NodeDiscovery."""

    solicitations_proxied: int = 0
    """ARP requests and neighbor solicitations answered for a host elsewhere (RFC 9161)."""
    solicitations_suppressed: int = 0
    """Solicitations for a host of this node: it answers itself, the overlay carries nothing."""
    solicitations_flooded: int = 0
    """Solicitations that went to all nodes: the answer was not known, or in doubt."""
    host_moves: int = 0
    host_duplicates: int = 0
    address_moves: int = 0
    address_duplicates: int = 0
    address_conflicts: int = 0

    def snapshot(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}
