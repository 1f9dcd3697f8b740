"""Ways of INITs: where a handshake begins with a node.

Decides when a neighbour is to send it on. A node that answers by itself is reached by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.links.attempts import Attempt
from treecast.links.budgets import Budgets
from treecast.links.neighbour_ways import NeighbourWays
from treecast.links.peers import Peers
from treecast.links.ways import Forwarded, Way

FORWARD_AFTER: Duration = 3.0
"""A node has not answered at its addresses for so long: INIT goes by a neighbour, too."""
FORWARD_AGAIN_AFTER: Duration = 2.0
"""The same for a linked node that has fallen silent: after its session has had a route, and before it is dead."""


class InitWays:
    """One node's. ``neighbour_ways``: to a node that cannot be reached."""

    def __init__(self, budgets: Budgets, peers: Peers, neighbour_ways: NeighbourWays) -> None:
        self._budgets = budgets
        self._peers = peers
        self._neighbour_ways = neighbour_ways

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
            way = self._by_another(now, attempt, attempt.node) if peer is None or peer.is_suspect else None
            if way is not None:
                attempt.tried_by.add(way.neighbour)
                yield way

    def _by_another(self, now: Instant, attempt: Attempt, node: NodeIndex) -> Forwarded | None:
        """Each INIT of an attempt goes by another neighbour, those by which the node fell silent lately last; then it
        begins with the first one again.
        """
        ways, tried = self._neighbour_ways, attempt.tried_by
        way = ways.untroubled(now, node, tried) or ways.best(node, tried)
        if way is None and tried:
            tried.clear()
            way = ways.untroubled(now, node) or ways.best(node)
        return way


def _patience(attempt: Attempt) -> Duration:
    if not attempt.target.candidates:
        return 0.0
    return FORWARD_AGAIN_AFTER if attempt.target.is_peer else FORWARD_AFTER
