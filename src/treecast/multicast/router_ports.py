"""Where multicast routers are: one port's, of one VLAN (RFC 4541 section 2.1.1).

A router shows itself by queries with an address of its own, by PIM or by Multicast Router Discovery (RFC 4286), and is
believed until it has been silent for the Other Querier Present Interval or for its hold time. Queries from
0.0.0.0 come from other snooping switches and make no router port.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.limits import MAX_ROUTERS_PER_SEGMENT
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers

FOREVER_S: Duration = 65_535
"""A Hello that never times out is believed this long: a router that is gone must not stay."""


@dataclass(frozen=True, slots=True)
class RouterView:
    """A router on a port. ``seen_by``: ``query``, ``pim`` or ``mrd``."""

    port: int
    vlan: int
    address: IPAddress
    seen_by: str
    expires: Instant


class RouterPort:
    """The routers of one port and VLAN."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._routers: dict[tuple[IPAddress, str], Instant] = {}
        self._silences: Timers[tuple[IPAddress, str]] = Timers()
        """The time at which each router has been silent for too long."""

    def note(self, now: Instant, address: IPAddress, seen_by: str, hold_time: Duration) -> None:
        """A router showed itself; with a ``hold_time`` of 0 it goes."""
        if address.is_unspecified:
            return
        key = (address, seen_by)
        if hold_time <= 0:
            self._routers.pop(key, None)
            self._silences.cancel(key)
        elif key not in self._routers and len(self._routers) >= MAX_ROUTERS_PER_SEGMENT:
            self._drops.count("multicast_routers_full")
        else:
            self._routers[key] = after(now, min(hold_time, FOREVER_S))
            self._silences.set(key, self._routers[key])

    def advance(self, now: Instant) -> None:
        """Forget the silent ones."""
        for key in self._silences.due(now):
            del self._routers[key]

    def has_router(self, ip_version: int) -> bool:
        """Whether routers of this IP version are there."""
        return any(address.version == ip_version for address, _ in self._routers)

    def known(self) -> frozenset[tuple[IPAddress, str]]:
        """The routers, and how each was seen."""
        return frozenset(self._routers)

    def knows(self, address: IPAddress, seen_by: str) -> bool:
        return (address, seen_by) in self._routers

    def count(self, ip_version: int, seen_by: str) -> int:
        """How many routers of this IP version have shown themselves this way."""
        return sum(address.version == ip_version and how == seen_by for address, how in self._routers)

    def next_deadline(self) -> Instant | None:
        return self._silences.next()

    def views(self, port: int, vlan: int) -> list[RouterView]:
        found = sorted(self._routers.items(), key=lambda item: (item[0][0].version, int(item[0][0]), item[0][1]))
        return [RouterView(port, vlan, address, seen_by, expires) for (address, seen_by), expires in found]
