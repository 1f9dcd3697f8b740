"""Links: handshakes with other nodes, and what becomes of the sessions they make.

Decides whom to shake hands with, when to rekey, and when a peer is dead. Never touches a key or a socket. Read
``docs/protocol.md`` section 3 first, then ``handshakes``, ``peers`` and ``targets``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from treecast.base.addresses import Endpoint
from treecast.base.commands import (
    Command,
    ForgetPeer,
    InstallSession,
    RemoveSession,
    SendDatagram,
    SetPeerUnderlayMtu,
)
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.events import HandshakeDatagram, PeerMoved, SessionConfirmed, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.identity.certificate import Certificate
from treecast.links.attempts import INIT_JITTER
from treecast.links.clocks import differing
from treecast.links.crypto import HandshakeFactory
from treecast.links.footprint import LinksFootprint
from treecast.links.handshakes import Finished, Handshakes, MetTwin
from treecast.links.memory import Remembered, worth_remembering
from treecast.links.peers import (
    DEAD_AFTER,
    MAX_SESSIONS,
    REJECT_AFTER,
    REKEY_AFTER,
    REKEY_JITTER,
    Peer,
    Peers,
    Session,
    is_silent,
    wants_handshake,
)
from treecast.links.reach import ALL_LINKS_LOST, Reach
from treecast.links.roster import Known, Roster
from treecast.links.states import PeerEvent, SessionEvent
from treecast.links.targets import Target, Targets
from treecast.links.trace import Step
from treecast.wire.handshake import HandshakePayload

FINAL_INTERVAL: Duration = 0.25
CONFIRM_LIMIT: Duration = 5.0
GOODBYE = "goodbye"
REFUSED_PAUSE: Duration = 5.0
"""Before a handshake with a peer whose session the data plane had no room for."""
SILENT = "silent"
GOODBYE_PAUSE: Duration = 5.0

AEAD_AES_256_GCM = 1
AEAD_CHACHA20_POLY1305 = 2


@dataclass(frozen=True, slots=True)
class LinkUp:
    peer: NodeIndex
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: NodeIndex
    reason: str


LinkEvent = LinkUp | LinkDown


class Links:
    """One node's links. Methods append to ``commands``, which the caller empties, and return which links came up or
    ended by them.
    """

    def __init__(
        self,
        *,
        me: HandshakePayload,
        my_index: NodeIndex,
        factory: HandshakeFactory,
        families: Sequence[int],
        verify_certificate: Callable[[bytes], Certificate],
        wall_clock_ms: Callable[[Instant], int],
        rng: Random,
        drops: Drops,
    ) -> None:
        """``families``: the IP version of each of the data plane's sockets, in their order.

        ``wall_clock_ms``: this node's wall clock at an instant, in milliseconds since 1970.
        """
        self._me = me
        self._drops = drops
        self._rng = rng
        self._wall_clock_ms = wall_clock_ms
        self._peers = Peers()
        self._targets = Targets(my_index, self._peers.__contains__)
        self._handshakes = Handshakes(
            me=me,
            my_index=my_index,
            factory=factory,
            families=families,
            verify_certificate=verify_certificate,
            wall_clock_ms=wall_clock_ms,
            index_in_use=self._peers.index_in_use,
            ended=self._targets.plan,
            rng=rng,
        )
        self._reach = Reach(self._targets, self._is_up, self._handshakes.heard, self._handshakes.refused)
        self._roster = Roster(self._peers, self._targets, self._reach)
        self._finals: Timers[tuple[NodeIndex, int]] = Timers()
        """When FINAL of each session, of a node and an index, is repeated until the session is confirmed."""
        self._memory: tuple[Remembered, ...] = ()
        self.trace = self._handshakes.trace
        self.changes = 0
        """Links that came up or ended since the start."""
        self.commands: list[Command] = []
        self._events: list[LinkEvent] = []
        """Not returned yet: what a method has changed before it raised is returned by the next one."""

    # whom to reach

    def configure(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> None:
        """A peer that the operator named; reached until the node stops. Call again when its addresses change, or are
        found: without any it is only shown.
        """
        self._targets.configure(now, name, endpoints)

    def learn(self, now: Instant, node: NodeIndex, endpoints: tuple[Endpoint, ...], name: str) -> None:
        """A node that Broadcast told of."""
        self._targets.learn(now, node, endpoints, name)

    def set_underlay_mtu(self, mtu_bytes: int) -> None:
        """What handshakes say of this node's underlay from now on."""
        self._handshakes.set_underlay_mtu(mtu_bytes)

    def learn_underlay_mtu(self, node: NodeIndex, mtu_bytes: int) -> None:
        """Broadcast told what a node's underlay carries; of one without a session its handshake will."""
        peer = self._peers.get(node)
        if peer is not None and peer.underlay_mtu != mtu_bytes:
            peer.underlay_mtu = mtu_bytes
            self.commands.append(SetPeerUnderlayMtu(node, mtu_bytes))

    def forget(self, node: NodeIndex) -> None:
        """Broadcast has forgotten the node. A link that is up stays."""
        target = self._targets.forget(node)
        if target is not None:
            self._handshakes.give_up(target)

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None:
        """Nodes that an earlier run remembered: tried, less and less often, where they were."""
        self._memory = worth_remembering(self._unix_s(now), nodes, ())
        self._targets.recall(now, self._memory)

    def remembered(self, now: Instant) -> tuple[Remembered, ...]:
        """What is worth remembering for the next run."""
        before, unix_s = self._memory, self._unix_s(now)
        self._memory = worth_remembering(unix_s, before, [self._linked_now(unix_s, peer) for peer in self.peers()])
        for node in {one.node for one in before} - {one.node for one in self._memory}:
            target = self._targets.drop_recalled(node)
            if target is not None:
                self._handshakes.give_up(target)
        return self._memory

    def unreached(self) -> list[str]:
        """Configured peers without a link."""
        return [target.name or "" for target in self._targets.configured() if not self._targets.is_reached(target)]

    def problems(self, now: Instant) -> Iterator[Problem]:
        """What is wrong with links and needs a person. A link that was refused was not lost by a cable, too."""
        refused = list(self._handshakes.refused.problems(now))
        yield from (p for p in self._reach.problems(now) if not refused or p.kind != ALL_LINKS_LOST)
        yield from refused
        yield from differing(now, self._wall_clock_ms(now), self._peers)

    def met_twin(self) -> MetTwin | None:
        """Another run of this node that handshakes have met since the last call."""
        met, self._handshakes.twin = self._handshakes.twin, None
        return met

    def known(self, now: Instant) -> Iterator[Known]:
        """Every node that is known or sought, in whatever state."""
        return self._roster.known(now)

    @property
    def any_up(self) -> bool:
        """Whether a link is up."""
        return self._reach.up > 0

    def peer(self, node: NodeIndex) -> Peer | None:
        """The node's peer, if its link is up."""
        peer = self._peers.get(node)
        return peer if peer is not None and peer.up else None

    def peers(self) -> list[Peer]:
        """The peers whose link is up, by node index."""
        return [peer for peer in self._peers if peer.up]

    def footprint(self) -> LinksFootprint:
        """What is kept of other nodes."""
        attempts = (target.node for target in self._handshakes.targets() if target.name is None)
        return LinksFootprint(
            self._handshakes.pending(),
            tuple(node for node in attempts if node is not None),
            tuple(target.node for target in self._targets.learned() if target.node is not None),
            tuple(peer.node for peer in self._peers),
            sum(len(peer.sessions) for peer in self._peers),
        )

    # what arrives

    def receive(self, now: Instant, datagram: HandshakeDatagram) -> list[LinkEvent]:
        """A handshake datagram with a good MAC."""
        finished = None
        try:
            finished = self._handshakes.receive(now, datagram)
        except MalformedError as error:
            self._drops.count(error.reason)
            self.trace.add(Step.REFUSED, "", (datagram.source,), error.reason)
        if finished is not None:
            step = Step.ANSWERED if finished.final is not None else Step.ACCEPTED
            self.trace.add(step, finished.certificate.name, (datagram.source,))
            self._install(now, finished)
        self._take_datagrams()
        return self._take_events()

    def foreign(self, now: Instant, source: Endpoint) -> None:
        """A handshake of another network came from there."""
        self._reach.foreign.note(now, source)

    def _install(self, now: Instant, finished: Finished) -> None:
        node = finished.certificate.node_index
        peer = self._peers.get(node)
        if peer is not None and peer.epoch_ms != finished.payload.epoch_ms:
            self._down(now, peer, "restarted", pause=0.0)
            peer = None
        if peer is None:
            peer = Peer(node, finished.certificate, finished.payload.epoch_ms)
            self._peers.add(peer)
        peer.learned(now, finished.certificate, finished.payload)
        session = Session(
            finished.state,
            finished.handshake.index,
            finished.final is not None,
            now,
            finished.socket,
            finished.endpoint,
            finished.final,
            REKEY_AFTER * self._rng.uniform(*REKEY_JITTER),
        )
        if session.final is not None:
            self._plan_final(now, node, session)
        self._peers.add_session(peer, session)
        peer.take(PeerEvent.INSTALLED)
        while len(peer.sessions) > MAX_SESSIONS:
            self._remove_session(peer, peer.sessions[0], SessionEvent.DROPPED)
        preferred = {finished.payload.aead, self._me.aead}
        aead = AEAD_AES_256_GCM if preferred == {AEAD_AES_256_GCM} else AEAD_CHACHA20_POLY1305
        self.commands.append(
            InstallSession(
                finished.handshake, session.index, node, session.socket, session.endpoint, aead, session.confirmed
            )
        )
        self.commands.append(SetPeerUnderlayMtu(node, peer.underlay_mtu))
        self._targets.plan_all(node)
        if session.confirmed:
            self._up(peer)

    def refused(self, now: Instant, command: InstallSession) -> list[LinkEvent]:
        """The data plane has no room for a session. A peer that has no other one is tried again after a while."""
        peer = self._peers.get(command.peer)
        session = peer.session(command.session) if peer else None
        if peer is not None and session is not None:
            # Also what has its index there without being known here.
            self._remove_session(peer, session, SessionEvent.DROPPED)
            if not peer.sessions:
                self._down(now, peer, "refused", pause=REFUSED_PAUSE)
        return self._take_events()

    def confirmed(self, event: SessionConfirmed) -> list[LinkEvent]:
        """The first authentic datagram of a session: the other side has it too."""
        peer = self._peers.get(event.peer)
        session = peer.session(event.session) if peer else None
        if peer is not None and session is not None:
            session.take(SessionEvent.DATAGRAM)
            session.final = None
            self._finals.cancel((event.peer, event.session))
            self._up(peer)
        return self._take_events()

    def moved(self, event: PeerMoved) -> None:
        """An authentic, fresh datagram came from a new address."""
        session = self._peers.session(event.peer, event.session)
        if session is not None:
            session.endpoint = event.endpoint

    def goodbye(self, now: Instant, node: NodeIndex, session: int) -> list[LinkEvent]:
        """The peer said on a session that it goes down; late, on a session that has ended, it means nothing."""
        return self.cut(now, node, GOODBYE) if self._peers.session(node, session) is not None else []

    def cut(self, now: Instant, node: NodeIndex, reason: str) -> list[LinkEvent]:
        """End the link: the peer may no longer be here."""
        peer = self._peers.get(node)
        if peer is not None:
            self._down(now, peer, reason, pause=GOODBYE_PAUSE)
        return self._take_events()

    def review(self, now: Instant, reports: Sequence[SessionReport]) -> list[LinkEvent]:
        """The data plane's measurements, about once a second: finds the dead, rekeys the old and the suspect."""
        by_session = {report.session: report for report in reports}
        for peer in self._peers:
            if is_silent(peer, by_session):
                self._down(now, peer, SILENT, pause=0.0)
                continue
            for session in list(peer.sessions):
                if now - session.established_at >= REJECT_AFTER:
                    self._remove_session(peer, session, SessionEvent.OVERDUE)
            if not peer.sessions:
                self._down(now, peer, "expired", pause=0.0)
            elif wants_handshake(now, peer, by_session) and not self._handshakes.is_trying_node(peer.node):
                self._handshakes.begin(now, _again(now, peer))
        self._take_datagrams()
        return self._take_events()

    # time

    def advance(self, now: Instant) -> list[LinkEvent]:
        """Begin, repeat and give up what is due."""
        self._handshakes.advance(now)
        for target in self._targets.due(now):
            self._handshakes.begin(now, target)
            target.begun(now)
        self._take_datagrams()
        for node, index in self._finals.due(now):
            peer = self._peers.get(node)
            session = peer.session(index) if peer else None
            if peer is not None and session is not None:
                self._repeat_final(now, peer, session)
        return self._take_events()

    def _repeat_final(self, now: Instant, peer: Peer, session: Session) -> None:
        if session.final is None:
            return
        if now - session.established_at >= CONFIRM_LIMIT:
            self._remove_session(peer, session, SessionEvent.OVERDUE)
            if not peer.sessions:
                self._down(now, peer, "unconfirmed", pause=0.0)
            return
        self._plan_final(now, peer.node, session)
        self.commands.append(SendDatagram(session.socket, session.endpoint, session.final))

    def _plan_final(self, now: Instant, node: NodeIndex, session: Session) -> None:
        self._finals.set((node, session.index), after(now, FINAL_INTERVAL * self._rng.uniform(*INIT_JITTER)))

    def next_deadline(self) -> Instant | None:
        return earliest(self._targets.next_deadline(), self._handshakes.next_deadline(), self._finals.next())

    # parts

    def _unix_s(self, now: Instant) -> int:
        return self._wall_clock_ms(now) // 1000

    def _linked_now(self, unix_s: int, peer: Peer) -> Remembered:
        told = (target.endpoints for target in self._targets.of(peer.node) if target.recall_pause is None)
        endpoints = [peer.current.endpoint, *(endpoint for endpoints in told for endpoint in endpoints)]
        return Remembered.linked_now(unix_s, peer.node, peer.certificate.name, endpoints)

    def _is_up(self, node: NodeIndex) -> bool:
        peer = self._peers.get(node)
        return peer is not None and peer.up

    def _up(self, peer: Peer) -> None:
        if peer.take(PeerEvent.CONFIRMED):
            self._handshakes.refused.forget(peer.node)
            self._roster.link_up(peer.node)
            self._reach.link_up()
            self.changes += 1
            self._events.append(LinkUp(peer.node, peer.certificate))

    def _down(self, now: Instant, peer: Peer, reason: str, pause: Duration) -> None:
        self._peers.remove(peer.node)
        for session in peer.sessions:
            session.take(SessionEvent.DROPPED)
            self._finals.cancel((peer.node, session.index))
        self.commands.append(ForgetPeer(peer.node))
        self._targets.pause(peer.node, after(now, pause))
        if peer.take(PeerEvent.LOST):
            self._roster.link_down(peer, after(now, -DEAD_AFTER) if reason == SILENT else now)
            self._targets.lost(now, peer.node, left=reason == GOODBYE)
            self._reach.link_down(now, peer.certificate.name, left=reason == GOODBYE)
            self.changes += 1
            self._events.append(LinkDown(peer.node, reason))

    def _remove_session(self, peer: Peer, session: Session, event: SessionEvent) -> None:
        session.take(event)
        self._peers.remove_session(peer, session)
        self._finals.cancel((peer.node, session.index))
        self.commands.append(RemoveSession(session.index))

    def _take_events(self) -> list[LinkEvent]:
        taken, self._events = self._events, []
        return taken

    def _take_datagrams(self) -> None:
        self.commands += self._handshakes.commands
        self._handshakes.commands.clear()


def _again(now: Instant, peer: Peer) -> Target:
    """The peer as a target of one more handshake, where it is now."""
    return Target(None, peer.node, (peer.sessions[-1].endpoint,), now, peer.certificate.name, now)
