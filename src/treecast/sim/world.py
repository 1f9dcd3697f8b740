"""A whole network in one process: identities, engines, forwarders, one virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network
from random import Random

from treecast.adapters.ca_records import sign_revocation
from treecast.base.addresses import Endpoint, IPAddress
from treecast.base.commands import Command
from treecast.base.events import Event, TapFrame
from treecast.base.ids import NodeIndex
from treecast.base.membership import FilterMode
from treecast.base.time import Duration, Instant, after
from treecast.engine.engine import Engine
from treecast.engine.environment import ALL_ALIKE, GroupOptions
from treecast.identity.certificate import Certificate, CertificateContent, issue
from treecast.identity.keys import NodeKeys, SigningKey
from treecast.identity.network import Network as NetworkIdentity
from treecast.identity.node import NodeIdentity
from treecast.identity.rights import Rights, Role
from treecast.multicast import MembershipConfig
from treecast.sim.forwarder import ModelForwarder
from treecast.sim.frames import ipv4_address
from treecast.sim.handshake import ModelFactory
from treecast.sim.installed import InstalledTables
from treecast.sim.locations import LocatedEndpoints
from treecast.sim.metering import Meter
from treecast.sim.sharing import Shared
from treecast.sim.underlay import Underlay, no_garbage_in_cycles
from treecast.wire import igmp
from treecast.wire.group_membership import GroupRecord, MembershipReport, RecordType

UNIX_START_S = 1_800_000_000.0
_PORT = 7700
_FIRST_ENDPOINT = IPv4Address("198.18.0.0")
"""Two times 65,536 addresses of the range for measurements (RFC 2544), the second for second machines."""
_FIRST_ADDRESS = IPv4Address("10.77.0.0")
MAY_BRIDGE = Rights(roles=Role.BRIDGE | Role.RELAY)
"""Any node may have hosts."""


class SimNode:
    """One node: its engine and its forwarder. ``stop`` kills it without a GOODBYE."""

    def __init__(
        self,
        world: World,
        identity: NodeIdentity,
        epoch_ms: int,
        groups: GroupOptions = ALL_ALIKE,
        machine: int = 0,
    ) -> None:
        self.index = identity.certificate.node_index
        self.identity = identity
        self.groups = groups
        self._world = world
        self._underlay = world.underlay
        self._turn_interval = world.turn_interval
        self._next_turn = self._underlay.now
        self._meter = world.meter
        self._clock = world.meter.clock if world.meter else lambda: 0.0
        self._waiting: list[Event] = []
        self._due: Instant | None = None
        self._wants: dict[str, tuple[FilterMode, tuple[str, ...]]] = {}
        self.turns, self.stopped = 0, False
        self.clock_error: Duration = 0.0  # its wall clock is ahead by it, from its next review on
        self.endpoint = Endpoint(_FIRST_ENDPOINT + self.index + 65_536 * machine, _PORT)
        self.forwarder = ModelForwarder(
            me=self.index,
            endpoint=self.endpoint,
            underlay=self._underlay,
            raise_event=self.raise_event,
            datagram_weight=world.datagram_weight,
            signing_key=identity.signing_key.public,
        )
        self.engine = Engine(
            identity,
            world.shared.environment(epoch_ms, world.new_instance(), InstalledTables(self.forwarder)),
            factory=ModelFactory(identity.certificate.static_key),
            membership=MembershipConfig(),
            rng=Random(world.rng.getrandbits(64)),
            unix_minus_monotonic_s=UNIX_START_S,
            groups=groups,
            verifier=world.shared.verifier,
            intern=world.shared.intern,
            planner=world.shared.planner,
            link_planner=world.shared.link_planner(),
        )
        self.carry_out(self.engine.start(self._underlay.now, (self.endpoint,)))
        self._plan()
        self._each(1.0, self._review)
        self._each(2.0, self.forwarder.probe)
        self._each(60.0, self._report_all)

    @property
    def now(self) -> Instant:
        """The time by the one clock of the world."""
        return self._underlay.now

    def knows(self, other: SimNode) -> bool:
        return self.engine.view.certificate(other.index) is not None

    def is_linked(self, other: SimNode) -> bool:
        return self.engine.view.is_linked(other.index)

    def subscribes(self, other: SimNode, group: str) -> bool:
        """Whether the other is a subscriber, by what this node has learned."""
        members = self.engine.view.members((0, ipv4_address(group)))
        return any(member.node == other.index for member in members)

    def carry_out(self, commands: list[Command]) -> None:
        """Carry out commands; those that are refused come back as events."""
        for refused in self.forwarder.carry_out(commands):
            self.raise_event(refused)

    def add_static_peer(self, other: SimNode) -> None:
        self.carry_out(self.engine.add_static_peer(self._underlay.now, str(other.endpoint), (other.endpoint,)))
        self._plan()

    def take_ca_record(self, wire: bytes) -> None:
        self.carry_out(self.engine.take_ca_record(self._underlay.now, wire))
        self._plan()

    def report(self, group: str, mode: FilterMode = FilterMode.EXCLUDE, sources: tuple[str, ...] = ()) -> None:
        """This node's own host reports its filter (an IGMPv3 state change report, RFC 9776 section 5.1)."""
        old_mode, old_sources = self._wants.get(group, (FilterMode.INCLUDE, ()))
        self._wants[group] = (mode, sources)
        if mode is FilterMode.EXCLUDE:
            self._report(RecordType.CHANGE_TO_EXCLUDE_MODE, group, sources)
        elif old_mode is FilterMode.EXCLUDE:
            self._report(RecordType.CHANGE_TO_INCLUDE_MODE, group, sources)
        else:
            self._report(RecordType.ALLOW_NEW_SOURCES, group, tuple(s for s in sources if s not in old_sources))
            self._report(RecordType.BLOCK_OLD_SOURCES, group, tuple(s for s in old_sources if s not in sources))

    def _report_all(self) -> None:
        """The host's answer to a general query."""
        states = {FilterMode.EXCLUDE: RecordType.MODE_IS_EXCLUDE, FilterMode.INCLUDE: RecordType.MODE_IS_INCLUDE}
        for group, (mode, sources) in self._wants.items():
            if mode is FilterMode.EXCLUDE or sources:
                self._report(states[mode], group, sources)

    def _report(self, kind: RecordType, group: str, sources: tuple[str, ...]) -> None:
        if kind in (RecordType.ALLOW_NEW_SOURCES, RecordType.BLOCK_OLD_SOURCES) and not sources:
            return
        record = GroupRecord(kind, ipv4_address(group), tuple(ipv4_address(source) for source in sources))
        certificate = self.identity.certificate
        frame = igmp.message_frame(
            MembershipReport((record,)),
            source_mac=certificate.mac,
            source=certificate.ipv4.ip if certificate.ipv4 else IPv4Address(0),
        )
        self.raise_event(TapFrame(0, frame))

    def leave(self, group: str) -> None:
        self.report(group, FilterMode.INCLUDE)

    def send(self, group: str, frame: object, source: IPAddress | None = None) -> None:
        """A host of this node sends a multicast frame."""
        certificate = self.identity.certificate
        own = certificate.ipv4.ip if certificate.ipv4 else IPv4Address(0)
        self.forwarder.send_multicast(ipv4_address(group), source or own, frame)

    def peers(self) -> list[NodeIndex]:
        return [link.node for link in self.engine.view.links()]

    def stop(self) -> None:
        self.stopped = self.forwarder.stopped = True
        self._underlay.detach(self.endpoint)

    def raise_event(self, event: Event) -> None:
        self._waiting.append(event)
        if len(self._waiting) == 1:
            self._underlay.at(Instant(max(self._underlay.now, self._next_turn)), self._turn)

    def _turn(self) -> None:
        if self.stopped:
            return
        self.turns += 1
        events, self._waiting = self._waiting, []
        now = self._underlay.now
        self._next_turn = after(now, self._turn_interval)
        began = self._clock()
        commands = self.engine.turn(now, events)
        self._spent(began)
        self.carry_out(commands)
        self._plan()

    def _spent(self, began: float) -> None:
        if self._meter is not None:
            self._meter.add(self.index, self._underlay.now, self._clock() - began)

    def _plan(self) -> None:
        now = self._underlay.now
        began = self._clock()
        deadline = self.engine.next_deadline(now)
        self._spent(began)
        if deadline is None or (self._due is not None and now < self._due <= deadline):
            return
        self._due = Instant(max(deadline, after(now, 0.001), self._next_turn))
        self._underlay.at(self._due, self._turn)

    def _review(self) -> None:
        now = self._underlay.now
        reports = self.forwarder.reports()
        began = self._clock()
        commands = self.engine.review(now, UNIX_START_S + now + self.clock_error, reports)
        self._spent(began)
        self.carry_out(commands)
        self._plan()

    def _each(self, interval: Duration, action: Callable[[], None]) -> None:
        def again() -> None:
            if not self.stopped:
                action()
                self._underlay.at(after(self._underlay.now, interval), again)

        self._underlay.at(after(self._underlay.now, interval), again)


class World:
    """Nodes by index from 1. The same seed gives the same run.

    ``cities``: each node stands at a generated location, and delays follow from that instead of ``delay``. A node
    takes what came since its last turn, ``turn_interval`` after that at the earliest. ``meter`` sums what engines cost.
    ``datagram_weight``: each datagram wears its key as so many do, so that keys are worn within a test.
    """

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.0,
        delay: Duration = 0.010,
        jitter: Duration = 0.0,
        cities: bool = False,
        turn_interval: Duration = 0.0,
        meter: Meter | None = None,
        datagram_weight: int = 1,
    ) -> None:
        self.datagram_weight, self.turn_interval, self.meter = datagram_weight, turn_interval, meter
        self.rng = Random(seed)
        self._instances = self._serials = 0
        located = LocatedEndpoints(Random(seed)) if cities else None
        self.underlay = Underlay(self.rng, loss=loss, delay=delay, jitter=jitter, delay_between=located)
        self._ca = SigningKey(self.rng.randbytes(32))
        self.shared = Shared(self._ca.public)
        self._identity = NetworkIdentity(
            "sim", self._ca.public, IPv4Network("10.77.0.0/16"), IPv6Network("fd00:77::/64"), bytes(32)
        )
        self.nodes: dict[NodeIndex, SimNode] = {}

    def add(
        self,
        *,
        peer: SimNode | None = None,
        lifetime: Duration = 86_400.0,
        not_before_s: int = 0,
        name: str = "",
        groups: GroupOptions = ALL_ALIKE,
        rights: Rights = MAY_BRIDGE,
    ) -> SimNode:
        """A new node, which knows the address of ``peer``; its certificate ends ``lifetime`` from now."""
        index = NodeIndex(len(self.nodes) + 1)
        keys = NodeKeys.from_seeds(self.rng.randbytes(32), self.rng.randbytes(32))
        certificate = self.certify(index, keys, lifetime, not_before_s, name, rights)
        return self._start(NodeIdentity(self._identity, certificate, keys), peer, groups=groups)

    def certify(
        self,
        index: NodeIndex,
        keys: NodeKeys,
        lifetime: Duration = 86_400.0,
        not_before_s: int = 0,
        name: str = "",
        rights: Rights = MAY_BRIDGE,
    ) -> Certificate:
        """A certificate of this network, also of a node that only others advertise."""
        self._serials += 1
        content = CertificateContent(
            network_id=self._identity.id,
            node_index=index,
            name=name or f"n{index}",
            static_key=keys.static.public,
            signing_key=keys.signing.public,
            ipv4=IPv4Interface((_FIRST_ADDRESS + index, 16)),
            ipv6=None,
            not_before_s=not_before_s,
            not_after_s=int(UNIX_START_S + self.underlay.now + lifetime),
            rights=rights,
            serial=self._serials,
        )
        return issue(self._ca, content)

    def revocation(self, node: NodeIndex, serial: int, name: str = "") -> bytes:
        """The CA's record that the node's certificates up to this serial are void."""
        return sign_revocation(self._ca, node, serial, name or f"n{node}")

    def restart(self, node: SimNode, *, peer: SimNode | None = None, clock_error: Duration = 0.0) -> SimNode:
        """Kill a node and start it again, with nothing remembered, and with a clock that is wrong by that much."""
        node.stop()
        return self._start(node.identity, peer, clock_error, node.groups)

    def new_instance(self) -> bytes:
        self._instances += 1
        return self._instances.to_bytes(8, "big")

    def copy(self, node: SimNode, *, peer: SimNode, clock_error: Duration = 0.0) -> SimNode:
        """The node's directory on a second machine, started while the node runs."""
        epoch_ms = int((UNIX_START_S + self.underlay.now + clock_error) * 1000)
        copied = SimNode(self, node.identity, epoch_ms, machine=1)
        copied.add_static_peer(peer)
        return copied

    def replace(self, node: SimNode, *, peer: SimNode, clock_error: Duration = 0.0, name: str = "") -> SimNode:
        """The node added again, with new keys, on a second machine, started while the node runs."""
        keys = NodeKeys.from_seeds(self.rng.randbytes(32), self.rng.randbytes(32))
        certificate = self.certify(node.index, keys, not_before_s=int(UNIX_START_S + self.underlay.now), name=name)
        epoch_ms = int((UNIX_START_S + self.underlay.now + clock_error) * 1000)
        replacing = SimNode(self, NodeIdentity(self._identity, certificate, keys), epoch_ms, machine=1)
        replacing.add_static_peer(peer)
        return replacing

    def _start(
        self,
        identity: NodeIdentity,
        peer: SimNode | None,
        clock_error: Duration = 0.0,
        groups: GroupOptions = ALL_ALIKE,
    ) -> SimNode:
        epoch_ms = int((UNIX_START_S + self.underlay.now + clock_error) * 1000)
        node = self.nodes[identity.certificate.node_index] = SimNode(self, identity, epoch_ms, groups)
        if peer is not None:
            node.add_static_peer(peer)
        return node

    def run(self, duration: Duration) -> None:
        self.underlay.run_until(after(self.underlay.now, duration))

    def run_until(self, condition: Callable[[], bool], limit: Duration, step: Duration = 0.01) -> Duration:
        """Run until the condition holds; returns how long that took, AssertionError after ``limit``."""
        began = self.underlay.now
        with no_garbage_in_cycles():
            while not condition():
                if self.underlay.now - began >= limit:
                    raise AssertionError(f"not within {limit} s")
                self.run(step)
        return self.underlay.now - began
