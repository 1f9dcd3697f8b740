"""DesignatedForwarder: the ports that share a LAN with other nodes, their beacons, and whether each may forward.

A port is blocked from the moment it is opened until its election is won. It decides nothing about frames other than
beacons. Read ``election`` for who wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from treecast.base.addresses import IPAddress, MacAddress
from treecast.base.commands import (
    Command,
    FloodFrame,
    Inject,
    SetKeepLocal,
    SetPortForwarding,
    SetStormLimits,
    SetUnknownUnicastFlood,
)
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.ids import NetworkId, NodeIndex
from treecast.base.keep_local import KEEP_ALL, KEEP_NOTHING, KeepLocal
from treecast.base.problems import Problem
from treecast.base.storm_control import NO_LIMITS, StormLimits
from treecast.base.time import Duration, Instant, after, earliest
from treecast.designated_forwarder.authenticity import Authenticity, FindSigner, MayCarry
from treecast.designated_forwarder.election import BEACON_INTERVAL, QUERY_RESPONSE_INTERVAL, Election, Rank, StateReason
from treecast.designated_forwarder.lan_problems import LanProblems
from treecast.designated_forwarder.seen import SeenHost, SeenHosts
from treecast.identity.keys import SigningKey, VerifySignature, verify
from treecast.wire.announcing import announcement_frames
from treecast.wire.beacon import (
    BEACON_CONTEXT,
    Beacon,
    BeaconState,
    SignedBeacon,
    beacon_frame,
    copy_in_ipv4,
    network_hash,
    parse_beacon_frame,
)
from treecast.wire.ethernet import EthernetFrame


@dataclass(frozen=True, slots=True)
class BeaconSigner:
    """The node that sends these beacons. ``epoch_ms``: this start, in milliseconds since 1970."""

    network_id: NetworkId
    node_index: NodeIndex
    mac: MacAddress
    epoch_ms: int
    signing_key: SigningKey

    def sign(self, body: bytes) -> bytes:
        return self.signing_key.sign(BEACON_CONTEXT, body)


@dataclass(frozen=True, slots=True)
class PortState:
    """How a LAN's election stands: ``forwarder`` is the node that carries it, None when there is none."""

    port: int
    state: BeaconState
    forwarder: NodeIndex | None
    nodes: tuple[NodeIndex, ...]
    looped: bool
    why: StateReason


@dataclass(frozen=True, slots=True)
class ForwardingChange:
    """A port begins or ends to forward. ``hosts`` were seen on it while ``forwarder_before`` carried the LAN."""

    port: int
    forwards: bool
    forwarder_before: NodeIndex | None = None
    hosts: tuple[SeenHost, ...] = ()


@dataclass(slots=True)
class _Port:
    mac: MacAddress
    addresses: tuple[IPAddress, ...]
    election: Election
    authenticity: Authenticity
    announced: BeaconState
    machine: MacAddress
    """Where the machine's addresses of the overlay are, as the nodes know."""
    beacon_due: Instant
    forwarder_before: NodeIndex | None = None
    seen: SeenHosts = field(default_factory=SeenHosts)
    problems: LanProblems = field(default_factory=LanProblems)


class DesignatedForwarder:
    """One node's shared ports. Methods append to ``commands``; the caller empties it."""

    def __init__(
        self,
        sender: BeaconSigner,
        drops: Drops,
        query_response_interval: Duration = QUERY_RESPONSE_INTERVAL,
        *,
        find_signer: FindSigner,
        may_carry: MayCarry,
        verify_signature: VerifySignature = verify,
    ) -> None:
        self._sender = sender
        self._network = network_hash(sender.network_id)
        self._find_signer = find_signer
        self._may_carry = may_carry
        self._verify_signature = verify_signature
        self._query_response_interval = query_response_interval
        self._drops = drops
        self._sequence = sender.epoch_ms
        self._ports: dict[int, _Port] = {}
        self._changes: list[ForwardingChange] = []
        self.commands: list[Command] = []

    def open(
        self,
        now: Instant,
        port: int,
        mac: MacAddress,
        addresses: tuple[IPAddress, ...],
        limits: StormLimits,
        keep_local: KeepLocal = KEEP_ALL,
    ) -> None:
        """The port shares a LAN from now on, on which this machine is a host with this MAC, or with another one."""
        if port in self._ports:
            self._ports[port].mac = mac
            return
        self._changes.append(ForwardingChange(port, forwards=False))
        rank: Rank = (self._sender.node_index, port)
        election = Election(now, rank, self._drops, self._query_response_interval)
        authenticity = Authenticity(now, self._find_signer, self._may_carry, self._verify_signature, self._drops)
        self._ports[port] = _Port(mac, addresses, election, authenticity, BeaconState.SILENT, self._sender.mac, now)
        self.commands += [
            SetPortForwarding(port, on=False),
            SetUnknownUnicastFlood(port, on=True),
            _storm_limits(port, limits),
            SetKeepLocal(port, keep_local),
        ]

    def close(self, port: int) -> None:
        """The port is the node's own again: it forwards, whichever other one does. A beacon shows that at once."""
        known = self._ports.pop(port, None)
        if known is not None:
            self._changes.append(ForwardingChange(port, forwards=True))
            self.commands += [
                *self._beacon(port, BeaconState.SILENT),
                SetPortForwarding(port, on=True),
                SetUnknownUnicastFlood(port, on=False),
                _storm_limits(port, NO_LIMITS),
                SetKeepLocal(port, KEEP_NOTHING),
                *(FloodFrame(port, frame) for frame in announcement_frames(self._sender.mac, known.addresses)),
            ]

    def leave(self, port: int) -> None:
        """The port is about to be gone. A beacon shows that at once."""
        if self._ports.pop(port, None) is not None:
            self.commands += self._beacon(port, BeaconState.SILENT)

    def goodbye(self) -> list[Command]:
        """The last beacons, and where the machine is from now on: the next node takes over without waiting."""
        for number, port in sorted(self._ports.items()):
            if any(node != self._sender.node_index for (node, _), _ in port.election.candidates()):
                self._announce_machine(number, port, port.mac)
        commands, self.commands = self.commands, []
        beacons = [self._beacon(port, BeaconState.SILENT) for port in sorted(self._ports)]
        return [*commands, *chain.from_iterable(beacons)]

    def receive(self, now: Instant, port: int, frame: EthernetFrame) -> None:
        """A beacon frame that came from a port."""
        known = self._ports.get(port)
        if known is None:
            self._drops.count("beacon_unexpected")
            return
        try:
            signed = parse_beacon_frame(frame)
        except MalformedError as error:
            self._drops.count(error.reason)
            return
        if signed.beacon.network != self._network:
            self._drops.count("beacon_other_network")
            known.problems.stranger(now, signed.beacon.network)
            return
        self._take(now, known, signed)

    def _take(self, now: Instant, known: _Port, signed: SignedBeacon) -> None:
        beacon = known.authenticity.judge(now, signed, (self._sender.node_index, self._sequence))
        if beacon is not None:
            known.election.receive(now, beacon)
            known.problems.beacon(NodeIndex(beacon.node_index))

    def receive_from_node(self, now: Instant, port: int, node: NodeIndex) -> None:
        """A query or report of another node, which it sends on its own LANs only, came from a port."""
        known = self._ports.get(port)
        if known is not None and node not in {rank[0] for rank, _ in known.election.candidates()}:
            known.problems.received(now, node)

    def is_shared(self, port: int) -> bool:
        return port in self._ports

    def is_blocked(self, port: int) -> bool:
        """Another node carries this port's LAN, or nobody does yet."""
        known = self._ports.get(port)
        return known is not None and known.announced is not BeaconState.FORWARDING

    def saw(self, now: Instant, port: int, vlan: int, mac: MacAddress) -> None:
        """A frame of this source came from a port; it counts where the port is blocked."""
        if self.is_blocked(port):
            self._ports[port].seen.saw(now, vlan, mac)

    def advance(self, now: Instant, *, able: bool) -> list[ForwardingChange]:
        """Decide, block or unblock, and send what is due. ``able``: the node has links. What changed since the last."""
        for port in self._ports.values():
            for signed in port.authenticity.take_known(now):
                self._take(now, port, signed)
        flooded = any(port.authenticity.is_flooded(now) for port in self._ports.values())
        for number, port in sorted(self._ports.items()):
            before = port.election.forwarder()
            if before is not None and before[0] != self._sender.node_index:
                port.forwarder_before = before[0]
            port.election.advance(now, able=able, flooded=flooded)
            state = port.election.state
            forwards, forwarded = state is BeaconState.FORWARDING, port.announced is BeaconState.FORWARDING
            if forwards is not forwarded:
                self.commands.append(SetPortForwarding(number, on=forwards))
                if forwards:
                    self._show_machine(number, port)
                self._note_take_over(now, port, forwards=forwards)
                hosts = port.seen.take(now)
                self._changes.append(
                    ForwardingChange(number, forwards, port.forwarder_before, hosts if forwards else ())
                )
            forwarder = port.election.forwarder()
            if not forwards and forwarder is not None and forwarder[0] != self._sender.node_index:
                self._announce_machine(number, port, port.mac)
            if state is not port.announced or port.beacon_due <= now:
                self.commands += self._beacon(number, state)
                port.announced, port.beacon_due = state, after(now, BEACON_INTERVAL)
        changes, self._changes = self._changes, []
        return changes

    def next_deadline(self, now: Instant) -> Instant | None:
        ports = self._ports.values()
        return earliest(*(earliest(port.beacon_due, port.election.next_deadline(now)) for port in ports))

    def ports(self, now: Instant) -> list[PortState]:
        """How each shared port stands, by number."""
        states: list[PortState] = []
        for number, port in sorted(self._ports.items()):
            election = port.election
            forwarder = election.forwarder()
            nodes = tuple(sorted({rank[0] for rank, _ in election.candidates()}))
            looped = election.is_looped(now)
            carrier, why = forwarder[0] if forwarder else None, election.why(now)
            states.append(PortState(number, election.state, carrier, nodes, looped, why))
        return states

    def problems(
        self,
        now: Instant,
        interface: Callable[[int], str],
        node_name: Callable[[NodeIndex], str],
        name_and_address: Callable[[NodeIndex], str],
    ) -> Iterator[Problem]:
        """Problems of the LANs that need a person. ``interface``: a port's name."""
        for number, port in sorted(self._ports.items()):
            yield from port.problems.present(now, interface(number), port.election, node_name)
            yield from port.authenticity.without_role.problems(now, interface(number), node_name, name_and_address)

    def _show_machine(self, number: int, port: _Port) -> None:
        """This node carries the LAN now: the nodes have its machine at its own MAC, the LAN at that of the LAN."""
        port.machine = port.mac
        self._announce_machine(number, port, self._sender.mac)
        here = announcement_frames(port.mac, port.addresses, self._sender.mac)
        self.commands += [Inject(number, frame) for frame in here]

    def _announce_machine(self, number: int, port: _Port, mac: MacAddress) -> None:
        """All nodes learn at which MAC the machine is: at that of its LAN while another node carries it."""
        if mac != port.machine:
            port.machine = mac
            announced = announcement_frames(mac, port.addresses, self._sender.mac)
            self.commands += [FloodFrame(number, frame) for frame in announced]

    def _note_take_over(self, now: Instant, port: _Port, *, forwards: bool) -> None:
        lost = port.election.lost
        if not forwards:
            port.problems.made_way()
        elif lost is not None and lost[0] != self._sender.node_index:
            port.problems.took_over(now, lost[0])
        port.election.lost = None

    def _beacon(self, port: int, state: BeaconState) -> tuple[Inject, Inject]:
        """The next one: both copies."""
        self._sequence += 1
        signer = self._find_signer(self._sender.node_index)
        beacon = Beacon(
            version=2,
            network=self._network,
            node_index=self._sender.node_index,
            epoch=self._sender.epoch_ms if signer is None else signer[1],
            sequence=self._sequence,
            state=state,
            port_plus_one=port + 1,
        )
        frame = beacon_frame(beacon, self._sender.mac, self._sender.sign)
        return Inject(port, frame), Inject(port, copy_in_ipv4(frame))


def _storm_limits(port: int, limits: StormLimits) -> SetStormLimits:
    return SetStormLimits(port, limits.broadcast_pps, limits.multicast_pps, limits.unknown_unicast_pps)
