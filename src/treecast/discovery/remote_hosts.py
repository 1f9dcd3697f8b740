"""The hosts of the other nodes, as they publish them, and which of several claims to one host counts.

The highest sequence counts that was reached in steps: a claim that is ahead of all below it by more than
``SEQUENCE_STEP`` does not. So nobody takes a host for good with the highest sequence that there is, and which claim
counts follows from those that live, in whatever order they came. A full table makes room for a node that has fewer
claims there than another one.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_REMOTE_HOSTS
from treecast.base.shares import Shares
from treecast.base.time import Instant
from treecast.discovery.local_hosts import AddressKey, HostKey

MAX_SEQUENCE = 0xFFFF_FFFF
SEQUENCE_STEP = 16
"""A host that moves is claimed with the sequence that counts + 1; some moves may be lost before the next is seen."""


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
    """Bounded here in claims, and by Broadcast in what one origin may advertise."""

    def __init__(self) -> None:
        self._claims: dict[HostKey, dict[NodeIndex, RemoteHost]] = {}
        self._shares: Shares[HostKey] = Shares()
        """The hosts that each node claims."""
        self._count = 0
        self._by_address: dict[AddressKey, dict[HostKey, None]] = {}
        """The hosts that claim an address, the latest one last."""

    @property
    def is_full(self) -> bool:
        return self._count >= MAX_REMOTE_HOSTS

    def largest(self) -> tuple[NodeIndex, int] | None:
        """A node with most claims, and how many."""
        return self._shares.largest()

    def has(self, key: HostKey, node: NodeIndex) -> bool:
        """Whether the node's claim to a host is here."""
        return node in self._claims.get(key, ())

    def to_evict(self, node: NodeIndex) -> tuple[NodeIndex, HostKey] | None:
        """The claim that gives its place to one of this node, which has fewer; None: there is none such."""
        return self._shares.to_evict(node)

    def put(self, key: HostKey, node: NodeIndex, claim: RemoteHost | None) -> bool:
        """A node's claim to a host; None withdraws it. False: the table of claims is full."""
        claims = self._claims.get(key, {})
        if claim is not None and node not in claims and self.is_full:
            return False
        before = claims.pop(node, None)
        self._count += (claim is not None) - (before is not None)
        if claim is not None:
            claims[node] = claim
            self._claims[key] = claims
            self._shares.put(node, key)
        else:
            self._shares.remove(node, key)
            if not claims:
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
        if not claims:
            return None
        if len(claims) == 1:
            return next(iter(claims.values()))
        ranked = sorted(claims.values(), key=lambda claim: claim.rank)
        return ranked[_reached([claim.sequence for claim in ranked])]

    def outranking(self, key: HostKey, own: tuple[int, int]) -> RemoteHost | None:
        """The claim that counts more than this node's own, of that rank; None: this node's does."""
        ranked = sorted((claim.rank, claim.node) for claim in self._claims.get(key, {}).values())
        insort(ranked, (own, _THIS_NODE))
        node = ranked[_reached([sequence for (sequence, _), _ in ranked])][1]
        return None if node == _THIS_NODE else self._claims[key][node]

    def is_ahead(self, key: HostKey, node: NodeIndex, own: tuple[int, int] | None) -> bool:
        """Whether a node's claim does not count, though its sequence is the highest."""
        claim = self._claims.get(key, {}).get(node)
        if claim is None or (own is not None and claim.rank < own):
            return False
        counting = self.get(key) if own is None else self.outranking(key, own)
        return counting is not claim and (counting is None or counting.rank < claim.rank)

    def next_sequence(self, key: HostKey) -> int:
        """The sequence of a host that is here now and was there before (RFC 7432 section 7.7).

        At the top it begins again at 0, which counts: what is at the top is too far ahead of it.
        """
        claim = self.get(key)
        return 0 if claim is None or claim.sequence == MAX_SEQUENCE else claim.sequence + 1

    def __len__(self) -> int:
        """Claims."""
        return self._count

    def addresses_of(self, key: HostKey, node: NodeIndex) -> tuple[IPAddress, ...]:
        """The addresses that the node's claim gives a host."""
        claim = self._claims.get(key, {}).get(node)
        return claim.addresses if claim else ()

    def claimants(self, key: HostKey) -> list[NodeIndex]:
        """The nodes that claim a host, in order."""
        return sorted(self._claims.get(key, {}))

    def with_address(self, vlan: int, address: IPAddress, is_believed: Callable[[NodeIndex], bool]) -> HostKey | None:
        """The host that was the last to get this address, of those of nodes that are believed."""
        for key in reversed(self._by_address.get((vlan, address), {})):
            winner = self.get(key)
            if winner is not None and address in winner.addresses and is_believed(winner.node):
                return key
        return None

    def keys(self) -> Collection[HostKey]:
        """All keys, in no order that means anything."""
        return self._claims.keys()

    def items(self) -> list[tuple[HostKey, RemoteHost]]:
        winners = [(key, claim) for key in self._claims if (claim := self.get(key))]
        return sorted(winners, key=lambda item: item[0])


_THIS_NODE = NodeIndex(0)
"""No node has this index."""


def _reached(sequences: Sequence[int]) -> int:
    """The place of the highest that was reached in steps, of sequences in ascending order."""
    place = 0
    while place + 1 < len(sequences) and sequences[place + 1] - sequences[place] <= SEQUENCE_STEP:
        place += 1
    return place
