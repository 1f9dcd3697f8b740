"""Problems: what is wrong now and needs a person, as values. Rooms find them, ``daemon.problems`` shows them."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.time import Duration

REMIND_INTERVAL: Duration = 3600.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a person must act on.

    ``kind`` is an identifier (``peer_unreachable``) with a row in docs/problems.md, ``subject`` distinguishes problems
    of a kind (a name, an address, an interface; never empty), ``text`` is one sentence with names and addresses: what
    is wrong, and what to do. A problem whose ``urgency`` rises is logged again. One with ``patience`` is present when
    it has been found for so long without a break: what mends itself within that time is none.
    """

    kind: str
    subject: str
    text: str
    urgency: int = 0
    patience: Duration = 0.0
    remind_interval: Duration = REMIND_INTERVAL
    """How long it is not logged again while it lasts and becomes no more urgent."""
