"""A LAN that a port leads to (switch mode), as the machine stands on it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface

from treecast.base.addresses import MacAddress
from treecast.base.keep_local import KEEP_ALL, KeepLocal
from treecast.base.storm_control import StormLimits


@dataclass(frozen=True, slots=True)
class BridgedLan:
    """``mac``, ``addresses``: the machine's own there. Without an address of a router's subnet that one may ignore what
    the node reports.
    """

    mac: MacAddress
    addresses: tuple[IPv4Interface, ...]
    limits: StormLimits
    keep_local: KeepLocal = KEEP_ALL

    @property
    def ipv4(self) -> IPv4Interface | None:
        """The first of the addresses."""
        return self.addresses[0] if self.addresses else None
