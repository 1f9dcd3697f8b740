"""Ways of INITs: where a handshake begins with a node.

Decides when a neighbour is to send it on. A node that answers by itself is reached by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.links.attempts import Attempt
from treecast.links.budgets import Budgets
from treecast.links.peers import Peers
from treecast.links.ways import Way

FORWARD_AFTER: Duration = 3.0
"""A node has not answered at its addresses for so long: INIT goes by a neighbour, too."""
FORWARD_AGAIN_AFTER: Duration = 2.0
"""The same for a linked node that has fallen silent: after its session has had a route, and before it is dead."""

NextHop = Callable[[NodeIndex], NodeIndex | None]
"""The neighbour by which a node is reached, as LINKS of all nodes say: on the path with the shortest delay."""


class InitWays:
    """One node's. ``next_hop``: to a node that cannot be reached."""

    def __init__(self, budgets: Budgets, peers: Peers, next_hop: NextHop) -> None:
        self._budgets = budgets
        self._peers = peers
        self._next_hop = next_hop

    def of(self, now: Instant, attempt: Attempt) -> Iterator[Way]:
        """The ways on which an attempt's INIT goes now."""
        if attempt.in_session is not None:
            yield attempt.in_session
            return
        peer = self._peers.get(attempt.node) if attempt.node is not None else None
        probed = peer.endpoint if peer is not None and peer.via is not None else None
        places = tuple(place for place in attempt.places if place != probed)
        yield from self._budgets.permitted(now, attempt.target, places)
        if attempt.node is not None and now - attempt.began_at >= _patience(attempt):
            neighbour = self._next_hop(attempt.node) if peer is None or peer.is_suspect else None
            way = None if neighbour is None else self._peers.way_by(neighbour, attempt.node)
            if way is not None:
                yield way


def _patience(attempt: Attempt) -> Duration:
    if not attempt.target.endpoints:
        return 0.0
    return FORWARD_AGAIN_AFTER if attempt.target.is_peer else FORWARD_AFTER
