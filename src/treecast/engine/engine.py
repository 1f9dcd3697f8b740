"""One node's control plane as one value: events and time in, commands out.

Each turn runs down the house once (``_settle``): links, designated_forwarder, discovery, multicast, discovery's hosts,
broadcast, downstream trees, topology, root trees, what broadcast sends. What a room decides is a value that the next
takes. ``reception``: what an event does first; docs/map.md: the little that goes back up, and what rooms look up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from random import Random

from treecast.base.addresses import Endpoint, IPAddress, MacAddress
from treecast.base.commands import Command, SendControl, SetFingerprint
from treecast.base.errors import IdentityTakenError
from treecast.base.events import Event, SessionReport
from treecast.base.flows import GroupKey
from treecast.base.keep_local import KEEP_ALL, KeepLocal
from treecast.base.lan import BridgedLan
from treecast.base.planned_tree import LinkPlanner
from treecast.base.problems import Problem
from treecast.base.storm_control import StormLimits
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.tree_planner import TreePlanner, star
from treecast.broadcast.store import Record
from treecast.engine.changes import DuplicateChange, HostChange, MemberChange, SenderChange
from treecast.engine.environment import ALL_ALIKE, GroupOptions, NodeEnvironment, WallClock
from treecast.engine.faults import Faults
from treecast.engine.following import Following
from treecast.engine.lan_ports import LanPorts
from treecast.engine.learning import Learning
from treecast.engine.link_choosing import LinkChoosing
from treecast.engine.measuring import measurements
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.own_node import OwnNode
from treecast.engine.problems import EngineProblems
from treecast.engine.reception import Reception
from treecast.engine.refusals import CommandRefusals
from treecast.engine.revoking import Revoking
from treecast.engine.rooms import rooms_of
from treecast.engine.tree_view import TraceOf, begin_trace
from treecast.engine.view import View
from treecast.identity.certificate import Certificate, Verifier
from treecast.identity.node import NodeIdentity
from treecast.links.crypto import HandshakeFactory
from treecast.links.memory import Remembered
from treecast.multicast import TAP, MembershipConfig, PimSegment, PortAddresses
from treecast.topology.multicast_table import group_sort_key
from treecast.wire.advertisement import Kind, host_key
from treecast.wire.control import Goodbye, emit_control

UNKNOWN_DEADLINE: Duration = 1.0
"""The time to the next turn where the rooms' deadline cannot be found."""


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
        groups: GroupOptions = ALL_ALIKE,
        verifier: Verifier | None = None,
        intern: Callable[[Record], Record] = lambda record: record,
        planner: TreePlanner = star,
        link_planner: LinkPlanner | None = None,
    ) -> None:
        """``planner``: of the trees whose root this node is; ``link_planner``: of those within bounds.
        ``verifier`` and ``intern``: shared by the engines of one process, in simulation.
        """
        self.rooms = rooms = rooms_of(
            identity,
            environment,
            WallClock(unix_minus_monotonic_s),
            factory=factory,
            membership=membership,
            rng=rng,
            groups=groups,
            verifier=verifier or Verifier(identity.network.ca_public_key),
            intern=intern,
            planner=planner,
            link_planner=link_planner,
        )
        self.drops, self.faults = rooms.drops, Faults(rooms.drops)
        self.view = View(rooms)
        self.trace = rooms.links.trace  # the steps of handshakes, for the log
        self._own = OwnNode(rooms, environment)
        self._outgoing: list[Command] = []
        self._senders: Set[tuple[GroupKey, IPAddress]] = frozenset()
        self._membership_sync = MembershipSync(rooms)
        self._ports = LanPorts(rooms, self._membership_sync, self._own)
        self._following = Following(rooms, self._membership_sync, self.faults)
        self._choosing = LinkChoosing(rooms, self._following)
        self._learning = Learning(rooms, self._choosing.links_changed)
        self._revoking = Revoking(rooms, self._own, self._following, self._learning)
        self._refusals = CommandRefusals(rooms, self._following, self.faults)
        self._reception = Reception(
            rooms, self._ports.open, self._following, self._learning, self._membership_sync, self._refusals
        )
        self._problems = EngineProblems(rooms, self._refusals, self._revoking)

    def start(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> list[Command]:
        """Announce this node, where it can be reached, and its own host; send the first queries."""
        self.rooms.clock.now = now
        self._own.start(now, endpoints)
        self._membership_sync.start(now)
        return self._settle(now)

    def turn(self, now: Instant, events: Iterable[Event]) -> list[Command]:
        """Everything that happened, in order."""
        self.rooms.clock.now = now
        for event in events:
            self.faults.spare(type(event).__name__, self._reception.take, now, event)
        return self._settle(now)

    def review(self, now: Instant, unix_now_s: float, reports: Sequence[SessionReport]) -> list[Command]:
        """The data plane's measurements and the calendar, about once a second."""
        self.rooms.clock.set(now, unix_now_s)
        self.faults.step("links", self._review_links, now, reports)
        return self._settle(now)

    def _review_links(self, now: Instant, reports: Sequence[SessionReport]) -> None:
        self._following.links(now, self.rooms.links.review(now, reports))
        self._choosing.review(now, tuple(measurements(self.rooms.links, reports)))
        self._own.look_for_twin()
        self._following.certificates(now)
        self._following.replaced(now)

    def add_static_peer(self, now: Instant, name: str, endpoints: tuple[Endpoint, ...]) -> list[Command]:
        """A peer that the operator named, with its present addresses."""
        self.rooms.links.configure(now, name, endpoints)
        return self._settle(now)

    def set_endpoints(self, now: Instant, endpoints: tuple[Endpoint, ...]) -> list[Command]:
        """This machine's addresses changed."""
        self._own.set_endpoints(now, endpoints)
        return self._settle(now)

    def set_underlay_mtu(self, now: Instant, mtu_bytes: int) -> list[Command]:
        """This machine's interfaces carry another length: that is advertised at once."""
        self._own.set_underlay_mtu(now, mtu_bytes)
        return self._settle(now)

    def renew(self, now: Instant, certificate: Certificate) -> list[Command]:
        """Show another certificate of this node from now on: one for the same keys, index, name and addresses."""
        before, after_it = self._own.certificate.rights, certificate.rights
        self._own.renew(now, certificate)
        self._revoking.renewed(now)
        if (before.send_to, before.receive_from) != (after_it.send_to, after_it.receive_from):
            for group in sorted({*self.view.groups(), *(group for group, _ in self._senders)}, key=group_sort_key):
                self.rooms.changes.add(MemberChange(group, self.rooms.me))
        return self._settle(now)

    def take_ca_record(self, now: Instant, wire: bytes) -> list[Command]:
        """A record of the CA that the operator gives; MalformedError, and then nothing has changed."""
        self.recall_ca_records(now, (wire,))
        return self._settle(now)

    def recall_ca_records(self, now: Instant, wires: Iterable[bytes]) -> None:
        """Records of the CA that an earlier run held; MalformedError."""
        for wire in wires:
            for learned in self.rooms.broadcast.ca_records.put(now, wire):
                self._learning.take(now, learned)

    def name_port(self, port: int, interface: str) -> None:
        """People know the port by this interface from now on."""
        self.rooms.ports.put(port, interface)

    def identify_port(self, now: Instant, port: int, identity: str) -> list[Command]:
        """The port that other runs know by this identity: its PIM routers of an earlier run count again."""
        self._membership_sync.identify_port(now, port, identity)
        return self._settle(now)

    def set_interface_mac(self, mac: MacAddress) -> None:
        """The MAC that the node's own interface has now: not its certificate's, if somebody set it."""
        self.rooms.discovery.set_interface_mac(mac)

    def note_senders(self, senders: Set[tuple[GroupKey, IPAddress]]) -> None:
        """Hosts that send to groups just now, by group: those that began or stopped since the last call are changes."""
        for group in sorted({group for group, _ in senders ^ self._senders}, key=group_sort_key):
            self.rooms.changes.add(SenderChange(group))
        self._senders = senders

    def trace_trees(self, now: Instant, trace: int, wanted: TraceOf) -> list[Command]:
        """Begin a trace of a group's trees, by this number; ``view.take_trace`` has what comes of it."""
        begin_trace(self.rooms, now, trace, wanted)
        return self._settle(now)

    def recall(self, now: Instant, nodes: Sequence[Remembered]) -> None:
        """Nodes that an earlier run remembered, to be tried where they were."""
        self.rooms.links.recall(now, nodes)

    def remembered(self, now: Instant) -> tuple[Remembered, ...]:
        """The nodes that are worth remembering for the next run."""
        return self.rooms.links.remembered(now)

    def recall_vlans(self, now: Instant, vlans: Iterable[int]) -> list[Command]:
        """VLANs in which hosts were behind the TAP in an earlier run: their listeners are queried."""
        for vlan in vlans:
            self._membership_sync.take(now, self.rooms.membership.saw(now, TAP, vlan))
        return self._settle(now)

    def recall_pim(self, now: Instant, remembered: Iterable[PimSegment]) -> list[Command]:
        """PIM routers of an earlier run, with their Joins."""
        self._membership_sync.recall_pim(now, remembered)
        return self._settle(now)

    def enter_switch_mode(self, now: Instant, port: int, lan: BridgedLan) -> list[Command]:
        """The port leads to this LAN from now on (switch mode), or the machine's address there has changed."""
        self._ports.enter_switch_mode(now, port, lan)
        return self._settle(now)

    def restart_startup_queries(self, now: Instant, port: int) -> list[Command]:
        """The port has new hosts: what do they want?"""
        self._membership_sync.take(now, self.rooms.membership.restart_startup_queries(now, port))
        return self._settle(now)

    def leave_switch_mode(self, now: Instant, port: int) -> list[Command]:
        """The port is the node's own again."""
        self._ports.leave_switch_mode(now, port)
        return self._settle(now)

    def open_packet_port(
        self, now: Instant, port: int, addresses: PortAddresses, limits: StormLimits, keep_local: KeepLocal = KEEP_ALL
    ) -> list[Command]:
        """A packet port leads to a LAN, of which multicast alone is carried; or it has other addresses than before."""
        self._ports.open_packet_port(now, port, addresses, limits, keep_local)
        return self._settle(now)

    def close_packet_port(self, now: Instant, port: int) -> list[Command]:
        """A packet port is about to be closed."""
        self._ports.close_packet_port(now, port)
        return self._settle(now)

    def stop_relaying(self, now: Instant) -> list[Command]:
        """Advertise that this node relays no more; what goes on from here does until its roots have planned anew."""
        self._own.stop_relaying(now)
        return self._settle(now)

    def goodbye(self) -> list[Command]:
        """The last commands: GOODBYE to the peers, and to the LANs."""
        message = emit_control(Goodbye())
        to_peers = (SendControl(peer.node, message) for peer in self.rooms.links.peers())
        return [*self.rooms.designated_forwarder.goodbye(), *to_peers]

    def next_deadline(self, now: Instant) -> Instant | None:
        """The time at which ``turn`` must be called even if nothing happens."""
        deadlines: list[Instant | None] = []
        self.faults.step("deadlines", lambda: deadlines.append(self._next_deadline(now)))
        return deadlines[0] if deadlines else after(now, UNKNOWN_DEADLINE)

    def _next_deadline(self, now: Instant) -> Instant | None:
        return earliest(
            self._revoking.next_deadline(),
            self.rooms.links.next_deadline(),
            self.rooms.designated_forwarder.next_deadline(now),
            self.rooms.discovery.next_deadline(),
            self.rooms.membership.next_deadline(),
            self.rooms.port_groups.retries.next_deadline(),
            self.rooms.broadcast.next_deadline(),
            self.rooms.root_trees.next_deadline(),
            self.rooms.downstream_trees.next_deadline(),
            self.rooms.tree_states.next_deadline(),
            self.rooms.tree_traces.next_deadline(),
            self.rooms.topology.next_deadline(now),
        )

    def must_end(self, now: Instant) -> IdentityTakenError | None:
        """The reason when the node is to end: its identity is another machine's, too, or only that one's."""
        return self._own.must_end(now)

    def problems(self, now: Instant) -> Iterator[Problem]:
        """Problems that need a person now; cheap enough for once a second."""
        return self._problems.present(now, self._own.endpoints)

    def _settle(self, now: Instant) -> list[Command]:
        """Each room does what is due. One that raises costs its own work of this turn, not that of the others."""
        step = self.faults.step
        step("revocations", self._revoking.advance, now)
        step("links", self._advance_links, now)
        step("designated_forwarder", self._advance_designated_forwarder, now)
        step("discovery", self._advance_discovery, now)
        step("multicast", self._advance_multicast, now)
        step("discovery", self._publish_hosts, now)
        step("broadcast", self._advance_broadcast, now)
        step("downstream trees", self.rooms.downstream_trees.advance, now)
        step("downstream trees", self.rooms.tree_states.advance, now)
        step("topology", self._want_trees, now)
        step("root trees", self.rooms.root_trees.advance, now)
        step("tree traces", self.rooms.tree_traces.advance, now)
        step("broadcast", self._send_broadcast, now)
        self.faults.turn_ended()
        rooms = self.rooms
        of_nodes = rooms.nodes.sources.commands, rooms.links.commands, rooms.designated_forwarder.commands
        of_groups = rooms.discovery.commands, self._membership_sync.commands, rooms.port_groups.commands
        of_trees = rooms.downstream_trees.commands, rooms.tree_states.commands, rooms.root_trees.commands
        in_order = (*of_nodes, *of_groups, *of_trees, rooms.tree_traces.commands, self._outgoing)
        taken = [command for commands in in_order for command in commands]
        for commands in in_order:
            commands.clear()
        return taken

    def _advance_links(self, now: Instant) -> None:
        self._following.links(now, self.rooms.links.advance(now))

    def _advance_designated_forwarder(self, now: Instant) -> None:
        for change in self.rooms.designated_forwarder.advance(now, able=self.rooms.links.any_up):
            self.faults.spare("designated_forwarder", self._following.port, now, change)

    def _advance_discovery(self, now: Instant) -> None:
        self.rooms.discovery.advance(now)
        self._learning.learn_left_out(now)

    def _advance_multicast(self, now: Instant) -> None:
        self._membership_sync.proxy(now)
        for port, vlan in self.rooms.discovery.take_arrivals():
            self._membership_sync.take(now, self.rooms.membership.query_arrivals(now, port, vlan))
        self._membership_sync.take(now, self.rooms.membership.advance(now))
        self.rooms.port_groups.advance(now)

    def _publish_hosts(self, now: Instant) -> None:
        for vlan, mac in self.rooms.discovery.take_duplicates():
            self.rooms.changes.add(DuplicateChange(vlan, mac))
        for change in self.rooms.discovery.changes():
            self.rooms.changes.add(HostChange(*change.key, self.rooms.me))
            self.rooms.nodes.sources.claim(self.rooms.me, change.key, change.content)
            self.rooms.broadcast.put(now, Kind.HOST, host_key(*change.key), change.content)

    def _advance_broadcast(self, now: Instant) -> None:
        for learned in self.rooms.broadcast.advance(now):
            self.faults.spare("broadcast", self._learning.take, now, learned)
        self._membership_sync.proxy(now)

    def _want_trees(self, now: Instant) -> None:
        self._following.trees(now, self.rooms.topology.changed_trees(now))
        for group, node in self.rooms.topology.take_members_changed():
            self.rooms.changes.add(MemberChange(group, node))

    def _send_broadcast(self, now: Instant) -> None:
        fingerprint = self.rooms.broadcast.take_fingerprint()
        if fingerprint is not None:
            self._outgoing.append(SetFingerprint(fingerprint))
        for peer, message in self.rooms.broadcast.outgoing(now):
            self._outgoing.append(SendControl(peer, emit_control(message)))
