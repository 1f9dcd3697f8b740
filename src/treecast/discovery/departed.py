"""Hosts that are at no node since a moment ago, with what they had: the node that learns them next goes on with that.

A node that makes way for another on its LAN withdraws its hosts, before the other one claims them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.bounded_table import BoundedTable
from treecast.base.limits import MAX_DEPARTED_HOSTS
from treecast.base.time import Instant, after
from treecast.discovery.limits import HOST_LIFETIME
from treecast.discovery.local_hosts import HostKey


@dataclass(frozen=True, slots=True)
class Belongings:
    """Addresses and flags that a host had where it was last."""

    addresses: tuple[IPAddress, ...]
    is_router: bool


class DepartedHosts:
    """Hosts that departed within the last HOST_LIFETIME. Bounded: the first to go is forgotten for a new one."""

    def __init__(self) -> None:
        self._departed: BoundedTable[HostKey, tuple[Instant, Belongings]] = BoundedTable(MAX_DEPARTED_HOSTS)

    def put(self, now: Instant, key: HostKey, addresses: Iterable[IPAddress], *, is_router: bool) -> None:
        """The host is at no node from now on."""
        self._departed.put(key, (now, Belongings(tuple(addresses), is_router)))

    def take(self, now: Instant, key: HostKey) -> Belongings | None:
        """The host is at a node again."""
        self.advance(now)
        found = self._departed.pop(key, None)
        return found[1] if found else None

    def advance(self, now: Instant) -> None:
        while self._departed and after(next(iter(self._departed.values()))[0], HOST_LIFETIME) <= now:
            self._departed.popitem(last=False)
