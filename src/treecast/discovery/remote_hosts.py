"""The hosts of the other nodes, as they publish them; a host that several claim is where its sequence is highest."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.discovery.local_hosts import HostKey


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """One node's claim to a host."""

    node: NodeIndex
    addresses: tuple[IPAddress, ...]
    sequence: int
    learned_at: Instant

    @property
    def rank(self) -> tuple[int, int]:
        """Higher wins: the later move (RFC 7432 section 7.7), then the lower node index."""
        return (self.sequence, -self.node)


class RemoteHosts:
    """Bounded by Broadcast's bounds on what an origin may say."""

    def __init__(self) -> None:
        self._claims: dict[HostKey, dict[NodeIndex, RemoteHost]] = {}
        self._by_address: dict[tuple[int, IPAddress], set[HostKey]] = {}

    def put(self, key: HostKey, node: NodeIndex, claim: RemoteHost | None) -> None:
        """A node's claim to a host; None withdraws it."""
        claims = self._claims.setdefault(key, {})
        before = claims.pop(node, None)
        for address in before.addresses if before else ():
            keys = self._by_address.get((key[0], address), set())
            if not any(address in other.addresses for other in claims.values()):
                keys.discard(key)
            if not keys:
                self._by_address.pop((key[0], address), None)
        if claim is not None:
            claims[node] = claim
            for address in claim.addresses:
                self._by_address.setdefault((key[0], address), set()).add(key)
        if not claims:
            del self._claims[key]

    def get(self, key: HostKey) -> RemoteHost | None:
        """The claim that counts."""
        claims = self._claims.get(key)
        return max(claims.values(), key=lambda claim: claim.rank) if claims else None

    def claimants(self, key: HostKey) -> list[NodeIndex]:
        """The nodes that claim a host, in order."""
        return sorted(self._claims.get(key, {}))

    def with_address(self, vlan: int, address: IPAddress, owner: NodeIndex | None) -> HostKey | None:
        """The host that has this address: only the owner's where there is one."""
        keys = self._by_address.get((vlan, address), set())
        if owner is not None:
            keys = {key for key in keys if (claim := self.get(key)) and claim.node == owner}
        return min(keys) if keys else None

    def items(self) -> list[tuple[HostKey, RemoteHost]]:
        winners = [(key, claim) for key in self._claims if (claim := self.get(key))]
        return sorted(winners, key=lambda item: item[0])
