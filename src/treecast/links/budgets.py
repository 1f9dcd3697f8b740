"""Budgets: how many INITs go to one address, whichever nodes advertise it, and how many sessions one node makes here.

Members advertise where they are, and may name an address that is none of theirs: all nodes would seek them there. One
that makes sessions over and over, as if it had forgotten the one before, has work done for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.bounded_table import BoundedTable
from treecast.base.counters import SESSION_BEGUN, Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_INIT_BUDGETS, MAX_SESSION_BUDGETS
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket
from treecast.links.handshake_channels import OutOfSession
from treecast.links.target import Target

INITS_PER_S = 4.0
INITS_BURST = 32.0
"""The number of nodes behind one address that may be sought at once."""
SESSIONS_PER_S = 0.5
SESSIONS_BURST = 8.0
"""Nodes that seek each other at the same time, and start again a few times, make some in a row."""


class SessionBudgets:
    """Sessions that nodes have made outside of the one before. Of too many nodes the one of longest ago makes room."""

    def __init__(self, drops: Drops) -> None:
        """``drops``: where each session is noted as its node's, for ``daemon.refused_nodes``."""
        self._drops = drops
        self._of: BoundedTable[NodeIndex, TokenBucket] = BoundedTable(MAX_SESSION_BUDGETS)

    def permit(self, now: Instant, node: NodeIndex, *, in_session: bool) -> bool:
        """Whether the node makes one more now; inside of the one before it always does."""
        self._drops.note_of(node, SESSION_BEGUN)
        if in_session:
            return True
        budget = self._of.get(node) or TokenBucket.full(SESSIONS_PER_S, SESSIONS_BURST, now)
        self._of.put(node, budget)
        return budget.take(now)


class Budgets:
    """INITs by address, of those that were sent to lately. Of too many the one used least lately makes room."""

    def __init__(self, families: Sequence[int], drops: Drops) -> None:
        """``families``: the IP version of each of the data plane's sockets, in their order."""
        self._families = tuple(families)
        self._drops = drops
        self._of: BoundedTable[IPAddress, TokenBucket] = BoundedTable(MAX_INIT_BUDGETS)

    def __len__(self) -> int:
        return len(self._of)

    def permitted(self, now: Instant, target: Target, endpoints: Iterable[Endpoint]) -> Iterator[OutOfSession]:
        """The channels to a target's endpoints in which an INIT may go now. One with a session is where it answers."""
        for endpoint in endpoints:
            if endpoint.address.version not in self._families:
                continue
            if target.is_peer or self._permit(now, endpoint.address):
                yield OutOfSession(self._families.index(endpoint.address.version), endpoint)

    def _permit(self, now: Instant, address: IPAddress) -> bool:
        """Whether one more INIT may go there now; it is counted where not, and goes with the next repetition."""
        budget = self._of.get(address) or TokenBucket.full(INITS_PER_S, INITS_BURST, now)
        self._of.put(address, budget)
        permitted = budget.take(now)
        if not permitted:
            self._drops.count("init_budget")
        return permitted
