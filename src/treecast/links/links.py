"""Links: one node's, all that the engine sees of handshakes, sessions and the nodes that it knows.

Decides which nodes are targets, remembered and shown. Never touches a key or a socket. Read ``docs/protocol.md``
section 3 first, then ``handshakes``, ``sessions`` and ``targets``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.commands import InstallSession
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.events import AnyHandshake, SessionConfirmed, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import SetPeerUnderlayMtu
from treecast.base.problems import Problem
from treecast.base.time import Instant, earliest
from treecast.base.underlay_routes import UnderlayRouteType
from treecast.identity.certificate import CERTIFICATE_EXPIRED, Certificate
from treecast.identity.newest import CERTIFICATE_REPLACED, has_same_keys, is_renewal
from treecast.identity.revocation import CERTIFICATE_REVOKED
from treecast.links.authentication import MetTwin
from treecast.links.budgets import Budgets
from treecast.links.clocks import clock_doubt, differing
from treecast.links.crypto import HandshakeFactory
from treecast.links.exchanges import Exchanges
from treecast.links.footprint import LinksFootprint, footprint_of
from treecast.links.handshakes import Handshakes
from treecast.links.init_channels import InitChannels
from treecast.links.link_bounds import LinkBounds
from treecast.links.link_events import LinkEnd, LinkEvent
from treecast.links.memory import Remembered, RememberedNodes
from treecast.links.neighbour_routes import NeighbourRoutes, NextHop
from treecast.links.obstacles import Obstacles
from treecast.links.peers import Peer, Peers
from treecast.links.reachability import Reachability
from treecast.links.refusals import LastRefusal
from treecast.links.remembering import Remembering
from treecast.links.roster import Known, Roster
from treecast.links.sessions import Sessions
from treecast.links.targets import Targets
from treecast.links.trace import Step
from treecast.wire.handshake import HandshakePayload


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
        loopback: Mapping[int, IPAddress],
        underlay_route_type: Callable[[IPAddress], UnderlayRouteType],
        verify_certificate: Callable[[bytes], Certificate],
        wall_clock_ms: Callable[[Instant], int],
        is_listed: Callable[[NodeIndex], bool],
        is_revoked: Callable[[NodeIndex, int], bool],
        next_hop: NextHop,
        newest_name: Callable[[NodeIndex], str],
        rng: Random,
        drops: Drops,
    ) -> None:
        """``families``: the IP version of each of the data plane's sockets, in their order. ``loopback``: the address
        of each version that is sent from a loopback address. ``underlay_route_type``: of where a datagram would go.

        ``wall_clock_ms``: this node's wall clock at an instant, in milliseconds since 1970. ``is_listed``: whether
        other nodes advertise a link with a node. ``is_revoked``: whether a node's certificate of a serial is.
        ``next_hop``: the neighbour on the way to a node. ``newest_name``: its name by its newest certificate, or empty.
        """
        self._drops = drops
        self._wall_clock_ms = wall_clock_ms
        self._newest_name = newest_name
        self._peers = Peers()
        self.neighbour_routes = NeighbourRoutes(self._peers, next_hop)
        self._targets = Targets(my_index, self._peers.__contains__, self._peers.is_probed_at, is_revoked)
        self._handshakes = Handshakes(
            me=me,
            factory=factory,
            verify_certificate=verify_certificate,
            wall_clock_ms=wall_clock_ms,
            peers=self._peers,
            ended=self._targets.plan,
            rng=rng,
            init_channels=InitChannels(Budgets(families, drops), self._peers, self.neighbour_routes),
            drops=drops,
        )
        obstacles = Obstacles(families, loopback, underlay_route_type)
        self._reachability = Reachability(
            self._targets, self._handshakes.inits, self._handshakes.refused, is_listed, obstacles, self._peers.linked_at
        )
        memory = RememberedNodes()
        self._roster = Roster(self._peers, self._targets, self._reachability, memory, wall_clock_ms)
        self._remembering = Remembering(
            memory, self._peers, self._targets, self._roster, wall_clock_ms, self._handshakes.give_up
        )
        self.exchanges = Exchanges(my_index, factory, self._peers, rng, drops)
        self._sessions = Sessions(
            aead=me.aead,
            peers=self._peers,
            targets=self._targets,
            handshakes=self._handshakes,
            exchanges=self.exchanges,
            roster=self._roster,
            reachability=self._reachability,
            wall_clock_ms=wall_clock_ms,
            neighbour_routes=self.neighbour_routes,
            rng=rng,
        )
        self.bounds = LinkBounds(self._peers, self._targets, self._handshakes, self._sessions)
        self.trace = self._handshakes.trace
        self.commands, self.paths = self._sessions.commands, self._sessions.paths

    # whom to reach

    def configure(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> None:
        """A peer that the operator named; reached until the node stops. Call again when its addresses change, or are
        found: without any it is only shown.
        """
        self._targets.configure(now, name, endpoints)

    def learn(
        self, now: Instant, node: NodeIndex, endpoints: tuple[Endpoint, ...], name: str, run: bytes = b""
    ) -> None:
        """A node that Broadcast has learned of. ``run``: which run of it."""
        self._targets.learn(now, node, endpoints, name, run)

    def moved_itself(self, now: Instant) -> None:
        """This machine has other addresses: pauses of what it seeks are over."""
        self._targets.network_is_back(now)

    def set_underlay_mtu(self, mtu_bytes: int) -> None:
        """Handshakes state another MTU of this node's underlay from now on."""
        self._handshakes.restate(underlay_mtu=mtu_bytes)

    def renew(self, now: Instant, own: Certificate) -> None:
        """Handshakes show another certificate of this node from now on; links stay as they are."""
        self._handshakes.restate(certificate=own.encode())
        if self._handshakes.refused.renew(own):
            self._targets.network_is_back(now)

    def learn_certificate(self, node: NodeIndex, certificate: Certificate) -> None:
        """A node advertised this certificate: its link lasts as long, where it is newer than the session's."""
        peer = self._peers.get(node)
        if peer is not None and is_renewal(certificate, peer.certificate):
            peer.certificate = certificate

    def learn_underlay_mtu(self, node: NodeIndex, mtu_bytes: int) -> None:
        """A node advertised another MTU of its underlay; one without a session states it in its handshake."""
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
        self._remembering.recall(now, nodes)

    def remembered(self, now: Instant) -> tuple[Remembered, ...]:
        """The nodes that are worth remembering for the next run."""
        return self._remembering.present(now)

    def remembered_serial(self, node: NodeIndex) -> int:
        """The serial of the certificate that the node is remembered with, or 0."""
        return self._remembering.serial(node)

    def unreached(self) -> list[str]:
        """Configured peers without a link; none while this node seeks nobody."""
        if self._targets.is_silent:
            return []
        return [target.name or "" for target in self._targets.configured() if not self._targets.is_reached(target)]

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Problems of links that need a person."""
        yield from self._reachability.problems(now)
        yield from self._handshakes.refused.problems(now, self.where, self._targets.is_up, self._newest_name)
        yield from differing(now, self._wall_clock_ms(now), self._peers)
        yield from self._sessions.plain_links.problems(now)

    def cut(self, now: Instant, node: NodeIndex, reason: LinkEnd) -> list[LinkEvent]:
        """End the link."""
        return self._sessions.cut(now, node, reason)

    def revoked(self, node: NodeIndex) -> None:
        """Certificates of the node are revoked: it is not sought with those."""
        for target in self._targets.of(node):
            if self._targets.is_revoked(target):
                self._handshakes.give_up(target)
            self._targets.plan(target)

    def withhold(self, now: Instant, *, silent: bool) -> None:
        """Begin no handshakes from now on, as nobody would take this node's certificate; or begin them again."""
        if silent:
            for target in self._handshakes.targets():
                self._handshakes.give_up(target)
        self._targets.withhold(now, silent=silent)

    def cut_expired(self, now: Instant, node: NodeIndex) -> list[LinkEvent]:
        """End the link: the peer's certificate has ended, by this node's clock."""
        peer = self.peer(node)
        if peer is not None:
            at, clock_ms = peer.first_hop.endpoint, int((peer.unix_offset_s + now) * 1000)
            self._handshakes.refused.note(LastRefusal(now, True, CERTIFICATE_EXPIRED, at, peer.certificate, clock_ms))
        return self.cut(now, node, LinkEnd.CERTIFICATE_EXPIRED)

    def clock_doubt(self, now: Instant) -> str:
        """Another node whose clock differs from this one's; empty where there is none."""
        return self._handshakes.refused.clock_doubt(now) or clock_doubt(now, self._wall_clock_ms(now), self._peers)

    def note_replaced(self, now: Instant, node: NodeIndex) -> None:
        """A linked node was added again: who has its replaced certificate is there, and people are to know where."""
        peer, clock_ms = self.peer(node), self._wall_clock_ms(now)
        if peer is not None:
            at = peer.first_hop.endpoint
            self._handshakes.refused.note(LastRefusal(now, True, CERTIFICATE_REPLACED, at, peer.certificate, clock_ms))

    def met_twin(self) -> MetTwin | None:
        """Another run of this node that handshakes have met since the last call."""
        return self._handshakes.met_twin()

    def known(self, now: Instant) -> Iterator[Known]:
        """Every node that is known or sought, in whatever state."""
        return self._roster.known(now)

    def where(self, node: NodeIndex) -> tuple[Endpoint, ...]:
        """Where the node is, or is advertised to be."""
        peer = self._peers.get(node)
        linked = (peer.path.endpoint,) if peer is not None and peer.path is not None and peer.via is None else ()
        advertised = (endpoint for target in self._targets.of(node) for endpoint in target.endpoints)
        return tuple(dict.fromkeys((*linked, *advertised)))

    @property
    def session_changes(self) -> int:
        """Sessions that were installed, confirmed or removed since the start, and paths that have moved."""
        return self._peers.session_changes

    @property
    def any_up(self) -> bool:
        """Whether a link is up."""
        return self._reachability.up > 0

    def peer(self, node: NodeIndex) -> Peer | None:
        """The node's peer, if its link is up."""
        peer = self._peers.get(node)
        return peer if peer is not None and peer.up else None

    def peers(self) -> list[Peer]:
        """The peers whose link is up, by node index."""
        return [peer for peer in self._peers if peer.up]

    def footprint(self) -> LinksFootprint:
        """Sizes of what is kept of other nodes."""
        return footprint_of(self._handshakes, self._targets, self._peers)

    # what arrives

    def receive(self, now: Instant, event: AnyHandshake) -> list[LinkEvent]:
        """A handshake datagram with a good MAC, by itself, in a session, or by a neighbour."""
        events: list[LinkEvent] = []
        if (channel := self._peers.channel_of(event)) is None:
            self._drops.count("handshake_unknown")
            return []
        finished = None
        try:
            finished = self._handshakes.receive(now, event.data, channel)
        except MalformedError as error:
            self._drops.count(error.reason)
            self.trace.add(Step.REFUSED, "", (channel.endpoint,), error.reason)
        events += self._learn_of_refusal(now)
        if finished is not None:
            self._note_if_replaced(now, finished.certificate)
            step = Step.ANSWERED if finished.final is not None else Step.ACCEPTED
            self.trace.add(step, finished.certificate.name, (channel.endpoint,), payload=finished.payload)
            events += self._sessions.install(now, finished)
        self._take_datagrams()
        return events

    def foreign(self, now: Instant, source: Endpoint) -> None:
        """A handshake of another network came from there."""
        self._reachability.foreign.note(now, source)

    def refused(self, now: Instant, command: InstallSession) -> list[LinkEvent]:
        """The data plane's table of sessions is full. A peer that has no other one is tried again after a while."""
        return self._sessions.refused(now, command)

    def confirmed(self, now: Instant, event: SessionConfirmed) -> list[LinkEvent]:
        """The first authentic datagram of a session: the other side has it too."""
        return self._sessions.confirmed(now, event)

    def goodbye(self, now: Instant, node: NodeIndex, session: int) -> list[LinkEvent]:
        """GOODBYE came on a session: the peer goes down. Late, on a session that has ended, it means nothing."""
        return self._sessions.goodbye(now, node, session)

    def review(self, now: Instant, reports: Sequence[SessionReport]) -> list[LinkEvent]:
        """The data plane's measurements, about once a second: finds the dead, rekeys the old and the suspect."""
        events = self._sessions.review(now, reports)
        self._take_datagrams()
        return events

    # time

    def advance(self, now: Instant) -> list[LinkEvent]:
        """Begin, repeat and give up what is due."""
        self._handshakes.advance(now)
        for target in self._targets.due(now):
            self._handshakes.begin(now, target)
            target.begun(now)
        self._take_datagrams()
        return self._sessions.advance(now)

    def next_deadline(self) -> Instant | None:
        return earliest(self._targets.next_deadline(), self._handshakes.next_deadline(), self._sessions.next_deadline())

    # parts

    def _learn_of_refusal(self, now: Instant) -> list[LinkEvent]:
        """A handshake that was refused has shown that the network works, and a linked node's clock, too."""
        refused = self._handshakes.refused.take_last()
        if refused is None:
            return []
        self._reachability.answered()
        node = refused.other.node_index if refused.other else None
        peer = self._peers.get(node) if node else None
        if peer is not None and refused.is_of_a_time:
            peer.unix_offset_s = refused.clock_ms / 1000 - refused.at
        is_revoking = not refused.by_me and refused.reason == CERTIFICATE_REVOKED
        return self._sessions.refused_for_good(now, node) if node and is_revoking else []

    def _note_if_replaced(self, now: Instant, newer: Certificate) -> None:
        peer = self.peer(newer.node_index)
        if peer is not None and not has_same_keys(peer.certificate, newer):
            self.note_replaced(now, peer.node)

    def _take_datagrams(self) -> None:
        self.commands += self._handshakes.commands
        self._handshakes.commands.clear()
