"""A token bucket: how often something may happen, and how often in a row."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.time import Instant


@dataclass(slots=True)
class TokenBucket:
    """``rate_per_s`` tokens a second, at most ``burst`` of them."""

    rate_per_s: float
    burst: float
    tokens: float
    filled_at: Instant

    def take(self, now: Instant) -> bool:
        """Whether there is a token; then it is gone."""
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate_per_s)
        self.filled_at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True
