"""Links where their number is bounded: those that are wanted are made, those that are not end.

Which ones are wanted is not decided here: ``topology/chosen_links.py`` does. A node without a link keeps its session,
by a neighbour. Nothing here matters while ``choose`` was not called: then all nodes are linked.
"""

from __future__ import annotations

from collections.abc import Callable, Set

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after
from treecast.links.handshakes import Handshakes
from treecast.links.link_events import LinkEvent
from treecast.links.peers import Peers
from treecast.links.sessions import Sessions
from treecast.links.targets import Targets

DECLINED_PAUSE: Duration = 60.0
"""The pause before a node that accepts no link is tried again at its addresses."""
DECLINED_WITHOUT_LINKS_PAUSE: Duration = 3.0
"""The same while this node has no link at all: whoever has no room now may have some soon."""

HEARD_WITHIN: Duration = 20.0
"""All nodes have LINKS without a link by then, and trees that went over it go over others: roots plan these anew every
10 s.
"""

Accepts = Callable[[NodeIndex, int], bool]
"""Whether one more link is accepted with a node, and that run of it."""


class LinkBounds:
    """One node's."""

    def __init__(self, peers: Peers, targets: Targets, handshakes: Handshakes, sessions: Sessions) -> None:
        self._peers = peers
        self._targets = targets
        self._handshakes = handshakes
        self._sessions = sessions
        self._ending: dict[NodeIndex, Instant] = {}
        """Nodes whose path is about to end, and since when."""

    def accept(self, accepts: Accepts) -> None:
        """Accept no other links from now on than these."""
        self._handshakes.accepts_link = accepts

    def choose(self, now: Instant, chosen: Set[NodeIndex]) -> None:
        """Links are wanted with these nodes from now on, and with those that the operator has named."""
        self._targets.choose(now, chosen)
        self._sessions.paths.may_have_path = chosen.__contains__

    def linked(self) -> list[NodeIndex]:
        """The nodes that there is a link with: a path, and not by a neighbour."""
        return [peer.node for peer in self._peers if peer.up and peer.is_neighbour]

    def static_nodes(self) -> list[NodeIndex]:
        """The nodes that the operator has named, as far as it is known which they are."""
        return self._targets.configured_nodes()

    def take_declined(self, now: Instant) -> tuple[list[NodeIndex], list[LinkEvent]]:
        """The nodes that have accepted no link since the last call, and what that has changed."""
        declined, self._handshakes.declined = self._handshakes.declined, []
        pause = DECLINED_PAUSE if self.linked() else DECLINED_WITHOUT_LINKS_PAUSE
        events = [event for node in declined for event in self._sessions.declined(now, node, pause)]
        return declined, events

    def unlink(self, node: NodeIndex) -> list[LinkEvent]:
        """End the link with a node, not its session: nobody is to count on it. Nothing happens where no neighbour leads
        there. All goes on as before until others have learned of it: then ``settle`` ends the path.
        """
        peer = self._peers.get(node)
        if peer is not None and peer.up and peer.via is None:
            self._sessions.routes.count_on(peer, has_path=self._sessions.routes.without_path(peer) is None)
        return self._sessions.take_events()

    def reroute(self, now: Instant, origin: NodeIndex, leads: Callable[[NodeIndex, NodeIndex], bool]) -> None:
        """LINKS of a node have changed: routes that it was on, or leads to, go another way where it has a link no more.
        ``leads``: whether two nodes have a link, as both advertise.
        """
        for peer in self._peers:
            via = peer.via
            if peer.up and via is not None and origin in (via, peer.node) and not leads(via, peer.node):
                self._sessions.routes.another(now, peer)

    def settle(self, now: Instant, chosen: Set[NodeIndex]) -> list[LinkEvent]:
        """End paths of nodes that there is no link with any more, about once a second; or count on them again."""
        routes, before, self._ending = self._sessions.routes, self._ending, {}
        for peer in self._peers:
            if not peer.up or peer.is_neighbour or peer.path is None:
                continue
            if peer.node not in chosen:
                since = self._ending[peer.node] = before.get(peer.node, now)
                if now >= after(since, HEARD_WITHIN):
                    routes.unlink(now, peer)
            elif peer.via is None:
                routes.count_on(peer, has_path=True)
        return self._sessions.take_events()
