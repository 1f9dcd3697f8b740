"""Paths and node routes of peers that have a session: a route takes the place of a path that does not answer.

Decides by the probes that each answers, and by how much of what went by a route has come: a node whose datagrams come
need not get those that go to it. A route replaces a path that falls silent at once, which other rooms do not see. They
learn of it when the probes show that the path is dead, for that costs the whole network. A route by another neighbour
replaces one that fails. Never ends a link. Read ``docs/protocol.md`` section 4 (Paths, Node routes) first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from treecast.base.commands import Command, RemoveNodeRoute, SetNodeRoute
from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ProbePeer, RemovePath
from treecast.base.time import Duration, Instant
from treecast.links.handshake_channels import Forwarded, HandshakeChannel, InSession
from treecast.links.link_events import LinkEvent, PathChange
from treecast.links.neighbour_routes import NeighbourRoutes
from treecast.links.node_route_window import NodeRouteWindow
from treecast.links.peers import SUSPECT_AFTER, Peer, Peers
from treecast.links.target import Target
from treecast.links.targets import Targets

PATH_SILENT: Duration = 4.0
"""Nothing came on the path, nor an answer to the probe that was sent after SUSPECT_AFTER: all goes by a route."""
UNANSWERED_TURNS = 3
"""Turns of probes, each 2 s: with one more a path or route is dead, whatever comes from the node."""
UNANSWERED = "was not answered any more"
"""People read so of a route by which nothing comes; of others they read how much was lost."""
AT_ONCE_PER_REVIEW = 32
"""Routes in use that are probed sooner, of all that are quiet: what their probes take of the room that a node between
leaves for these (``docs/protocol.md`` section 4, Forward).
"""


class NodeRoutes:
    """One node's. Methods append to ``commands``, and to ``events`` what other rooms are to learn."""

    def __init__(
        self,
        peers: Peers,
        targets: Targets,
        neighbour_routes: NeighbourRoutes,
        give_up: Callable[[Target], None],
        commands: list[Command],
        events: list[LinkEvent],
    ) -> None:
        """``give_up``: ends the attempt to reach a target."""
        self._peers = peers
        self._targets = targets
        self._neighbour_routes = neighbour_routes
        self._give_up = give_up
        self._reviewed_at, self._at_once = Instant(0.0), 0
        """How many routes are probed at once at this review."""
        self._commands = commands
        self._events = events

    def follow(self, now: Instant, peer: Peer, channel: HandshakeChannel) -> None:
        """Send all for the peer by the channel of the newest session's handshake."""
        if isinstance(channel, Forwarded) and self._is_worse(now, peer, channel.neighbour):
            return
        if not isinstance(channel, InSession):
            self._set(now, peer, channel.neighbour if isinstance(channel, Forwarded) else None)
            self.count_on(peer, has_path=peer.via is None)

    def unlink(self, now: Instant, peer: Peer) -> None:
        """Take the path from a peer: all for it goes by a neighbour. Nothing changes without such a neighbour."""
        route = self._neighbour_routes.untroubled(now, peer.node) or self._neighbour_routes.best(peer.node)
        if route is not None:
            self._set(now, peer, route.neighbour)
            peer.path = None
            self._commands.append(RemovePath(peer.node))
            self.count_on(peer, has_path=False)

    def without_path(self, peer: Peer) -> Forwarded | None:
        """The channel by which a peer would be reached without its path."""
        return self._neighbour_routes.best(peer.node)

    def another(self, now: Instant, peer: Peer) -> None:
        """Take the shortest route as LINKS have it now, in place of the route that there is."""
        route = self._neighbour_routes.untroubled(now, peer.node) or self._neighbour_routes.best(peer.node)
        if route is not None:
            self._set(now, peer, route.neighbour)

    def _is_worse(self, now: Instant, peer: Peer, neighbour: NodeIndex) -> bool:
        """Whether the peer fell silent by this neighbour lately, and not by the one that it has a route by."""
        if peer.via is None or peer.via == neighbour or self._peers.forwarded_by(peer.via, peer.node) is None:
            return False
        is_troubled = self._neighbour_routes.is_troubled
        return is_troubled(now, neighbour, peer.node) and not is_troubled(now, peer.via, peer.node)

    def review(self, now: Instant, peer: Peer, report: SessionReport) -> bool:
        """Whether path or route leads to a linked peer, as its probes show. ``report``: of any of its sessions."""
        if peer.via is None:
            return self._review_path(now, peer, report)
        if peer.path is not None and report.path_unanswered == 0:
            self._set(now, peer, None)
            self.count_on(peer, has_path=True)
            return True
        if report.path_unanswered > UNANSWERED_TURNS:
            self.count_on(peer, has_path=False)
        return self._review_route(now, peer, peer.via, report)

    def _review_path(self, now: Instant, peer: Peer, report: SessionReport) -> bool:
        is_dead = report.path_unanswered > UNANSWERED_TURNS
        if is_dead or report.path_silent_s >= PATH_SILENT:
            route = self._neighbour_routes.untroubled(now, peer.node) or self._neighbour_routes.best(peer.node)
            if route is not None:
                self._set(now, peer, route.neighbour)
                return True
        if report.path_unanswered > 1 or report.path_silent_s >= SUSPECT_AFTER:
            self._commands.append(ProbePeer(peer.node))  # lost datagrams are no dead path
        return not is_dead

    def _review_route(self, now: Instant, peer: Peer, via: NodeIndex, report: SessionReport) -> bool:
        is_dead = report.node_route_unanswered > UNANSWERED_TURNS
        is_linked = self._peers.forwarded_by(via, peer.node) is not None
        trouble = _trouble(now, peer.window, report)
        if (trouble or not is_linked) and self._to_another(now, peer, via, trouble, report):
            return True
        if trouble:
            self._neighbour_routes.none_is_better(peer.node)
        if is_linked and not is_dead:
            self._commands += [ProbePeer(peer.node)] * self._probes(now, peer.window, report)
        return not is_dead

    def _probes(self, now: Instant, window: NodeRouteWindow | None, report: SessionReport) -> int:
        if now != self._reviewed_at:
            self._reviewed_at, self._at_once = now, 0
        count = window.probes(now, report, at_once=self._at_once < AT_ONCE_PER_REVIEW) if window is not None else 0
        self._at_once += count > 0
        return count

    def _to_another(self, now: Instant, peer: Peer, via: NodeIndex, trouble: str, report: SessionReport) -> bool:
        """Whether another neighbour leads there, and all goes by that now: one by which the peer did not fall
        silent lately, or, where nothing comes by this one, any that was not tried since something did.
        """
        tried = {via} if peer.window is None else peer.window.tried_with(now, via, report)
        route, neighbour = self._neighbour_routes.untroubled(now, peer.node, tried), self._peers.get(via)
        is_only_troubled = route is None and trouble in (UNANSWERED, "")
        if is_only_troubled:
            route = self._neighbour_routes.best(peer.node, tried)
        if route is None:
            return False
        if trouble and neighbour is not None:
            self._neighbour_routes.fell(now, neighbour, peer.node, route.neighbour, trouble)
        if is_only_troubled:
            self._neighbour_routes.none_is_better(peer.node)
        self._set(now, peer, route.neighbour, tried)
        return True

    def _set(self, now: Instant, peer: Peer, via: NodeIndex | None, tried: Collection[NodeIndex] = ()) -> None:
        if peer.via == via:
            return
        peer.via = via
        peer.window = NodeRouteWindow(now, tried) if via is not None else None
        self._peers.session_changes += 1
        if via is None:
            self._commands.append(RemoveNodeRoute(peer.node))
            for target in self._targets.of(peer.node):
                self._give_up(target)
        else:
            self._commands += [SetNodeRoute(peer.node, via), ProbePeer(peer.node)]
        self._targets.path_changed(now, peer.node)

    def count_on(self, peer: Peer, *, has_path: bool) -> None:
        """Whether other rooms are to count on a path to the peer."""
        if peer.is_neighbour is not has_path:
            peer.is_neighbour = has_path
            if peer.up:
                self._events.append(PathChange(peer.node, has_path))


def _trouble(now: Instant, window: NodeRouteWindow | None, report: SessionReport) -> str:
    """Why another neighbour is to be tried, for people; empty: this one does."""
    if window is None:
        return ""
    lost = window.lost(now, report.receipt)
    if window.is_silent(now, report):
        return UNANSWERED
    return f"was lost, {lost[0]} of {lost[1]} datagrams" if lost is not None else ""
