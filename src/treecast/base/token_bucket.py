"""A token bucket: how often something may happen, and how often in a row."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.time import Instant, after


@dataclass(slots=True)
class TokenBucket:
    """``rate_per_s`` tokens a second, at most ``burst`` of them."""

    rate_per_s: float
    burst: float
    tokens: float
    filled_at: Instant

    @classmethod
    def full(cls, rate_per_s: float, burst: float, now: Instant) -> TokenBucket:
        """One of which nothing is taken yet."""
        return cls(rate_per_s, burst, burst, now)

    def has(self, now: Instant) -> bool:
        """Whether there is a token."""
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate_per_s)
        self.filled_at = now
        return self.tokens >= 1.0

    def take(self, now: Instant, count: float = 1.0) -> bool:
        """Whether there is a token; then it is gone, or so many, which may leave less than none."""
        if not self.has(now):
            return False
        self.tokens -= count
        return True

    def next(self, now: Instant) -> Instant:
        """The time at which there is a token."""
        return now if self.has(now) else after(now, (1.0 - self.tokens) / self.rate_per_s)
