"""The hosts of this node: who was heard on its ports, and when.

Bounded per port and per host; every entry ages out unless it is the node's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.time import Duration, Instant, after, earliest

MAX_HOSTS_PER_PORT = 1024
MAX_ADDRESSES_PER_HOST = 16
HOST_LIFETIME: Duration = 300.0
"""The ageing time of a Linux bridge (IEEE 802.1D table 7-5)."""

HostKey = tuple[int, MacAddress]
"""VLAN (0: untagged) and MAC."""


@dataclass(slots=True)
class LocalHost:
    port: int
    last_heard: Instant
    own: bool = False
    sequence: int = 0
    addresses: dict[IPAddress, Instant] = field(default_factory=dict)

    def sorted_addresses(self) -> tuple[IPAddress, ...]:
        return tuple(sorted(self.addresses, key=lambda address: (address.version, int(address))))


class LocalHosts:
    """All hosts of this node. ``changed`` collects the keys whose published content may have changed."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._hosts: dict[HostKey, LocalHost] = {}
        self.changed: list[HostKey] = []

    def get(self, key: HostKey) -> LocalHost | None:
        return self._hosts.get(key)

    def items(self) -> list[tuple[HostKey, LocalHost]]:
        return sorted(self._hosts.items(), key=lambda item: item[0])

    def add_own(self, now: Instant, mac: MacAddress, addresses: tuple[IPAddress, ...]) -> None:
        """The node's own interface: never ages."""
        host = LocalHost(0, now, own=True, addresses=dict.fromkeys(addresses, now))
        self._hosts[(0, mac)] = host
        self.changed.append((0, mac))

    def heard(self, now: Instant, port: int, key: HostKey, address: IPAddress | None, sequence: int) -> None:
        """A frame of this host came from ``port``. ``sequence`` is a new entry's first."""
        host = self._hosts.get(key)
        if host is None:
            if sum(1 for other in self._hosts.values() if other.port == port) >= MAX_HOSTS_PER_PORT:
                self._drops.count("host_table_full")
                return
            host = self._hosts[key] = LocalHost(port, now, sequence=sequence)
            self.changed.append(key)
        host.port, host.last_heard = port, now
        if address is None:
            return
        if address not in host.addresses:
            if len(host.addresses) >= MAX_ADDRESSES_PER_HOST:
                self._drops.count("host_addresses_full")
                return
            self.changed.append(key)
        host.addresses[address] = now

    def remove(self, key: HostKey) -> None:
        if self._hosts.pop(key, None) is not None:
            self.changed.append(key)

    def advance(self, now: Instant) -> None:
        """Age out the silent."""
        for key, host in list(self._hosts.items()):
            if not host.own and after(host.last_heard, HOST_LIFETIME) <= now:
                self.remove(key)

    def next_deadline(self) -> Instant | None:
        return earliest(*(after(host.last_heard, HOST_LIFETIME) for host in self._hosts.values() if not host.own))
