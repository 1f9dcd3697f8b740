"""Sessions: those that handshakes have made, from their installation to their end, and the links that they keep up.

Decides when a session is confirmed, replaced and removed, and when a peer is dead. Read ``docs/protocol.md`` section 3
first, then ``states`` and ``peers``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from treecast.base.commands import (
    Command,
    ForgetPeer,
    InstallSession,
    RemoveNodeRoute,
    RemoveSession,
)
from treecast.base.events import SessionConfirmed, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_SESSIONS_PER_PEER
from treecast.base.path_commands import SetPeerUnderlayMtu
from treecast.base.time import Duration, Instant, after, clock_offset_s
from treecast.base.timers import Timers
from treecast.links.attempts import INIT_JITTER
from treecast.links.exchanges import Exchanges
from treecast.links.finished import Finished
from treecast.links.handshake_channels import InSession, OutOfSession
from treecast.links.handshakes import Handshakes
from treecast.links.link_events import LinkDown, LinkEnd, LinkEvent, LinkRemade, LinkUp
from treecast.links.neighbour_routes import NeighbourRoutes
from treecast.links.node_routes import NodeRoutes
from treecast.links.paths import Paths
from treecast.links.peer_channels import again, comes_from_it, first_path, in_session
from treecast.links.peers import (
    DEAD_AFTER,
    REJECT_AFTER,
    REKEY_AFTER,
    REKEY_JITTER,
    SUSPECT_AFTER,
    Path,
    Peer,
    Peers,
    Session,
    is_silent,
    wants_handshake,
)
from treecast.links.plain_links import PlainLinks
from treecast.links.reachability import Reachability
from treecast.links.refusals import REVOKED_PAUSE
from treecast.links.roster import Roster
from treecast.links.states import PeerEvent, SessionEvent
from treecast.links.targets import Targets

FINAL_INTERVAL: Duration = 0.25
"""The time before the second FINAL; doubled for each next one."""
MOST_FINALS = 3
"""FINALs to an address that has not shown yet that the peer is there: three bytes for each one of its RESPONSE."""
CONFIRM_LIMIT: Duration = 5.0
REFUSED_PAUSE: Duration = 5.0
"""The pause before a handshake with a peer whose session the data plane's full table refused."""
LOST = (LinkEnd.SILENT, LinkEnd.UNANSWERED, LinkEnd.WORN, LinkEnd.UNCONFIRMED)
"""Why a link is down that a network may have cut; the others a node has decided."""
GOODBYE_PAUSE: Duration = 5.0
AT_ONCE_PER_REVIEW = 64
"""Handshakes that begin at most in a second because this node's clock was set, or for first hybrid sessions."""

AEAD_AES_256_GCM = 1
AEAD_CHACHA20_POLY1305 = 2


class Sessions:
    """Holds a node's sessions. Methods append to ``commands``, and return which links came up or ended by them."""

    def __init__(
        self,
        *,
        aead: int,
        peers: Peers,
        targets: Targets,
        handshakes: Handshakes,
        exchanges: Exchanges,
        roster: Roster,
        reachability: Reachability,
        wall_clock_ms: Callable[[Instant], int],
        neighbour_routes: NeighbourRoutes,
        rng: Random,
    ) -> None:
        """``aead``: the cipher that this node prefers. ``wall_clock_ms``: its wall clock at an instant.

        ``neighbour_routes``: to nodes without a path.
        """
        self._aead = aead
        self._peers = peers
        self._targets = targets
        self._handshakes = handshakes
        self._exchanges = exchanges
        self._roster = roster
        self._reachability = reachability
        self._wall_clock_ms = wall_clock_ms
        self._rng = rng
        self._finals: Timers[tuple[NodeIndex, int]] = Timers()
        """The time at which FINAL of each session, of a node and an index, is repeated until that is confirmed."""
        self.commands: list[Command] = exchanges.commands
        self.plain_links = PlainLinks()
        self.paths = Paths(peers, self.commands, rng)
        self._events: list[LinkEvent] = []
        """Events that were not returned yet: what a method has changed before it raised is returned by the next one."""
        self.routes = NodeRoutes(peers, targets, neighbour_routes, handshakes.give_up, self.commands, self._events)

    def install(self, now: Instant, finished: Finished) -> list[LinkEvent]:
        """A handshake has made a session with a member."""
        node = finished.certificate.node_index
        peer = self._peers.get(node)
        if peer is not None and peer.epoch_ms != finished.payload.epoch_ms:
            self._down(now, peer, LinkEnd.RESTARTED, pause=0.0)
            peer = None
        if peer is None:
            peer = Peer(node, finished.certificate, finished.payload.epoch_ms, first_path(finished.channel))
            self._peers.add(peer)
        peer.learned(now, finished.certificate, finished.payload, finished.own_offset_s)
        session = Session(
            finished.state,
            finished.handshake.index,
            finished.final is not None,
            now,
            finished.channel,
            finished.final,
            rekey_after=REKEY_AFTER * self._rng.uniform(*REKEY_JITTER),
            hybrid=finished.hybrid,
        )
        self._exchanges.installed(now, peer, finished)
        if session.final is not None:
            self._plan_final(now, node, session)
        self._peers.add_session(peer, session)
        if session.confirmed or len(peer.sessions) == 1:
            self.routes.follow(now, peer, finished.channel)
        peer.take(PeerEvent.INSTALLED)
        while len(peer.sessions) > MAX_SESSIONS_PER_PEER:
            self._remove_session(peer, peer.dispensable, SessionEvent.DROPPED)
        preferred = {finished.payload.aead, self._aead}
        aead = AEAD_AES_256_GCM if preferred == {AEAD_AES_256_GCM} else AEAD_CHACHA20_POLY1305
        first_hop = peer.first_hop
        endpoint = first_hop.endpoint if comes_from_it(peer, finished.channel) else None
        self.commands.append(
            InstallSession(finished.handshake, session.index, node, first_hop.socket, endpoint, aead, session.confirmed)
        )
        self.commands.append(SetPeerUnderlayMtu(node, peer.underlay_mtu))
        self._targets.plan_all(node)
        if session.confirmed:
            self._proved(peer, session)
            self._up(now, peer, session)
        return self.take_events()

    def refused(self, now: Instant, command: InstallSession) -> list[LinkEvent]:
        """The data plane's table of sessions is full. A peer that has no other one is tried again after a while."""
        peer = self._peers.get(command.peer)
        session = peer.session(command.session) if peer else None
        if peer is not None and session is not None:
            # Also what has its index there without being known here.
            self._remove_session(peer, session, SessionEvent.DROPPED)
            if not peer.sessions:
                self._down(now, peer, LinkEnd.REFUSED, pause=REFUSED_PAUSE)
        return self.take_events()

    def confirmed(self, now: Instant, event: SessionConfirmed) -> list[LinkEvent]:
        """The first authentic datagram of a session: the other side has it too."""
        peer = self._peers.get(event.peer)
        session = peer.session(event.session) if peer else None
        if peer is not None and session is not None:
            session.take(SessionEvent.DATAGRAM)
            self._peers.session_changes += 1
            session.final = None
            self._finals.cancel((event.peer, event.session))
            self._proved(peer, session)
            if peer.current is session:
                self.routes.follow(now, peer, session.channel)
            self._up(now, peer, session)
        return self.take_events()

    def goodbye(self, now: Instant, node: NodeIndex, session: int) -> list[LinkEvent]:
        """GOODBYE came on a session: the peer goes down. Late, on a session that has ended, it means nothing."""
        return self.cut(now, node, LinkEnd.GOODBYE) if self._peers.session(node, session) is not None else []

    def refused_for_good(self, now: Instant, node: NodeIndex) -> list[LinkEvent]:
        """The node reports that this one is revoked: a session that it has not confirmed is none, and the next try is
        in a while. Where its link is up that changes nothing.
        """
        peer = self._peers.get(node)
        if peer is None:
            self._targets.pause(node, after(now, REVOKED_PAUSE))
        elif not peer.up:
            self._down(now, peer, LinkEnd.UNCONFIRMED, pause=REVOKED_PAUSE)
        return self.take_events()

    def declined(self, now: Instant, node: NodeIndex, pause: Duration) -> list[LinkEvent]:
        """The node has accepted no link: the session of that handshake is none. What it has by a neighbour stays."""
        peer = self._peers.get(node)
        if peer is not None and not peer.up:
            self._down(now, peer, LinkEnd.UNCONFIRMED, pause=pause)
        elif peer is not None and len(peer.sessions) > 1 and not peer.sessions[-1].confirmed:
            self._remove_session(peer, peer.sessions[-1], SessionEvent.DROPPED)
        self._targets.pause(node, after(now, pause))
        return self.take_events()

    def cut(self, now: Instant, node: NodeIndex, reason: LinkEnd) -> list[LinkEvent]:
        """End the link: the peer may no longer be here."""
        peer = self._peers.get(node)
        if peer is not None:
            self._down(now, peer, reason, pause=GOODBYE_PAUSE)
        return self.take_events()

    def review(self, now: Instant, reports: Sequence[SessionReport]) -> list[LinkEvent]:
        """The data plane's measurements, about once a second: finds the dead, rekeys the old and the suspect."""
        by_session = {report.session: report for report in reports}
        own_offset_s, left = clock_offset_s(self._wall_clock_ms(now), now), AT_ONCE_PER_REVIEW
        exchanging: list[Peer] = []
        reviewed: list[tuple[Peer, Session, SessionReport | None]] = []
        for peer in self._peers:  # all of them first: who is silent is no next hop either
            current = peer.current
            report = by_session.get(current.index)
            peer.is_suspect = report is not None and report.silent_s >= SUSPECT_AFTER
            reviewed.append((peer, current, report))
        for peer, current, report in reviewed:
            if peer.exchange.is_mine:
                exchanging.append(peer)
            if (lost := self._why_lost(now, peer, current, by_session, report)) is not None:
                self._down(now, peer, lost, pause=0.0)
                continue
            if peer.sought is not None and not peer.goes_outside(now):
                self._handshakes.give_up(peer.sought)
                peer.sought = None
            if not self._handshakes.is_renewing(peer.node):
                wants_hybrid = peer.exchange.is_mine and peer.wants_hybrid()
                at_once = left > 0 and (wants_hybrid or peer.needs_clock(own_offset_s))
                if at_once or wants_handshake(now, peer, report):
                    left -= at_once
                    peer.known_offset_s = own_offset_s  # once, though nothing comes of it
                    target, channel = again(now, peer), None if peer.goes_outside(now) else in_session(peer)
                    peer.sought = target if channel is None else None
                    self._handshakes.begin(now, target, channel)
        self._exchanges.review(now, exchanging)
        return self.take_events()

    def _why_lost(
        self,
        now: Instant,
        peer: Peer,
        current: Session,
        by_session: Mapping[int, SessionReport],
        report: SessionReport | None,
    ) -> LinkEnd | None:
        """Why its link ends; None: it goes on, and without the sessions that are too old."""
        if is_silent(peer, by_session):
            return LinkEnd.SILENT
        if report is not None and peer.up and not self.routes.review(now, peer, report):
            return LinkEnd.UNANSWERED
        for session in list(peer.sessions):
            if now - session.established_at >= REJECT_AFTER:
                self._remove_session(peer, session, SessionEvent.OVERDUE)
        if current.confirmed or not (peer.up and peer.sessions):
            return None if peer.sessions else LinkEnd.WORN
        return LinkEnd.UNCONFIRMED

    # time

    def advance(self, now: Instant) -> list[LinkEvent]:
        """Repeat the FINALs that are due, and remove sessions that are not confirmed in time."""
        for node, index in self._finals.due(now):
            peer = self._peers.get(node)
            session = peer.session(index) if peer else None
            if peer is not None and session is not None:
                self._repeat_final(now, peer, session)
        return self.take_events()

    def _repeat_final(self, now: Instant, peer: Peer, session: Session) -> None:
        if session.final is None:
            return
        if now >= after(session.established_at, CONFIRM_LIMIT):
            self._remove_session(peer, session, SessionEvent.OVERDUE)
            if not peer.sessions:
                self._down(now, peer, LinkEnd.UNCONFIRMED, pause=0.0)
            return
        if session.finals < MOST_FINALS or not isinstance(session.channel, OutOfSession):
            self.commands.append(session.final)
            session.finals += 1
        self._plan_final(now, peer.node, session)

    def _plan_final(self, now: Instant, node: NodeIndex, session: Session) -> None:
        """Sets the time at which FINAL is repeated, or its session given up."""
        interval = FINAL_INTERVAL * 2 ** (session.finals - 1) * self._rng.uniform(*INIT_JITTER)
        self._finals.set((node, session.index), min(after(now, interval), after(session.established_at, CONFIRM_LIMIT)))

    def next_deadline(self) -> Instant | None:
        return self._finals.next()

    # parts

    def _proved(self, peer: Peer, session: Session) -> None:
        """Its handshake has shown that the peer is where it went: nobody else has read what was sent there, RESPONSE or
        FINAL, and without that there is no session.
        """
        if isinstance(session.channel, OutOfSession):
            self._events += self.paths.use(peer, Path(session.channel.socket, session.channel.endpoint))

    def _up(self, now: Instant, peer: Peer, session: Session) -> None:
        """A session with the peer was confirmed."""
        self._handshakes.refused.forget(peer.node)
        self.plain_links.follow(now, peer, is_hybrid=session.hybrid)
        if peer.up and not isinstance(session.channel, InSession):
            self._events.append(LinkRemade(peer.node))
        if peer.take(PeerEvent.CONFIRMED):
            self._roster.link_up(peer.node)
            self._targets.link_up(now, peer.node)
            self._reachability.link_up()
            self._events.append(LinkUp(peer.node, peer.certificate, peer.is_neighbour))

    def _down(self, now: Instant, peer: Peer, reason: LinkEnd, pause: Duration) -> None:
        self._peers.remove(peer.node)
        self.plain_links.forget(peer.node)
        for session in peer.sessions:
            session.take(SessionEvent.DROPPED)
            self._finals.cancel((peer.node, session.index))
        self.commands.append(ForgetPeer(peer.node))
        if peer.via is not None:
            self.commands.append(RemoveNodeRoute(peer.node))
        self._targets.pause(peer.node, after(now, pause))
        if peer.take(PeerEvent.LOST):
            self._roster.link_down(peer, after(now, -DEAD_AFTER) if reason is LinkEnd.SILENT else now)
            self._targets.link_down(now, peer.node, left=reason is LinkEnd.GOODBYE, via=peer.via)
            self._reachability.link_down(now, peer.certificate.name, lost=reason in LOST and peer.via is None)
            self._events.append(LinkDown(peer.node, reason))

    def _remove_session(self, peer: Peer, session: Session, event: SessionEvent) -> None:
        session.take(event)
        self._peers.remove_session(peer, session)
        self._finals.cancel((peer.node, session.index))
        self.commands.append(RemoveSession(session.index))

    def take_events(self) -> list[LinkEvent]:
        taken = list(self._events)
        self._events.clear()
        return taken
