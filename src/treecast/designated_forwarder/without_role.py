"""Members on a LAN that send beacons without the role bridge, for people: who, and how many. Decides nothing.

A host of the LAN can send a beacon as of any node, and repeat one. So a node is named for those that it has signed and
that are new. Few signatures are looked at: those that an election needs have a rate of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import LastMinute
from treecast.base.limits import MAX_LAN_STRANGERS
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket
from treecast.identity.keys import VerifySignature
from treecast.wire.beacon import BEACON_CONTEXT, SignedBeacon

CHECKS_PER_S = 10
"""Signatures looked at on a LAN: some nodes' beacons, two a second each. Each takes about 0.1 ms."""
FEWEST = 3
"""Fewer in a minute are no problem: a certificate may change while a beacon is on its way."""


@dataclass(slots=True)
class _Sent:
    """Beacons of a node: epoch and sequence of the last one, and how many there were."""

    latest: tuple[int, int] = (0, -1)
    counts: LastMinute = field(default_factory=LastMinute)
    is_named: bool = False


class WithoutRole:
    """The beacons of one port's LAN that count for nothing, as their node has not the role."""

    def __init__(self, now: Instant, verify: VerifySignature) -> None:
        self._verify = verify
        self._checks = TokenBucket.full(CHECKS_PER_S, CHECKS_PER_S, now)
        self._nodes: BoundedTable[NodeIndex, _Sent] = BoundedTable(MAX_LAN_STRANGERS)

    def note(self, now: Instant, signed: SignedBeacon, public_key: bytes) -> None:
        """One came that names a living node in its epoch."""
        beacon = signed.beacon
        node, latest = NodeIndex(beacon.node_index), (beacon.epoch, beacon.sequence)
        known = self._nodes.get(node)
        if (known is not None and latest <= known.latest) or not self._checks.take(now):
            return
        if not self._verify(public_key, BEACON_CONTEXT, signed.body, signed.signature):
            return
        sent = self._nodes.get(node) or _Sent()
        self._nodes.put(node, sent)
        sent.latest = latest
        sent.counts.add(now, 1)

    def problems(
        self,
        now: Instant,
        interface: str,
        name: Callable[[NodeIndex], str],
        name_and_address: Callable[[NodeIndex], str],
    ) -> Iterator[Problem]:
        """A problem until a minute after the last beacon."""
        for node, sent in self._nodes.items():
            sent.counts.expire(now)
            count = sent.counts.total
            sent.is_named = count >= FEWEST or (sent.is_named and count > 0)
            if sent.is_named:
                text = _text(f"{interface}: {name_and_address(node)}", name(node), count)
                yield Problem("beacons_without_role", f"{interface} {node}", text)


def _text(who: str, name: str, count: int) -> str:
    return (
        f"{who} sent at least {count} beacons on this LAN in the last minute, as if it carried it, and its certificate "
        "has not the role bridge, so they count for nothing: if it is to carry a LAN, run treecast node renew "
        f"{name} --role bridge,relay where the CA key is, else take it off this LAN and find out what runs there, and "
        f"where it is a member that lies, run treecast node revoke {name}"
    )
