"""The options of ``treecast up``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from treecast.adapters.account import Account
from treecast.base.addresses import Endpoint, HostPort
from treecast.base.on_demand import OnDemandConfig
from treecast.base.rates import in_bytes, in_rate
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.base.tree_planner import TreePlanner, star
from treecast.multicast import MembershipConfig


@dataclass(frozen=True, slots=True)
class UpOptions:
    """``listen`` empty: port 7700 of all addresses, IPv4 and IPv6. ``workers`` 0: one per core.

    ``groups``: what programs reach by the interface when they name none; ``router_groups``: what routers at this node
    get without joining; ``authenticated``: what is sealed for each receiver alone; ``replicated``: what this node sends
    to each itself; ``protected``: what it sends by two trees.
    ``underlay_mtu_bytes``: 1280 to 9000; None: what the interfaces carry.
    ``account``: whose process the node is once it has opened what it needs; None: the same as at the start.
    ``super_packets`` False: datagrams for groups reach this machine one by one, whether it routes multicast or not.
    ``relaying``: what the node sends on, and to how many. ``max_links``: how many links it chooses; None: all.
    ``on_demand``: what makes it link with others.
    ``planner``: of the trees whose root this node is; ``treecast up`` has the usual one.
    """

    directory: Path
    listen: tuple[Endpoint, ...]
    peers: tuple[HostPort, ...]
    interface: str
    groups: tuple[IPv4Network | IPv6Network, ...]
    log_level: str
    keep_interface: bool = False
    router_groups: tuple[IPv4Network | IPv6Network, ...] = ()
    authenticated: tuple[IPv4Network | IPv6Network, ...] = ()
    replicated: tuple[IPv4Network | IPv6Network, ...] = ()
    protected: tuple[IPv4Network | IPv6Network, ...] = ()
    super_packets: bool = True
    workers: int = 0
    underlay_mtu_bytes: int | None = None
    account: Account | None = None
    membership: MembershipConfig = field(default_factory=MembershipConfig)
    planner: TreePlanner = star
    relaying: Relaying = UNBOUNDED
    max_links: int | None = None
    on_demand: OnDemandConfig = field(default_factory=OnDemandConfig)

    def in_words(self, interface: str, bridge: str = "") -> list[str]:
        """The options that are in force, a line each, for ``status``. ``interface``: as it is called now; ``bridge``:
        the one that it is in, which has its routes.
        """
        usual = MembershipConfig()
        changed = [
            f.name for f in fields(self.membership) if getattr(self.membership, f.name) != getattr(usual, f.name)
        ]
        mtu, groups = self.underlay_mtu_bytes, _prefixes(self.groups) or "none (programs name the interface)"
        lines = (
            (True, f"groups by {bridge or interface}: {groups}"),
            (self.router_groups, f"groups for routers: {_prefixes(self.router_groups)}"),
            (self.authenticated, f"authenticated groups: {_prefixes(self.authenticated)}"),
            (self.replicated, f"replicated groups: {_prefixes(self.replicated)}"),
            (self.protected, f"protected groups: {_prefixes(self.protected)}"),
            (self.keep_interface, f"{interface} stays when the node ends"),
            (mtu is not None, f"underlay MTU of at most {mtu} bytes"),
            (self.account is not None, f"account {self.account.name if self.account else ''}"),
            (not self.super_packets, "datagrams for groups one by one"),
            *_relaying(self.relaying),
            (self.max_links is not None, f"at most {self.max_links} links are chosen"),
            (self.on_demand != OnDemandConfig(), f"links on demand: {_on_demand(self.on_demand)}"),
            (changed, f"membership: {', '.join(f'{_name(n)}={_value(self.membership, n)}' for n in changed)}"),
        )
        return [line for is_so, line in lines if is_so]


def _relaying(relaying: Relaying) -> tuple[tuple[object, str], ...]:
    uplink, children = relaying.uplink_bps, relaying.max_children
    return (
        (not relaying.relays, "no relay of other nodes' streams"),
        (uplink is not None, f"uplink of {in_rate(uplink or 0)}"),
        (children is not None, f"at most {children} children over all trees"),
    )


def _on_demand(config: OnDemandConfig) -> str:
    if config.links == 0:
        return "none"
    volume, above, below = in_bytes(config.volume_bytes), in_rate(config.above_bps), in_rate(config.below_bps)
    return (
        f"at most {config.links}, above {above} for {config.above_for:g} s or {volume} in a minute, "
        f"until below {below} for {config.below_for:g} s"
    )


def _prefixes(prefixes: tuple[IPv4Network | IPv6Network, ...]) -> str:
    return ", ".join(map(str, prefixes))


def _name(field_name: str) -> str:
    return field_name.replace("_", "-")


def _value(membership: MembershipConfig, field_name: str) -> str:
    value = getattr(membership, field_name)
    return ("off", "on")[value] if isinstance(value, bool) else str(value)
