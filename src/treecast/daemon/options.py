"""What the operator asks of ``treecast up``."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from treecast.base.addresses import Endpoint
from treecast.multicast import MembershipConfig

ALL_GROUPS: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("224.0.0.0/4"), IPv6Network("ff00::/8"))


@dataclass(frozen=True, slots=True)
class HostPort:
    """A node's address as the operator wrote it: a host name or an IP address, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """``listen`` empty: port 7700 of all addresses, IPv4 and IPv6. ``workers`` 0: one per core.

    ``groups``: what programs reach by the interface when they name none; ``router_groups``: what routers at this node
    get without joining. ``underlay_mtu_bytes``: 1280 to 9000; None: what the interfaces carry.
    ``super_packets`` False: datagrams for groups reach this machine one by one, whether it routes multicast or not.
    """

    directory: Path
    listen: tuple[Endpoint, ...]
    peers: tuple[HostPort, ...]
    interface: str
    groups: tuple[IPv4Network | IPv6Network, ...]
    log_level: str
    keep_interface: bool = False
    router_groups: tuple[IPv4Network | IPv6Network, ...] = ()
    super_packets: bool = True
    workers: int = 0
    underlay_mtu_bytes: int | None = None
    membership: MembershipConfig = field(default_factory=MembershipConfig)
