"""A target: somebody whom a node wants to reach, and when it tries next. Which ones there are is ``targets``'."""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after

LAST_PAUSE: Duration = 120.0
"""A node that others know and that does not answer is tried less and less often, until there is news of it."""
LAST_CONFIGURED_PAUSE: Duration = 2.0
"""A configured peer is tried more often, for nobody else may report when it is there; without a BREAK (``noticed``)."""
PAUSE_SHARE = 0.25
"""A pause is so much of the time for which the target was sought."""
LAST_RECALL_PAUSE: Duration = 600.0
"""A remembered node is tried less and less often: it may be gone for good, and its address somebody else's."""


@dataclass(slots=True, eq=False)
class Target:
    """Somebody to reach. ``name`` is the configured text; None for a node learned from Broadcast.

    ``label``: what people call it. ``sought_since``: since when it has no link, while it has none; ``reflected_at``:
    when this node's own INIT last came back from there; ``elsewhere_until``: not tried before that, for other nodes
    are at all of its endpoints, or this node itself. ``left``: a learned node sent GOODBYE, and nothing new was learned
    of it since. ``was_linked``: a learned node had a link with this one. ``recall_pause``: from one try to the next of
    a node that is only remembered, None for others. ``is_tried``: a handshake with it is under way. ``pauses_since``:
    when its pauses began anew: it moved, started again, or lost its link. ``run``: which run of the node it was then.
    ``is_peer``: a node with a session, of which another handshake is made where it is. ``serial``: that of the
    certificate that a node is remembered with, 0 for others. ``was_via``: the neighbour by which it was reached when
    its link ended. ``by_route``: a learned node with which no link is wanted: it is reached by neighbours alone.
    """

    name: str | None
    node: NodeIndex | None
    endpoints: tuple[Endpoint, ...]
    next_try: Instant
    label: str
    sought_since: Instant
    avoided: set[Endpoint] = field(default_factory=set)
    elsewhere_until: Instant | None = None
    reflected_at: Instant | None = None
    left: bool = False
    was_linked: bool = False
    recall_pause: Duration | None = None
    is_tried: bool = False
    pauses_since: Instant = field(init=False)
    run: bytes = b""
    is_peer: bool = False
    serial: int = 0
    was_via: NodeIndex | None = None
    by_route: bool = False

    def __post_init__(self) -> None:
        self.pauses_since = self.sought_since

    @property
    def candidates(self) -> tuple[Endpoint, ...]:
        """Its endpoints but those where another node answered; all of them when none is left. None of one that is
        reached by neighbours alone.
        """
        if self.by_route:
            return ()
        return tuple(endpoint for endpoint in self.endpoints if endpoint not in self.avoided) or self.endpoints

    @property
    def due(self) -> Instant:
        """The time at which it is tried."""
        return self.next_try if self.elsewhere_until is None else max(self.next_try, self.elsewhere_until)

    @property
    def is_elsewhere(self) -> bool:
        """Whether another node answered at each of its endpoints."""
        return bool(self.endpoints) and self.avoided.issuperset(self.endpoints)

    def moved(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> None:
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            self.avoided.clear()
            self.elsewhere_until = None
            self.restart_pauses(now)

    def restart_pauses(self, now: Instant, delay: Duration = 0.0) -> None:
        """Begin pauses anew: it may answer now though it did not before."""
        self.pauses_since = now
        if self.recall_pause is None:
            self.next_try = min(self.next_try, after(now, delay))

    def gave_up(self, now: Instant) -> None:
        """An attempt came to nothing: the next one begins after a pause."""
        if self.recall_pause is None and self.elsewhere_until is None:
            longest = LAST_PAUSE if self.name is None else LAST_CONFIGURED_PAUSE
            pause = min((now - self.pauses_since) * PAUSE_SHARE, longest)
            self.next_try = max(self.next_try, after(now, pause))

    def endpoints_apart_from(self, other: Target) -> bool:
        """Whether the two have no endpoint in common."""
        return set(self.endpoints).isdisjoint(other.endpoints)

    def begun(self, now: Instant) -> None:
        """A handshake with it has begun."""
        if self.recall_pause is not None:
            self.next_try = after(now, self.recall_pause)
            self.recall_pause = min(2 * self.recall_pause, LAST_RECALL_PAUSE)
