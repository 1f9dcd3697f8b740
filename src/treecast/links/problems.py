"""What is wrong with links and needs a person, as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant
from treecast.links.targets import Targets

UNREACHED_AFTER: Duration = 5.0
"""A configured peer that has no link for so long is a problem: three handshakes of an honest path fit."""


def unreached(now: Instant, targets: Targets) -> Iterator[Problem]:
    """Configured peers that have not been reached for a while."""
    for target in targets.configured():
        if targets.is_reached(target):
            target.sought_since = None
            continue
        target.sought_since = now if target.sought_since is None else target.sought_since
        if now - target.sought_since >= UNREACHED_AFTER:
            name = target.name or ""
            tried = ", ".join(str(endpoint) for endpoint in target.endpoints)
            yield Problem(
                "peer_unreachable",
                name,
                f"peer {name} does not answer (tried {tried}): check that a node of this network runs there, the "
                f"address and port, and that firewalls let UDP through",
            )
