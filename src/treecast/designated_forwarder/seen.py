"""Hosts seen on a blocked port: kept for the moment it takes over, when they are this node's to claim.

Bounded; the longest silent goes first. Decides nothing: some of these hosts are on the LAN, others were only seen
through its forwarder; the engine knows which, for it has what other nodes claim.
"""

from __future__ import annotations

from treecast.base.addresses import MacAddress
from treecast.base.bounded_table import BoundedTable
from treecast.base.limits import MAX_SEEN_HOSTS
from treecast.base.time import Duration, Instant, after

SEEN_LIFETIME: Duration = 300.0
"""The time that a host of this node's own is remembered."""

SeenHost = tuple[int, MacAddress]
"""VLAN (0: untagged) and MAC."""


class SeenHosts:
    """Notes the hosts seen on a port that is blocked."""

    def __init__(self) -> None:
        self._seen: BoundedTable[SeenHost, Instant] = BoundedTable(MAX_SEEN_HOSTS)

    def saw(self, now: Instant, vlan: int, mac: MacAddress) -> None:
        """A frame of this host came; a group's address is nobody's."""
        if mac.is_group:
            return
        self._seen.put((vlan, mac), now)

    def take(self, now: Instant) -> tuple[SeenHost, ...]:
        """The hosts that are not long silent, sorted; they are forgotten here."""
        recent = sorted(host for host, received_at in self._seen.items() if after(received_at, SEEN_LIFETIME) > now)
        self._seen.clear()
        return tuple(recent)
