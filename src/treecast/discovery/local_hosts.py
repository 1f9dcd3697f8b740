"""The hosts of this node: those seen on its ports, and when.

Bounded per port and per host; a port's news have a rate of their own, so what one port sprays costs no other port
anything; every entry ages out unless it is the node's own.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.counters import Drops
from treecast.base.time import Instant, after, earliest
from treecast.base.token_bucket import TokenBucket
from treecast.discovery.limits import DEFAULTS, HOST_LIFETIME, DiscoveryConfig

__all__ = ["HOST_LIFETIME", "HostKey", "LocalHost", "LocalHosts"]

OWN_PORT = 0

HostKey = tuple[int, MacAddress]
"""VLAN (0: untagged) and MAC."""


AddressKey = tuple[int, IPAddress]
"""VLAN and IP address."""


def host_sort_key(key: HostKey) -> tuple[int, bytes]:
    """The order of hosts: by VLAN, then by MAC."""
    vlan, mac = key
    return (vlan, mac.packed)


@dataclass(slots=True)
class LocalHost:
    port: int
    last_received: Instant
    own: bool = False
    sequence: int = 0
    is_router: bool = False
    name: str = ""
    addresses: dict[IPAddress, Instant] = field(default_factory=dict)

    def sorted_addresses(self) -> tuple[IPAddress, ...]:
        return tuple(sorted(self.addresses, key=lambda address: (address.version, int(address))))


class LocalHosts:
    """All hosts of this node. ``changed`` collects the keys whose published content may have changed."""

    def __init__(self, drops: Drops, config: DiscoveryConfig = DEFAULTS) -> None:
        self._drops = drops
        self._config = config
        self._hosts: dict[HostKey, LocalHost] = {}
        self._on_port: Counter[int] = Counter()
        self._new_hosts: dict[int, TokenBucket] = {}
        self._ageing: OrderedDict[HostKey, None] = OrderedDict()
        """All but the node's own, the longest silent first."""
        self._holders: OrderedDict[AddressKey, HostKey] = OrderedDict()
        """The addresses of those, the longest unheard first."""
        self._own_holders: dict[AddressKey, HostKey] = {}
        self.changed: list[HostKey] = []

    def get(self, key: HostKey) -> LocalHost | None:
        return self._hosts.get(key)

    def holder(self, vlan: int, address: IPAddress) -> HostKey | None:
        """The host of this node that has this address."""
        return self._own_holders.get((vlan, address)) or self._holders.get((vlan, address))

    def keys(self) -> Collection[HostKey]:
        """All keys, in no order that means anything."""
        return self._hosts.keys()

    def items(self) -> list[tuple[HostKey, LocalHost]]:
        return sorted(self._hosts.items(), key=lambda item: item[0])

    def ports(self) -> list[tuple[int, int]]:
        """Each port with hosts, and how many."""
        return sorted(self._on_port.items())

    def add_own(self, now: Instant, mac: MacAddress, addresses: tuple[IPAddress, ...], sequence: int) -> None:
        """The node's own interface: never ages. It replaces what was the node's own before."""
        for key in [key for key, host in self._hosts.items() if host.own]:
            if key != (0, mac):
                self.remove(key)
        self.remove((0, mac))
        for address in addresses:
            self.drop_address(0, address)
        own = LocalHost(OWN_PORT, now, own=True, sequence=sequence, addresses=dict.fromkeys(addresses, now))
        self._hosts[(0, mac)] = own
        self._on_port[OWN_PORT] += 1
        self._own_holders.update({(0, address): (0, mac) for address in addresses})
        self.changed.append((0, mac))

    def sighted(self, now: Instant, port: int, key: HostKey, sequence: int) -> bool:
        """A frame of this host came from ``port``. ``sequence`` is a new entry's first. False: refused, and counted."""
        host = self._hosts.get(key)
        if host is None or host.port != port:
            if self._on_port[port] >= self._config.max_hosts_per_port:
                self._drops.count("host_table_full")
                return False
            if not self._may_bring_news(now, port):
                self._drops.count("host_rate")
                return False
            self._on_port[port] += 1
            if host is None:
                host = self._hosts[key] = LocalHost(port, now, sequence=sequence)
                self.changed.append(key)
            else:
                self._left(host.port)
        host.port, host.last_received = port, now
        if not host.own:
            self._ageing[key] = None
            self._ageing.move_to_end(key)
        return True

    def outbid(self, key: HostKey, sequence: int) -> None:
        """Publish it with this sequence from now on."""
        self._hosts[key].sequence = sequence
        self.changed.append(key)

    def set_router(self, key: HostKey, is_router: bool) -> None:
        """Whether it advertises itself as a router (RFC 4861, IsRouter)."""
        host = self._hosts[key]
        if host.is_router != is_router:
            host.is_router = is_router
            self.changed.append(key)

    def take_address(self, now: Instant, key: HostKey, address: IPAddress) -> bool:
        """This host has this address, and no other host of this node has it. False: refused, and counted."""
        host = self._hosts[key]
        if address not in host.addresses:
            if len(host.addresses) >= self._config.max_addresses_per_host:
                self._drops.count("host_addresses_full")
                return False
            if not self._may_bring_news(now, host.port):
                self._drops.count("host_rate")
                return False
            self.drop_address(key[0], address)
            self.changed.append(key)
        host.addresses[address] = now
        if (key[0], address) not in self._own_holders:
            self._holders[(key[0], address)] = key
            self._holders.move_to_end((key[0], address))
        return True

    def drop_address(self, vlan: int, address: IPAddress) -> None:
        """Whichever host has this address has it no more; the node's own addresses stay."""
        key = self._holders.pop((vlan, address), None)
        if key is not None:
            self._hosts[key].addresses.pop(address, None)
            self.changed.append(key)

    def remove(self, key: HostKey) -> None:
        host = self._hosts.pop(key, None)
        if host is None:
            return
        self._left(host.port)
        self._ageing.pop(key, None)
        for address in host.addresses:
            self._holders.pop((key[0], address), None)
            self._own_holders.pop((key[0], address), None)
        self.changed.append(key)

    def remove_port(self, port: int) -> None:
        """All hosts of a port, the node's own too."""
        for key in [key for key, host in self._hosts.items() if host.port == port]:
            self.remove(key)

    def advance(self, now: Instant) -> None:
        """Age out the silent, and addresses that nobody mentions any more."""
        while self._ageing and self._host_ends(next(iter(self._ageing))) <= now:
            self.remove(next(iter(self._ageing)))
        while self._holders and self._address_ends(next(iter(self._holders))) <= now:
            self.drop_address(*next(iter(self._holders)))

    def next_deadline(self) -> Instant | None:
        return earliest(
            self._host_ends(next(iter(self._ageing))) if self._ageing else None,
            self._address_ends(next(iter(self._holders))) if self._holders else None,
        )

    def _host_ends(self, key: HostKey) -> Instant:
        return after(self._hosts[key].last_received, self._config.host_lifetime)

    def _address_ends(self, key: AddressKey) -> Instant:
        sighted_at = self._hosts[self._holders[key]].addresses[key[1]]
        return after(sighted_at, self._config.address_lifetime)

    def _left(self, port: int) -> None:
        self._on_port[port] -= 1
        if not self._on_port[port]:
            del self._on_port[port]

    def _may_bring_news(self, now: Instant, port: int) -> bool:
        bucket = self._new_hosts.get(port)
        if bucket is None:
            burst = self._config.new_hosts_burst
            bucket = self._new_hosts[port] = TokenBucket(self._config.new_hosts_per_s, burst, burst, now)
        return bucket.take(now)
