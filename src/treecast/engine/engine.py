"""One node's control plane as one value: events and time in, commands out.

Each turn runs down the house once: links, discovery, multicast, broadcast, topology, tables. What a room decides is a
value that the next one takes; nothing calls back up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random

from treecast.base.addresses import Endpoint, IPAddress, IPNetwork, MacAddress
from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.events import (
    CommandRefused,
    ControlDatagram,
    Event,
    ForeignHandshake,
    HandshakeDatagram,
    HostSeen,
    KeyOffered,
    PeerMoved,
    SessionConfirmed,
    SessionReport,
    TapFrame,
    TreeUsed,
)
from treecast.base.ids import KeyId, NodeIndex, TreeEpoch, TreeId
from treecast.base.keep_local import KEEP_ALL, KeepLocal
from treecast.base.lan import BridgedLan
from treecast.base.problems import Problem
from treecast.base.storm_control import StormLimits
from treecast.base.tables import TableUse, nearly_full
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.broadcast.broadcast import Broadcast
from treecast.broadcast.store import Record
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.root_trees import RootTrees
from treecast.designated_forwarder.designated_forwarder import DesignatedForwarder, Sender
from treecast.discovery.discovery import Discovery
from treecast.engine.certificates import ending
from treecast.engine.faults import Faults
from treecast.engine.following import Following
from treecast.engine.identities import must_end, twice
from treecast.engine.learning import Learning, certified_addresses
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.node_table import NodeTable
from treecast.engine.port_names import PortNames
from treecast.engine.refusals import Refusals
from treecast.engine.rooms import Rooms
from treecast.engine.view import View
from treecast.identity.certificate import Certificate, Verifier
from treecast.identity.node import NodeIdentity
from treecast.links.crypto import HandshakeFactory
from treecast.links.links import Links, LinkUp
from treecast.links.memory import Remembered
from treecast.multicast import (
    NO_ADDRESS,
    TAP,
    UNTAGGED,
    MembershipConfig,
    OwnKernel,
    PortAddresses,
    SwitchMembership,
    neighbour_of,
)
from treecast.topology.topology import Topology
from treecast.wire import ethernet
from treecast.wire.advertisement import Kind, NodeContent, host_key
from treecast.wire.beacon import BEACON_ETHERTYPE
from treecast.wire.control import Acknowledge, Digest, Flood, Goodbye, KeyAcknowledgement, emit_control, parse_control
from treecast.wire.handshake import MAX_VERSION_CHARACTERS, HandshakePayload

UNKNOWN_DEADLINE: Duration = 1.0
"""When the rooms cannot say when they are due."""


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """What the node finds where it starts.

    ``families``: the IP version of each UDP socket; ``ipv6``: whether the machine has IPv6, and the TAP thus addresses
    of it; ``epoch_ms``: the start, in milliseconds since 1970; ``aead``: the cipher this processor is good at;
    ``instance``: 8 random bytes that no other run of this node has; ``version``: of the program.
    """

    families: Sequence[int]
    ipv6: bool
    epoch_ms: int
    aead: int
    instance: bytes
    underlay_mtu: int = 1500
    version: str = ""


class Engine:
    """A node without I/O. Call ``turn`` with what happened, then carry out the commands it returns."""

    def __init__(
        self,
        identity: NodeIdentity,
        environment: NodeEnvironment,
        *,
        factory: HandshakeFactory,
        membership: MembershipConfig,
        rng: Random,
        unix_minus_monotonic_s: float,
        router_groups: Sequence[IPNetwork] = (),
        verifier: Verifier | None = None,
        intern: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        """``router_groups``: prefixes of groups that routers at this node get without joining.

        ``verifier`` and ``intern``: shared by the engines of one process, in simulation.
        """
        own_prefixes = tuple((UNTAGGED, prefix) for prefix in router_groups)
        certificate = identity.certificate
        self.me = certificate.node_index
        self.drops = Drops()
        self.faults = Faults(self.drops)
        self.nodes = NodeTable(certificate)
        self.ports = PortNames()
        self._identity = identity
        self._certificate_bytes = certificate.encode()
        self._environment = environment
        self._endpoints: tuple[Endpoint, ...] = ()
        self._underlay_mtu = environment.underlay_mtu
        self._verifier = verifier or Verifier(identity.network.ca_public_key)
        self._unix_offset = unix_minus_monotonic_s
        self._now = Instant(0.0)
        self._ports = {TAP}
        """Those that are open: what comes late from another counts no more."""
        self.links = Links(
            me=HandshakePayload(
                certificate=self._certificate_bytes,
                aead=environment.aead,
                epoch_ms=environment.epoch_ms,
                clock_ms=0,
                refused=0,
                underlay_mtu=environment.underlay_mtu,
                version=environment.version[:MAX_VERSION_CHARACTERS],
            ),
            my_index=self.me,
            factory=factory,
            families=environment.families,
            verify_certificate=self._verify_certificate,
            wall_clock_ms=lambda now: max(int((now + self._unix_offset) * 1000), 0),
            rng=rng,
            drops=self.drops,
        )
        sender = Sender(identity.network.id, certificate.node_id, self.me, certificate.mac, environment.epoch_ms)
        self.designated_forwarder = DesignatedForwarder(sender, self.drops, membership.query_response_interval)
        self.discovery = Discovery(self.me, self.drops)
        self.membership = SwitchMembership(
            membership,
            self.drops,
            mac=certificate.mac,
            link_local=certificate.mac.link_local,
            rng=rng,
            neighbour=self._neighbour,
        )
        self._broadcast = Broadcast(
            me=self.me,
            signing_key=identity.signing_key,
            epoch_ms=environment.epoch_ms,
            verify_certificate=self._verify_certificate,
            rng=rng,
            drops=self.drops,
            instance=environment.instance,
            verify_signature=self._verifier.signature,
            intern=intern,
        )
        self.topology = Topology()
        self.root_trees = RootTrees(TreeEpoch(environment.epoch_ms // 1000 & 0xFFFF_FFFF), self.drops)
        self.downstream_trees = DownstreamTrees(self.drops, own_prefixes)
        self.membership_sync = MembershipSync(
            self.membership, self._broadcast, self.topology, self.downstream_trees, own_prefixes
        )
        self._following = Following(
            self.nodes,
            self._broadcast,
            self.discovery,
            self.membership,
            self.membership_sync,
            self.topology,
            self.root_trees,
            self.downstream_trees,
            self.faults,
        )
        rooms = Rooms(
            self.me,
            self.drops,
            self.nodes,
            self.ports,
            self.links,
            self.designated_forwarder,
            self.discovery,
            self.membership,
            self._broadcast,
            self.topology,
            self.root_trees,
            self.downstream_trees,
            self.membership_sync,
        )
        self.view = View(rooms)
        self.trace = self.links.trace
        """The steps of handshakes, for the log."""
        self._outgoing: list[Command] = []
        self._certificate_ends: Timers[NodeIndex] = Timers()
        """When the certificate of each linked node ends: in seconds since 1970."""
        self._refusals = Refusals(
            self.links,
            self.discovery,
            self.root_trees,
            self.downstream_trees,
            self.membership_sync.port_groups,
            self.drops,
            self.faults,
        )
        self._learning = Learning(
            self.nodes, self.links, self.discovery, self.topology, self.membership_sync, self.drops
        )

    # inputs

    def start(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> list[Command]:
        """Announce this node, where it can be reached, and its own host; send the first queries."""
        self._now = now
        self._announce(now, endpoints)
        self.discovery.add_own(now, self._identity.certificate.mac, self._own_addresses())
        self.membership_sync.start(now)
        self.membership_sync.take(now, self.membership.start(now))
        return self._settle(now)

    def turn(self, now: Instant, events: Iterable[Event]) -> list[Command]:
        """Everything that happened, in order."""
        self._now = now
        for event in events:
            self.faults.spare(type(event).__name__, self._handle, now, event)
        return self._settle(now)

    def review(self, now: Instant, unix_now_s: float, reports: Sequence[SessionReport]) -> list[Command]:
        """The data plane's measurements and the calendar, about once a second."""
        self._now = now
        self._unix_offset = unix_now_s - now
        self.faults.step("links", self.links.review, now, reports)
        met = self.links.met_twin()
        if met is not None:
            self._broadcast.twins.met(met.at, met.endpoint, met.started_ms)
        for node in self._certificate_ends.due(Instant(unix_now_s)):
            self._certificate_ended(now, unix_now_s, node)
        return self._settle(now)

    def _certificate_ended(self, now: Instant, unix_now_s: float, node: NodeIndex) -> None:
        """The certificate with which a link came up has ended; the peer may have shown a newer one since."""
        peer = self.links.peer(node)
        if peer is None:
            return
        if unix_now_s > peer.certificate.not_after_s:
            self.drops.count("certificate_expired")
            self.links.cut(now, node, "certificate expired")
        else:
            self._certificate_ends.set(node, Instant(peer.certificate.not_after_s))

    def add_static_peer(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> list[Command]:
        """A peer that the operator named, with its present addresses."""
        self.links.configure(now, name, endpoints)
        return self._settle(now)

    def set_endpoints(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> list[Command]:
        """This machine's addresses changed."""
        self._announce(now, endpoints)
        return self._settle(now)

    def set_underlay_mtu(self, now: Instant, mtu_bytes: int) -> list[Command]:
        """This machine's interfaces carry another length: the other nodes are told at once."""
        self._underlay_mtu = mtu_bytes
        self.links.set_underlay_mtu(mtu_bytes)
        self._announce(now, self._endpoints)
        return self._settle(now)

    def name_port(self, port: int, interface: str) -> None:
        """People know the port by this interface from now on."""
        self.ports.put(port, interface)

    def set_interface_mac(self, mac: MacAddress) -> None:
        """The MAC that the node's own interface has now, which is another than its certificate's if somebody set it."""
        self.discovery.set_interface_mac(mac)

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None:
        """Nodes that an earlier run remembered, to be tried where they were."""
        self.links.recall(now, nodes)

    def remembered(self, now: Instant) -> tuple[Remembered, ...]:
        """The nodes that are worth remembering for the next run."""
        return self.links.remembered(now)

    def enter_switch_mode(self, now: Instant, port: int, lan: BridgedLan) -> list[Command]:
        """The port leads to this LAN from now on (switch mode), or the machine's address there has changed."""
        own = lan.ipv4 or self._identity.certificate.ipv4
        kernel = OwnKernel(lan.mac, neighbour_of(own) if own else NO_ADDRESS)
        self.designated_forwarder.open(now, port, lan.mac, self._own_addresses(), lan.limits, lan.keep_local)
        self.discovery.add_own(now, lan.mac, self._own_addresses())
        self.membership_sync.take(now, self.membership.set_ipv4(now, own.ip if own else NO_ADDRESS, kernel))
        return self._settle(now)

    def restart_startup_queries(self, now: Instant, port: int) -> list[Command]:
        """The port has new hosts: what do they want?"""
        self.membership_sync.take(now, self.membership.restart_startup_queries(now, port))
        return self._settle(now)

    def leave_switch_mode(self, now: Instant, port: int) -> list[Command]:
        """The port is the node's own again."""
        self.designated_forwarder.close(port)
        self.discovery.add_own(now, self._identity.certificate.mac, self._own_addresses())
        kernel = OwnKernel(self._identity.certificate.mac, self._neighbour)
        self.membership_sync.take(now, self.membership.set_ipv4(now, NO_ADDRESS, kernel))
        return self._settle(now)

    def open_packet_port(
        self,
        now: Instant,
        port: int,
        addresses: PortAddresses,
        limits: StormLimits,
        keep_local: KeepLocal = KEEP_ALL,
    ) -> list[Command]:
        """A packet port leads to a LAN, of which multicast alone is carried; or it has other addresses than before."""
        self._ports.add(port)
        self.designated_forwarder.open(now, port, self._identity.certificate.mac, (), limits, keep_local)
        self.discovery.open_multicast_only(port)
        self.membership_sync.open_port(now, port, addresses)
        return self._settle(now)

    def close_packet_port(self, now: Instant, port: int) -> list[Command]:
        """It is about to be closed."""
        self._ports.discard(port)
        self.designated_forwarder.leave(port)
        self.discovery.close_multicast_only(port)
        self.membership_sync.close_port(now, port)
        self.ports.remove(port)
        return self._settle(now)

    def goodbye(self) -> list[Command]:
        """The last commands: tell the peers, and the LANs, that this node goes down."""
        message = emit_control(Goodbye())
        return [*self.designated_forwarder.goodbye(), *(SendControl(peer.node, message) for peer in self.links.peers())]

    def next_deadline(self, now: Instant) -> Instant | None:
        """When ``turn`` must be called even if nothing happens."""
        deadlines: list[Instant | None] = []
        self.faults.step("deadlines", lambda: deadlines.append(self._next_deadline(now)))
        return deadlines[0] if deadlines else after(now, UNKNOWN_DEADLINE)

    def _next_deadline(self, now: Instant) -> Instant | None:
        return earliest(
            self.links.next_deadline(),
            self.designated_forwarder.next_deadline(now),
            self.discovery.next_deadline(),
            self.membership.next_deadline(),
            self.membership_sync.port_groups.retries.next_deadline(),
            self._broadcast.next_deadline(),
            self.root_trees.next_deadline(),
            self.downstream_trees.next_deadline(),
        )

    def must_end(self, now: Instant) -> str | None:
        """A sentence when the node is to end: its identity is another machine's, too."""
        return must_end(now, self._broadcast, self._identity.certificate.name)

    # what people read

    def problems(self, now: Instant) -> Iterator[Problem]:
        """What is wrong now and needs a person; cheap enough for once a second."""
        yield from self.links.problems(now)
        yield from self._refusals.problems()
        own_name = self._identity.certificate.name
        yield from twice(now, self._broadcast, own_name, self._endpoints, self.nodes.name)
        yield from ending(self._identity.certificate, self.nodes.certificates(), now + self._unix_offset)
        yield from self.designated_forwarder.problems(now, self.ports.name, self.nodes.name)
        yield from self.membership.problems(self.designated_forwarder.is_shared, self.ports.name)
        yield from self.discovery.problems(self.nodes.name)
        yield from nearly_full(self._tables())

    def _tables(self) -> Iterator[TableUse]:
        """How full the rooms' tables are."""
        yield from self.discovery.tables(self.ports.name)
        yield from self.membership.tables()
        yield from self._broadcast.tables()
        yield from self.root_trees.tables()
        yield from self.downstream_trees.tables()

    # one event

    def _handle(self, now: Instant, event: Event) -> None:
        match event:
            case TapFrame(port) | HostSeen(port) if port not in self._ports:
                self.drops.count("port_closed")
            case TapFrame():
                self._tap_frame(now, event)
            case HostSeen(port, vlan, mac):
                self.designated_forwarder.saw(now, port, vlan, mac)
                self.discovery.host_seen(now, port, vlan, mac)
            case HandshakeDatagram():
                self.links.receive(now, event)
            case ForeignHandshake(source):
                self.links.foreign(now, source)
            case ControlDatagram():
                self._control(now, event)
            case KeyOffered():
                self.downstream_trees.offered(now, event)
            case PeerMoved():
                self.links.moved(event)
            case SessionConfirmed():
                self.links.confirmed(event)
                self._follow_links(now)
            case TreeUsed(tree_id):
                self.root_trees.used(now, tree_id)
            case CommandRefused():
                self._refusals.take(now, event)

    def _tap_frame(self, now: Instant, event: TapFrame) -> None:
        try:
            frame = ethernet.parse(event.data)
            if frame.ethertype == BEACON_ETHERTYPE:
                self.designated_forwarder.receive(now, event.port, frame.payload)
                return
            self.designated_forwarder.saw(now, event.port, frame.vlan_id or 0, frame.source)
            if self.discovery.receive(now, event.port, frame, event.data):
                return
        except MalformedError as error:
            self.drops.count(error.reason)
            return
        other = self.nodes.other_with_mac(frame.source) if self.designated_forwarder.is_shared(event.port) else None
        if other is not None:
            self.drops.count("membership_of_a_node")  # its queries and reports are for hosts, and end with them
            self.designated_forwarder.heard_node(now, event.port, other)
            return
        self.membership_sync.take(now, self.membership.receive(now, event.port, frame))

    def _control(self, now: Instant, event: ControlDatagram) -> None:
        self._follow_links(now)
        try:
            message = parse_control(event.data)
        except MalformedError as error:
            self.drops.count(error.reason)
            return
        match message:
            case Flood() | Acknowledge() | Digest():
                for learned in self._broadcast.receive(now, event.peer, message):
                    self._learning.take(now, learned)
            case KeyAcknowledgement(tree_id, epoch, key_id):
                self.root_trees.key_acknowledgement(now, event.peer, TreeId(tree_id), TreeEpoch(epoch), KeyId(key_id))
            case Goodbye():
                self.links.goodbye(now, event.peer, event.session)
                self._follow_links(now)

    # down the house

    def _settle(self, now: Instant) -> list[Command]:
        """Each room does what is due. One that raises costs its own work of this turn, not that of the others."""
        step = self.faults.step
        step("links", self._advance_links, now)
        step("designated_forwarder", self._advance_designated_forwarder, now)
        step("discovery", self.discovery.advance, now)
        step("multicast", self._advance_multicast, now)
        step("discovery", self._publish_hosts, now)
        step("broadcast", self._advance_broadcast, now)
        step("member trees", self.downstream_trees.advance, now)
        step("root trees", self.root_trees.advance, now)
        step("topology", self._want_trees, now)
        step("broadcast", self._send_broadcast, now)
        self.faults.turn_ended()
        return [
            *self._taken(self.links.commands),
            *self._taken(self.designated_forwarder.commands),
            *self._taken(self.discovery.commands),
            *self._taken(self.membership_sync.commands),
            *self._taken(self.membership_sync.port_groups.commands),
            *self._taken(self.downstream_trees.commands),
            *self._taken(self.root_trees.commands),
            *self._taken(self._outgoing),
        ]

    def _advance_links(self, now: Instant) -> None:
        self.links.advance(now)
        self._follow_links(now)

    def _advance_designated_forwarder(self, now: Instant) -> None:
        for change in self.designated_forwarder.advance(now, able=self.links.any_up):
            self.faults.spare("designated_forwarder", self._following.port, now, change)

    def _advance_multicast(self, now: Instant) -> None:
        self.membership_sync.take(now, self.membership.advance(now))
        self.membership_sync.port_groups.advance(now)

    def _publish_hosts(self, now: Instant) -> None:
        for change in self.discovery.changes():
            if change.content is None:
                self._broadcast.withdraw(now, Kind.HOST, host_key(*change.key))
            else:
                self._broadcast.publish(now, Kind.HOST, host_key(*change.key), change.content)

    def _advance_broadcast(self, now: Instant) -> None:
        for learned in self._broadcast.advance(now):
            self.faults.spare("broadcast", self._learning.take, now, learned)

    def _want_trees(self, now: Instant) -> None:
        for tree in self.topology.changed_trees():
            self.faults.spare("topology", self.root_trees.want, now, tree.flow, tree.members)

    def _send_broadcast(self, now: Instant) -> None:
        for peer, message in self._broadcast.outgoing(now):
            self._outgoing.append(SendControl(peer, emit_control(message)))

    def _follow_links(self, now: Instant) -> None:
        events = list(self.links.events)
        self.links.events.clear()
        for event in events:
            if isinstance(event, LinkUp):
                self._certificate_ends.set(event.peer, Instant(event.certificate.not_after_s))
            else:
                self._certificate_ends.cancel(event.peer)
            self._following.link(now, event)

    # parts

    def _announce(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> None:
        self._endpoints = endpoints
        self._broadcast.announce(now, NodeContent.of(self._certificate_bytes, endpoints, self._underlay_mtu))

    @property
    def _neighbour(self) -> IPv4Address:
        """From where the own kernel hears reports on a TAP that no bridge has."""
        own = self._identity.certificate.ipv4
        return neighbour_of(own) if own else NO_ADDRESS

    def _own_addresses(self) -> tuple[IPAddress, ...]:
        certificate = self._identity.certificate
        certified = certified_addresses(certificate)
        if self._environment.ipv6:
            return (*certified, certificate.mac.link_local)
        return tuple(address for address in certified if address.version == 4)

    def _verify_certificate(self, wire: bytes) -> Certificate:
        return self._verifier.verify(wire, self._now + self._unix_offset)

    @staticmethod
    def _taken(commands: list[Command]) -> list[Command]:
        taken = list(commands)
        commands.clear()
        return taken
