"""Whom this node wants to reach, and when it tries.

A target is a configured address (``--peer``) or a node that Broadcast told of. An attempt is one handshake in the role
of the initiator, sent to all addresses of its target.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.links.crypto import Handshake

FIRST_INIT_INTERVAL: Duration = 0.5
LAST_INIT_INTERVAL: Duration = 2.0
"""A peer that restarts and knows nobody is reached again within this time."""

ATTEMPT_LIFETIME: Duration = 10.0
"""After this the handshake begins again with a fresh ephemeral key."""


@dataclass(slots=True)
class Target:
    """Somebody to reach. ``name`` is the configured text; None for a node learned from Broadcast."""

    name: str | None
    node: NodeIndex | None
    endpoints: tuple[Endpoint, ...]
    next_try: Instant
    avoided: set[Endpoint] = field(default_factory=set)
    sought_since: Instant | None = None
    """Since when its node has no link; None while it has one, or before the first review."""

    @property
    def worth_trying(self) -> tuple[Endpoint, ...]:
        """Its endpoints but those where another node answered; all of them when none is left."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint not in self.avoided) or self.endpoints

    def moved(self, endpoints: tuple[Endpoint, ...]) -> None:
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            self.avoided.clear()


@dataclass(slots=True)
class Attempt:
    """One handshake that this node began."""

    target: Target
    handshake: Handshake
    init: bytes
    began_at: Instant
    next_init: Instant
    interval: Duration = FIRST_INIT_INTERVAL

    def sent(self, now: Instant) -> None:
        self.next_init = after(now, self.interval)
        self.interval = min(2 * self.interval, LAST_INIT_INTERVAL)

    def is_over(self, now: Instant) -> bool:
        return now >= after(self.began_at, ATTEMPT_LIFETIME)
