"""The environment of a node at its start, and the wall clock beside its monotonic one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress, IPNetwork
from treecast.base.installed_trees import InstalledTrees, NothingInstalled
from treecast.base.on_demand import OnDemandConfig
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeModes
from treecast.base.underlay_routes import UnderlayRouteType


def _to_all(_address: IPAddress) -> UnderlayRouteType:
    return UnderlayRouteType.UNICAST


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """The environment in which the node starts.

    ``families``: the IP version of each UDP socket; ``ipv6``: whether the TAP has addresses of it; ``epoch_ms``: the
    start, in milliseconds since 1970; ``aead``: the cipher this processor is good at; ``instance``: 8 random bytes that
    no other run of this node has; ``version``: of the program; ``underlay_route_type``: where datagrams to an address
    would go now; ``loopback``: the addresses of those ``families`` whose socket listens on loopback; ``relaying``: what
    its operator has set of its uplink; ``installed``: the trees that the data plane has; ``max_links``: how many links
    it chooses, None: with all nodes; ``on_demand``: with which others it makes one, for as much as goes there.
    """

    families: Sequence[int]
    ipv6: bool
    epoch_ms: int
    aead: int
    instance: bytes
    underlay_mtu: int = 1500
    version: str = ""
    underlay_route_type: Callable[[IPAddress], UnderlayRouteType] = _to_all
    loopback: Mapping[int, IPAddress] = field(default_factory=dict)
    relaying: Relaying = UNBOUNDED
    installed: InstalledTrees = field(default_factory=NothingInstalled)
    max_links: int | None = None
    on_demand: OnDemandConfig = field(default_factory=OnDemandConfig)


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """Groups that the operator treats apart, by prefixes.

    ``for_routers``: routers at this node get them without joining. ``authenticated``: their frames are sealed for each
    receiver alone, so that none of them can forge one, and count here only so. What hosts here send to groups that are
    ``replicated`` this node sends to each receiver itself, what they send to ``protected`` ones by two trees.
    """

    for_routers: tuple[IPNetwork, ...] = ()
    authenticated: tuple[IPNetwork, ...] = ()
    replicated: tuple[IPNetwork, ...] = ()
    protected: tuple[IPNetwork, ...] = ()

    @property
    def modes(self) -> TreeModes:
        return TreeModes(self.authenticated, self.replicated, self.protected)


ALL_ALIKE = GroupOptions()


class WallClock:
    """The wall clock as it stood when it was last set. ``now``: the instant of the turn that is under way."""

    def __init__(self, unix_minus_monotonic_s: float) -> None:
        self.now = Instant(0.0)
        self._unix_minus_monotonic_s = unix_minus_monotonic_s

    def set(self, now: Instant, unix_now_s: float) -> None:
        """Sets the clock: so many seconds since 1970 at ``now``."""
        self.now = now
        self._unix_minus_monotonic_s = unix_now_s - now

    def unix_s(self, now: Instant) -> float:
        """Seconds since 1970."""
        return now + self._unix_minus_monotonic_s

    def unix_ms(self, now: Instant) -> int:
        """Milliseconds since 1970."""
        return max(int(self.unix_s(now) * 1000), 0)
