"""Moves of hosts between this node's ports and other nodes: what the LANs there must learn of them.

The switches of a LAN that a host has left send its frames to where it was until that ages: no frame of the host comes
there from the node. So the node sends one in its name (RARP, as live migration does), out of the port and to no node.
A LAN that a host has come to has not received its reports: its hosts are queried (RFC 4541 section 2.1.1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from treecast.base.commands import Inject
from treecast.base.counters import Drops
from treecast.base.time import Duration, Instant, after
from treecast.base.token_bucket import TokenBucket
from treecast.discovery.limits import DiscoveryConfig
from treecast.discovery.local_hosts import HostKey
from treecast.wire import rarp
from treecast.wire.ethernet import VlanTag

GONE_DELAY: Duration = 1.0
"""The time before a move is shown to the LAN that the host left. Two beacons: another node may have that LAN now."""


class Moves:
    """Keeps the moves that LANs must learn of.

    Bounded: by the rate at which a port's hosts may go, and one entry per port and VLAN.
    """

    def __init__(self, drops: Drops, config: DiscoveryConfig) -> None:
        self._drops = drops
        self._config = config
        self._rates: dict[int, TokenBucket] = {}
        self._gone: OrderedDict[HostKey, tuple[int, Instant]] = OrderedDict()
        """The port that a host left, and when that is to be shown there: the first to be shown first."""
        self._came: dict[tuple[int, int], None] = {}

    def gone(self, now: Instant, port: int, key: HostKey) -> None:
        """A host of this port lives behind another node now."""
        bucket = self._rates.get(port)
        if bucket is None:
            burst = self._config.new_hosts_burst
            bucket = self._rates[port] = TokenBucket(self._config.new_hosts_per_s, burst, burst, now)
        if not bucket.take(now):
            self._drops.count("host_gone_rate")
            return
        self._gone[key] = (port, after(now, GONE_DELAY))
        self._gone.move_to_end(key)

    def came(self, port: int, vlan: int) -> None:
        """A host that another node had, or another port, lives on this one now."""
        self._came[port, vlan] = None

    def forget_port(self, port: int) -> None:
        """The port leads elsewhere, or its hosts are another node's."""
        for key in [key for key, (left, _) in self._gone.items() if left == port]:
            del self._gone[key]

    def announcements(self, now: Instant, is_elsewhere: Callable[[HostKey], bool]) -> list[Inject]:
        """The frames that are due, for the hosts that are still elsewhere."""
        due: list[Inject] = []
        while self._gone and next(iter(self._gone.values()))[1] <= now:
            key, (port, _) = self._gone.popitem(last=False)
            if is_elsewhere(key):
                vlan, mac = key
                due.append(Inject(port, rarp.announcement_frame(mac, VlanTag(vlan) if vlan else None)))
        return due

    def next_deadline(self) -> Instant | None:
        return next(iter(self._gone.values()))[1] if self._gone else None

    def take_arrivals(self) -> list[tuple[int, int]]:
        """Ports and VLANs that hosts have come to since the last call."""
        taken, self._came = list(self._came), {}
        return taken
