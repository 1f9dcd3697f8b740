"""Ways to peers that have a session: the path, or a route in its place while the path does not answer.

Decides by what each way answers: a node that is heard need not be where its datagrams go. A path that falls silent
gives way to a route at once, which other rooms do not see; they learn of it when its probes say that it is dead, for
that costs the whole network. Never ends a link. Read ``docs/protocol.md`` section 4 (Paths, Routes) first.
"""

from __future__ import annotations

from collections.abc import Callable

from treecast.base.commands import Command, RemoveNodeRoute, SetNodeRoute
from treecast.base.events import SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ProbePeer
from treecast.base.time import Duration, Instant
from treecast.links.init_ways import NextHop
from treecast.links.link_events import LinkEvent, PathChange
from treecast.links.peers import SUSPECT_AFTER, Peer, Peers
from treecast.links.targets import Target, Targets
from treecast.links.ways import Forwarded, InSession, Way

PATH_SILENT: Duration = 4.0
"""Nothing came on the path, nor an answer to the probe that was sent after SUSPECT_AFTER: all goes by a route."""
UNANSWERED_TURNS = 3
"""Turns of probes, each 2 s: with one more a way is dead, whatever is heard from the node."""


class Routes:
    """One node's. Methods append to ``commands``, and to ``events`` what other rooms are to learn."""

    def __init__(
        self,
        peers: Peers,
        targets: Targets,
        next_hop: NextHop,
        give_up: Callable[[Target], None],
        commands: list[Command],
        events: list[LinkEvent],
    ) -> None:
        """``give_up``: ends the attempt to reach a target."""
        self._peers = peers
        self._targets = targets
        self._next_hop = next_hop
        self._give_up = give_up
        self._commands = commands
        self._events = events

    def follow(self, now: Instant, peer: Peer, way: Way) -> None:
        """All for the peer goes the way of the handshake of the session that is sent on."""
        if not isinstance(way, InSession):
            self._set(now, peer, way.neighbour if isinstance(way, Forwarded) else None)
            self._count_on(peer, has_path=peer.via is None)

    def review(self, now: Instant, peer: Peer, report: SessionReport) -> bool:
        """Whether a way leads to a linked peer, as far as its probes show. ``report``: of any of its sessions."""
        if peer.via is None:
            return self._review_path(now, peer, report)
        if peer.path is not None and report.path_unanswered == 0:
            self._set(now, peer, None)
            self._count_on(peer, has_path=True)
            return True
        if report.path_unanswered > UNANSWERED_TURNS:
            self._count_on(peer, has_path=False)
        is_dead = report.route_unanswered > UNANSWERED_TURNS
        if is_dead or peer.is_suspect or self._peers.way_by(peer.via, peer.node) is None:
            return self._to_next_hop(now, peer) or not is_dead
        return True

    def _review_path(self, now: Instant, peer: Peer, report: SessionReport) -> bool:
        is_dead = report.path_unanswered > UNANSWERED_TURNS
        if (is_dead or report.path_silent_s >= PATH_SILENT) and self._to_next_hop(now, peer):
            return True
        if report.path_unanswered > 1 or report.path_silent_s >= SUSPECT_AFTER:
            self._commands.append(ProbePeer(peer.node))  # lost datagrams are no dead path
        return not is_dead

    def _to_next_hop(self, now: Instant, peer: Peer) -> bool:
        """Whether there is another neighbour on the way, and all goes by that now."""
        next_hop = self._next_hop(peer.node)
        neighbour = self._peers.get(next_hop) if next_hop is not None else None
        if neighbour is None or neighbour.is_suspect or neighbour.node == peer.via:
            return False
        if self._peers.way_by(neighbour.node, peer.node) is None:
            return False
        self._set(now, peer, neighbour.node)
        return True

    def _set(self, now: Instant, peer: Peer, via: NodeIndex | None) -> None:
        if peer.via == via:
            return
        peer.via = via
        self._peers.session_changes += 1
        if via is None:
            self._commands.append(RemoveNodeRoute(peer.node))
            for target in self._targets.of(peer.node):
                self._give_up(target)
        else:
            self._commands += [SetNodeRoute(peer.node, via), ProbePeer(peer.node)]
        self._targets.way_changed(now, peer.node)

    def _count_on(self, peer: Peer, *, has_path: bool) -> None:
        """Whether other rooms are to count on a path to the peer."""
        if peer.is_neighbour is not has_path:
            peer.is_neighbour = has_path
            if peer.up:
                self._events.append(PathChange(peer.node, has_path))
