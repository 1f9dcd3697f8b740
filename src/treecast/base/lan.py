"""A LAN that a port leads to (switch mode), as the machine stands on it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface

from treecast.base.addresses import MacAddress
from treecast.base.keep_local import KEEP_ALL, KeepLocal
from treecast.base.storm_control import StormLimits


@dataclass(frozen=True, slots=True)
class BridgedLan:
    """``mac``, ``ipv4``: the machine's own there. Without an address of the LAN's subnet (None) its routers may ignore
    what the node reports.
    """

    mac: MacAddress
    ipv4: IPv4Interface | None
    limits: StormLimits
    keep_local: KeepLocal = KEEP_ALL
