"""Authenticity of beacons: which of those that a LAN brings are of living nodes of this network, and new.

A host of the LAN can send any frame and repeat all that it received, so a beacon counts that its node has signed, in
the epoch in which that node's advertisements live now, with a higher sequence than the last one. The node must be one
that may carry LANs. A beacon comes in two copies: one of them is enough, and the other is no repetition. Signatures
are checked so many times a second; in a flood beyond that nothing new is decided (``is_flooded``), for genuine ones
are lost too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from treecast.base.bounded_table import BoundedTable
from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_BEACON_SEQUENCES, MAX_CANDIDATES
from treecast.base.time import Duration, Instant, after
from treecast.designated_forwarder.election import BEACON_HOLD_TIME, Rank
from treecast.designated_forwarder.without_role import WithoutRole
from treecast.identity.keys import VerifySignature
from treecast.wire.beacon import BEACON_CONTEXT, Beacon, SignedBeacon

CHECKS_PER_S = 150
"""Beacons of a LAN whose signature is checked: MAX_CANDIDATES nodes send 128 a second. Each takes about 0.1 ms."""

OWN_WINDOW = 16
"""A beacon of this node's that comes back is a loop when it is one of the last so many; older ones were recorded."""

LivingSigner = tuple[bytes, int]
"""A living node's public signing key, and the epoch of its advertisements."""

FindSigner = Callable[[NodeIndex], LivingSigner | None]
"""The signer of a node's beacons; None where no advertisements of that node live."""


MayCarry = Callable[[NodeIndex], bool]
"""Whether a node's certificate has the role bridge; so long as it is not known, too."""


@dataclass(slots=True)
class _Latest:
    """The last beacon of a port that counted. ``is_whole``: both of its copies have come."""

    signed: SignedBeacon
    is_whole: bool = False


class Authenticity:
    """The beacons of one port. ``judge`` decides which count."""

    def __init__(
        self, now: Instant, find_signer: FindSigner, may_carry: MayCarry, verify: VerifySignature, drops: Drops
    ) -> None:
        self._find_signer = find_signer
        self._may_carry = may_carry
        self._verify = verify
        self._drops = drops
        self.without_role = WithoutRole(now, verify)
        self._latest: BoundedTable[Rank, _Latest] = BoundedTable(MAX_BEACON_SEQUENCES)
        """The last beacon of each port of a node, also of those that are gone."""
        self._waiting: BoundedTable[Rank, tuple[SignedBeacon, Instant]] = BoundedTable(MAX_CANDIDATES)
        """The last beacon of each that no advertisement is known of yet, and when it came."""
        self._checks = float(CHECKS_PER_S)
        self._checks_at = now
        self._flooded_at: Instant | None = None

    def judge(self, now: Instant, signed: SignedBeacon, own: tuple[NodeIndex, int]) -> Beacon | None:
        """The beacon, where it counts. ``own``: this node and the sequence of its last beacon."""
        beacon = signed.beacon
        node = NodeIndex(beacon.node_index)
        rank = (node, beacon.port)
        signer = self._find_signer(node)
        if signer is None or signer[1] != beacon.epoch:
            self._drops.count("beacon_unknown_node")
            if node != own[0]:
                self._wait(now, rank, signed)
            return None
        if not self._may_carry(node):
            self._drops.count("beacon_without_role")
            self.without_role.note(now, signed, signer[0])
            return None
        if self._is_other_copy(rank, signed):
            return None
        if self._is_old(rank, beacon, own):
            self._drops.count("beacon_repeated")
            return None
        if not self._may_check(now):
            self._drops.count("beacon_rate")
            return None
        if not self._verify(signer[0], BEACON_CONTEXT, signed.body, signed.signature):
            self._drops.count("beacon_bad_signature")
            return None
        self._latest.put(rank, _Latest(signed))
        return beacon

    def take_known(self, now: Instant) -> Iterator[SignedBeacon]:
        """Beacons that waited, of nodes that are known by now: in the turn in which they are learned."""
        for rank, (signed, received_at) in list(self._waiting.items()):
            signer = self._find_signer(rank[0])
            is_known = signer is not None and signer[1] == signed.beacon.epoch
            if is_known or now >= after(received_at, BEACON_HOLD_TIME):
                del self._waiting[rank]
            if is_known:
                yield signed

    def is_flooded(self, now: Instant) -> bool:
        """Whether genuine beacons may have been lost lately among others."""
        return self._flooded_at is not None and now < after(self._flooded_at, BEACON_HOLD_TIME)

    def _is_other_copy(self, rank: Rank, signed: SignedBeacon) -> bool:
        """Whether this is the second copy of the last beacon that counted."""
        latest = self._latest.get(rank)
        if latest is None or latest.is_whole or signed.body != latest.signed.body:
            return False
        latest.is_whole = signed.ethertype != latest.signed.ethertype
        return latest.is_whole

    def _is_old(self, rank: Rank, beacon: Beacon, own: tuple[NodeIndex, int]) -> bool:
        latest = self._latest[rank].signed.beacon if rank in self._latest else None
        if latest is not None and latest.epoch == beacon.epoch and beacon.sequence <= latest.sequence:
            return True
        return rank[0] == own[0] and not own[1] - OWN_WINDOW < beacon.sequence <= own[1]

    def _wait(self, now: Instant, rank: Rank, signed: SignedBeacon) -> None:
        self._waiting.put(rank, (signed, now))

    def _may_check(self, now: Instant) -> bool:
        passed: Duration = now - self._checks_at
        self._checks = min(self._checks + passed * CHECKS_PER_S, float(CHECKS_PER_S))
        self._checks_at = now
        if self._checks < 1:
            self._flooded_at = now
            return False
        self._checks -= 1
        return True
