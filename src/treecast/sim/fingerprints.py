"""Fingerprints of databases: the model of ``crates/core/src/fingerprints.rs``."""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant

REPORT_INTERVAL: Duration = 0.5


@dataclass(slots=True)
class Fingerprints:
    """This node's, and when each peer whose last one was another was last reported."""

    own: int = 0
    _differing: dict[NodeIndex, Instant] = field(default_factory=dict)

    def compare(self, peer: NodeIndex, theirs: int, now: Instant) -> int | None:
        """A peer's has come: what it is greater by, modulo 2^128, where that is worth a report."""
        difference = (theirs - self.own) % 2**128
        reported = self._differing.get(peer)
        if not difference and reported is None:
            return None
        if reported is not None and now < reported + REPORT_INTERVAL:
            return None
        if difference:
            self._differing[peer] = now
        else:
            del self._differing[peer]
        return difference

    def forget(self, peer: NodeIndex) -> None:
        """Its sessions are gone."""
        self._differing.pop(peer, None)
