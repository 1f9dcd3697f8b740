"""Channels in which a node sends the INITs of an attempt.

Decides when a neighbour is to send it on. A node that answers by itself is reached by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant
from treecast.links.attempts import Attempt
from treecast.links.budgets import Budgets
from treecast.links.handshake_channels import Forwarded, HandshakeChannel
from treecast.links.neighbour_routes import NeighbourRoutes
from treecast.links.peers import Peers

FORWARD_AFTER: Duration = 3.0
"""A node has not answered at its addresses for so long: INIT goes by a neighbour, too."""
FORWARD_AGAIN_AFTER: Duration = 2.0
"""The same for a linked node that has fallen silent: after its session has had a route, and before it is dead."""


class InitChannels:
    """One node's. ``neighbour_routes``: to a node that cannot be reached."""

    def __init__(self, budgets: Budgets, peers: Peers, neighbour_routes: NeighbourRoutes) -> None:
        self._budgets = budgets
        self._peers = peers
        self._neighbour_routes = neighbour_routes

    def of(self, now: Instant, attempt: Attempt) -> Iterator[HandshakeChannel]:
        """The channels in which an attempt's INIT goes now."""
        if attempt.in_session is not None:
            yield attempt.in_session
            return
        peer = self._peers.get(attempt.node) if attempt.node is not None else None
        probed = peer.endpoint if peer is not None and peer.via is not None else None
        endpoints = tuple(endpoint for endpoint in attempt.init_endpoints if endpoint != probed)
        yield from self._budgets.permitted(now, attempt.target, endpoints)
        if attempt.node is not None and now - attempt.began_at >= _patience(attempt):
            channel = self._by_another(now, attempt, attempt.node) if peer is None or peer.is_suspect else None
            if channel is not None:
                attempt.tried_by.add(channel.neighbour)
                yield channel

    def _by_another(self, now: Instant, attempt: Attempt, node: NodeIndex) -> Forwarded | None:
        """Each INIT of an attempt goes by another neighbour, those by which the node fell silent lately last; then it
        begins with the first one again.
        """
        neighbours, tried = self._neighbour_routes, attempt.tried_by
        channel = neighbours.untroubled(now, node, tried) or neighbours.best(node, tried)
        if channel is None and tried:
            tried.clear()
            channel = neighbours.untroubled(now, node) or neighbours.best(node)
        return channel


def _patience(attempt: Attempt) -> Duration:
    if not attempt.target.candidates:
        return 0.0
    return FORWARD_AGAIN_AFTER if attempt.target.is_peer else FORWARD_AFTER
