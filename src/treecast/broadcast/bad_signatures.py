"""Bad signatures: what checks that failed may cost, by the neighbour that brought what was checked.

Decides when nothing more of a neighbour is looked at for now, and of whom people read. The origin that such an
advertisement names has no part in it. Never looks at a signature.
"""

from __future__ import annotations

from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket
from treecast.identity.certificate import CERTIFICATE_BAD_SIGNATURE

BAD_SIGNATURE = "advertisement_bad_signature"
BAD_SIGNATURE_RATE = "advertisement_signature_rate"
FAILED_CHECKS_PER_S, FAILED_CHECKS_BURST = 8.0, 64.0
"""A node passes on what it has verified: of one as it is released none fails. A check takes less than 0.1 ms."""


class BadSignatures:
    """Budgets of the linked nodes that have brought any."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._failed_checks: dict[NodeIndex, TokenBucket] = {}

    def require_budget(self, now: Instant, peer: NodeIndex) -> None:
        """MalformedError for what the neighbour brings while it has none: not acknowledged, so that it comes again."""
        budget = self._failed_checks.get(peer)
        if budget is not None and not budget.has(now):
            raise MalformedError(BAD_SIGNATURE_RATE)

    def refused(self, now: Instant, peer: NodeIndex, reason: str) -> None:
        """One that the neighbour brought was refused: noted of it, where that was for a signature."""
        if reason not in (BAD_SIGNATURE, CERTIFICATE_BAD_SIGNATURE):
            return
        self._drops.note_of(peer, BAD_SIGNATURE)
        budget = self._failed_checks.get(peer)
        if budget is None:
            budget = TokenBucket.full(FAILED_CHECKS_PER_S, FAILED_CHECKS_BURST, now)
            self._failed_checks[peer] = budget
        budget.take(now)

    def link_down(self, peer: NodeIndex) -> None:
        """The node is no neighbour any more."""
        self._failed_checks.pop(peer, None)
