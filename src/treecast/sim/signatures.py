"""The model of ``broadcast_signature.rs`` of crates/core: whose signatures are looked at, and how many of them.

A signature itself is the public key of who has signed (``TreeDatagram.signed_by``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.base.token_bucket import TokenBucket

MADE_PER_S = 1000
"""Signatures that a root makes, and as many at once."""
CHECKED_PER_S, CHECKED_AT_ONCE = 1000, 2000
"""Signatures of one root that are checked; and of all roots together as which others forge."""
SUSPECT_TIME_S: Duration = 1.0


@dataclass(slots=True)
class _Root:
    bucket: TokenBucket
    forged_at: Instant | None = None


@dataclass(slots=True)
class SignatureChecks:
    """Checks of the signatures of all roots, at one node."""

    _roots: dict[NodeIndex, _Root] = field(default_factory=dict)
    _suspects: TokenBucket = field(
        default_factory=lambda: TokenBucket.full(CHECKED_PER_S, CHECKED_AT_ONCE, Instant(0.0))
    )

    def admit(self, root: NodeIndex, now: Instant) -> bool:
        """Whether the next signature of the root is looked at."""
        of_root = self._roots.get(root)
        if of_root is None:
            of_root = self._roots[root] = _Root(TokenBucket.full(CHECKED_PER_S, CHECKED_AT_ONCE, now))
        if self.is_suspect(root, now) and not self._suspects.take(now):
            return False
        return of_root.bucket.take(now)

    def is_suspect(self, root: NodeIndex, now: Instant) -> bool:
        """Whether a signature was none of the root's just now."""
        of_root = self._roots.get(root)
        return of_root is not None and of_root.forged_at is not None and now - of_root.forged_at < SUSPECT_TIME_S

    def note_forged(self, root: NodeIndex, now: Instant) -> None:
        """Suspect the root for a while: a signature was none of its own."""
        self._roots[root].forged_at = now

    def forget(self, root: NodeIndex) -> None:
        self._roots.pop(root, None)
