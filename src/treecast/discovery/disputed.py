"""Claims to hosts with an address that a certificate gives to another node: judged anew when that node is lost or back.

The newest claim of each claimant, of so many claimants: whose LAN is taken over is claimed last.
"""

from __future__ import annotations

from treecast.base.bounded_table import BoundedTable
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_DISPUTANTS
from treecast.discovery.local_hosts import HostKey


class Disputed:
    """Keeps them by the node that has the address. Bounded by the nodes that are known, and for each in claimants."""

    def __init__(self) -> None:
        self._claims: dict[NodeIndex, BoundedTable[NodeIndex, HostKey]] = {}

    def note(self, owner: NodeIndex, claimant: NodeIndex, key: HostKey) -> None:
        """A node claims a host with an address of the owner's."""
        self._claims.setdefault(owner, BoundedTable(MAX_DISPUTANTS)).put(claimant, key)

    def of(self, owner: NodeIndex) -> list[tuple[NodeIndex, HostKey]]:
        """Claimants and hosts, the newest last; some may have ended."""
        return list(self._claims.get(owner, {}).items())

    def forget(self, owner: NodeIndex) -> None:
        """The owner is gone: its addresses are nobody's."""
        self._claims.pop(owner, None)
