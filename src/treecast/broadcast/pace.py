"""The pace of an origin: how many advertisements it may publish, which each node checks of all others."""

from __future__ import annotations

from treecast.base.time import Instant
from treecast.base.token_bucket import TokenBucket

ADVERTISEMENTS_PER_S = 50.0
ADVERTISEMENTS_BURST = 8192.0
"""A node with full ports, that starts, publishes 4,096 hosts and up to 12,288 groups in some hundred chunks."""
EPOCH_COST = 256.0
"""A new epoch: what its origin had is unlearned, and its first advertisement is passed on to all."""


def full_pace(now: Instant) -> TokenBucket:
    """An origin's that has published nothing yet."""
    return TokenBucket.full(ADVERTISEMENTS_PER_S, ADVERTISEMENTS_BURST, now)
