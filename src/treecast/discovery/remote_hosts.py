"""The hosts of the other nodes, as they publish them; a host that several claim is where its sequence is highest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REMOTE_HOSTS
from treecast.base.time import Instant
from treecast.discovery.local_hosts import AddressKey, HostKey


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """One node's claim to a host."""

    node: NodeIndex
    addresses: tuple[IPAddress, ...]
    sequence: int
    learned_at: Instant
    is_router: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        """Higher wins: the later move (RFC 7432 section 7.7), then the lower node index."""
        return (self.sequence, -self.node)


class RemoteHosts:
    """Bounded here in hosts, and by Broadcast in what one origin may advertise."""

    def __init__(self) -> None:
        self._claims: dict[HostKey, dict[NodeIndex, RemoteHost]] = {}
        self._by_address: dict[AddressKey, dict[HostKey, None]] = {}
        """The hosts that claim an address, the latest one last."""

    def put(self, key: HostKey, node: NodeIndex, claim: RemoteHost | None) -> bool:
        """A node's claim to a host; None withdraws it. False: the table of hosts is full."""
        claims = self._claims.get(key, {})
        if claim is not None and not claims and len(self._claims) >= MAX_REMOTE_HOSTS:
            return False
        before = claims.pop(node, None)
        if claim is not None:
            claims[node] = claim
            self._claims[key] = claims
        elif not claims:
            self._claims.pop(key, None)
        had, has = before.addresses if before else (), claim.addresses if claim else ()
        for address in had:
            if not any(address in other.addresses for other in claims.values()):
                self._forget_address(key, address)
        for address in has:
            if address not in had:
                keys = self._by_address.setdefault((key[0], address), {})
                keys.pop(key, None)
                keys[key] = None
        return True

    def _forget_address(self, key: HostKey, address: IPAddress) -> None:
        keys = self._by_address.get((key[0], address))
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del self._by_address[(key[0], address)]

    def get(self, key: HostKey) -> RemoteHost | None:
        """The claim that counts."""
        claims = self._claims.get(key)
        return max(claims.values(), key=lambda claim: claim.rank) if claims else None

    def __len__(self) -> int:
        return len(self._claims)

    def claimants(self, key: HostKey) -> list[NodeIndex]:
        """The nodes that claim a host, in order."""
        return sorted(self._claims.get(key, {}))

    def with_address(self, vlan: int, address: IPAddress, owner: NodeIndex | None) -> HostKey | None:
        """The host that was the last to get this address; only a host of the owner's where there is one."""
        for key in reversed(self._by_address.get((vlan, address), {})):
            winner = self.get(key)
            if winner is not None and address in winner.addresses and owner in (None, winner.node):
                return key
        return None

    def keys(self) -> Collection[HostKey]:
        """All keys, in no order that means anything."""
        return self._claims.keys()

    def items(self) -> list[tuple[HostKey, RemoteHost]]:
        winners = [(key, claim) for key in self._claims if (claim := self.get(key))]
        return sorted(winners, key=lambda item: item[0])
