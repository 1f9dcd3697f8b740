"""The sessions of each peer: at most three, the newest confirmed one in use (``docs/protocol.md`` section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.identity.certificate import Certificate

MAX_SESSIONS = 3
REKEY_AFTER: Duration = 120.0
RESPONDER_PATIENCE: Duration = 10.0
REJECT_AFTER: Duration = 180.0
REKEY_AFTER_DATAGRAMS = 2**28
"""AES-GCM: 2^28 datagrams of 1.5 kB stay below the 2^34.5 blocks of RFC 8446 section 5.5."""

SUSPECT_AFTER: Duration = 3.0
"""A probe of 2 s and its answer are missing. A peer that has restarted and knows nobody answers a new handshake."""

DEAD_AFTER: Duration = 7.0
"""Three probes of 2 s without a sign of life, and some."""


@dataclass(slots=True)
class Session:
    index: int
    initiated: bool
    confirmed: bool
    established_at: Instant
    socket: int
    endpoint: Endpoint
    final: bytes | None = None
    next_final: Instant | None = None

    def wants_rekey(self, now: Instant, sealed: int) -> bool:
        patience = 0.0 if self.initiated else RESPONDER_PATIENCE
        return now - self.established_at >= REKEY_AFTER + patience or sealed >= REKEY_AFTER_DATAGRAMS


@dataclass(slots=True)
class Peer:
    """A node with at least one session. ``up`` once one of them is confirmed."""

    node: NodeIndex
    certificate: Certificate
    epoch_ms: int
    up: bool = False
    sessions: list[Session] = field(default_factory=list)

    @property
    def current(self) -> Session:
        """The newest confirmed session, or the newest."""
        confirmed = [session for session in self.sessions if session.confirmed]
        return (confirmed or self.sessions)[-1]

    def session(self, index: int) -> Session | None:
        return next((session for session in self.sessions if session.index == index), None)
