"""The data plane behind values: events out, commands in.

``noise``, ``privileges`` and ``tree_plans`` have the rest of ``treecast._native``. None decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address

from treecast import _native
from treecast.adapters.native_advice import on_packet_port, on_packet_socket, on_start
from treecast.adapters.native_records import emit_commands, emit_endpoint, parse_endpoint, parse_events
from treecast.adapters.netdevice import index_of, name_of
from treecast.adapters.noise import NoiseHandshake, native_network
from treecast.base import commands as c
from treecast.base import events as e
from treecast.base.addresses import Endpoint, MacAddress
from treecast.base.errors import OperatorError
from treecast.base.flows import CountedFlow, Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.installed_trees import InstalledPlace, InstalledRoot, InstalledStream
from treecast.identity.keys import SigningKey
from treecast.identity.network import Network

MAX_EVENTS_PER_TURN = 512
_TAP = 0


def open_packet_socket(interface: str) -> int:
    """A descriptor for ``DataPlane.open_packet_port``, the caller's to close; OperatorError."""
    try:
        return _native.open_packet_socket(interface)
    except OSError as error:
        raise OperatorError(on_packet_socket(error, interface)) from error


def open_unbound_packet_socket() -> int:
    """A descriptor for ``bind_packet_socket``, the caller's to close; OperatorError."""
    try:
        return _native.open_unbound_packet_socket()
    except OSError as error:
        raise OperatorError(on_packet_socket(error, "a packet socket")) from error


def bind_packet_socket(descriptor: int, interface: str, index: int) -> None:
    """Put the socket on this interface, which needs no rights; OperatorError."""
    try:
        _native.bind_packet_socket(descriptor, interface, index)
    except OSError as error:
        raise OperatorError(on_packet_socket(error, interface)) from error


class DataPlane:
    """One node's forwarder."""

    def __init__(
        self,
        *,
        node_index: NodeIndex,
        network: Network,
        signing_key: SigningKey,
        interface: str,
        mac: MacAddress,
        mtu: int,
        underlay_mtu: int,
        listen: Iterable[Endpoint],
        workers: int,
        take: bool = False,
    ) -> None:
        """Opens the TAP and the sockets; OperatorError, with what the operator can do, when that fails.

        ``take``: the TAP is there already, and nobody uses it.
        """
        self._underlay_mtu = underlay_mtu
        self.joins_groups = True
        try:
            self.native = _native.Forwarder(
                node_index=node_index,
                network=native_network(network),
                signing_key=_native.SigningKey(signing_key.seed()),
                interface=interface,
                mac=mac.packed,
                mtu=mtu,
                underlay_mtu=underlay_mtu,
                listen=[emit_endpoint(endpoint) for endpoint in listen],
                workers=workers,
                take=take,
            )
        except OSError as error:
            raise OperatorError(on_start(error)) from error
        self._index = index_of(self.native.interface)

    def start(self) -> None:
        self.native.start()

    def stop(self) -> None:
        self.native.stop()

    @property
    def listening(self) -> list[Endpoint]:
        """The sockets' local addresses."""
        return [parse_endpoint(address) for address in self.native.listening]

    @property
    def interface(self) -> str:
        """The TAP's name now."""
        return name_of(self._index) or self.native.interface

    def set_stay(self, *, on: bool) -> None:
        """Whether the TAP stays at the end. At first: one that was made goes, one that was taken does as before."""
        self.native.set_stay(on)

    @property
    def underlay_mtu(self) -> int:
        """The longest packet that may leave, in bytes: by this machine's interfaces, or as the operator has set."""
        return self._underlay_mtu

    def set_underlay_mtu(self, mtu_bytes: int) -> None:
        """Sets the MTU from now on, 1280 to 9000."""
        self.native.set_underlay_mtu(mtu_bytes)
        self._underlay_mtu = mtu_bytes

    @property
    def workers(self) -> int:
        """How many threads move packets."""
        return self.native.workers

    @property
    def running_workers(self) -> int:
        """How many of them run."""
        return self.native.running_workers

    def signal_workers(self) -> None:
        """Signal each thread, which answers if it still turns."""
        self.native.signal_workers()

    @property
    def unanswered(self) -> int:
        """How many threads have not answered the last signal."""
        return self.native.unanswered

    @property
    def offloads(self) -> list[str]:
        """The kernel offloads in use; ``group-super-packets``: datagrams for groups are joined for the TAP."""
        granted = self.native.offloads
        return [*granted, "group-super-packets"] if self.joins_groups and "tap-uso" in granted else granted

    def join_groups(self, on: bool) -> None:
        """Whether datagrams for groups go to the TAP joined into super-packets, where they may be, or one by one."""
        self.joins_groups = on
        self.native.set_group_super_packets(_TAP, on)

    def counters(self) -> dict[str, int]:
        return self.native.counters()

    def drops(self) -> dict[str, int]:
        """Drops by reason; only those that happened."""
        return {reason: count for reason, count in self.native.drops().items() if count}

    def dropped(self, reason: str) -> int:
        """The count of one reason that the data plane counts itself: no system calls, as for those of the kernel."""
        return self.native.dropped(reason)

    def take_refusals(self) -> Iterator[tuple[NodeIndex, str, int]]:
        """Take the refusals since the last call: node, reason, how many."""
        return ((NodeIndex(node), reason, count) for node, reason, count in self.native.take_refusals())

    def storm_refused(self, port: int) -> tuple[int, int, int]:
        """Broadcast, multicast and unknown unicast frames above the port's limits since they were set."""
        broadcast, multicast, unknown_unicast = self.native.storm_refused(port)
        return broadcast, multicast, unknown_unicast

    def peer_traffic(self) -> dict[NodeIndex, _native.PeerStats]:
        return {NodeIndex(stats.peer): stats for stats in self.native.peers()}

    def sent_by_flow(self) -> Iterator[tuple[Flow, tuple[int, int]]]:
        """Packets and bytes that this node sent as a root, per route."""
        for route in self.native.routes():
            source = ip_address(route.source) if route.source else None
            group = ip_address(route.group)
            length = None if route.prefix_length == group.max_prefixlen else route.prefix_length
            yield Flow(route.vlan, group, source, length), (route.tx_packets, route.tx_bytes)

    def sent_flows(self) -> Iterator[CountedFlow]:
        """Flows of this node's hosts to groups, wanted or not."""
        return map(_counted, self.native.sent_flows())

    def delivered_flows(self) -> Iterator[CountedFlow]:
        """Flows of groups that hosts of this node got."""
        return map(_counted, self.native.delivered_flows())

    def forward_cuts(self) -> list[_native.ForwardCut]:
        """Nodes that a budget of a route was refused to in the last three seconds."""
        return self.native.forward_cuts()

    def installed_stream(self, root: NodeIndex, stream: StreamId) -> InstalledStream | None:
        """A stream of another root: what has come of it, and this node's places on its trees."""
        found = self.native.places(root, stream)
        if found is None:
            return None
        received, places = found
        return InstalledStream((received.rx_packets, received.rx_bytes), [_place(place) for place in places])

    def installed_root(self, stream: StreamId) -> InstalledRoot | None:
        """A tree of this node's."""
        tree = self.native.root_tree(stream)
        if tree is None:
            return None
        nodes = (tuple(map(NodeIndex, some)) for some in (tree.next_hops, tree.copied, tree.beyond))
        return InstalledRoot(TreeEpoch(tree.epoch), KeyId(tree.key_id), *nodes)

    def sent_by_streams(self, streams: Sequence[StreamId]) -> dict[StreamId, tuple[int, int]]:
        """Frames of this node's hosts to the groups of these streams of its own."""
        return {StreamId(stream): sent for stream, sent in self.native.sent_by_streams(streams)}

    def open_packet_port(self, descriptor: int) -> int:
        """A port with such a socket, blocked at first: its number. OperatorError."""
        try:
            return self.native.open_packet_port(descriptor)
        except OSError as error:
            raise OperatorError(on_packet_port(error)) from error

    def close_port(self, port: int) -> None:
        """Closes a packet port."""
        self.native.close_port(port)

    def event_fd(self) -> int:
        """Readable when events wait."""
        return self.native.event_fd()

    def events(self) -> list[e.FromDataPlane]:
        """The waiting events, at most MAX_EVENTS_PER_TURN: the kinds in turn, each oldest first."""
        return parse_events(self.native.drain(MAX_EVENTS_PER_TURN))

    def reports(self) -> list[e.SessionReport]:
        """How each session is doing."""
        return [
            e.SessionReport(
                s.session,
                NodeIndex(s.peer),
                s.age_s,
                s.silent_s,
                s.rtt_ms,
                s.sealed,
                s.path_silent_s,
                s.path_unanswered,
                s.node_route_unanswered,
                s.least_rtt_ms,
                s.route_silent_s,
                s.routed,
                e.NodeRouteReceipt(*s.receipt) if s.receipt is not None else None,
                s.carried_bytes,
                s.refused_bytes,
            )
            for s in self.native.sessions()
        ]

    def carry_out(self, commands: Iterable[c.Command]) -> list[e.CommandRefused]:
        """Commands, in order; those that were refused. What cannot be sent is counted by the data plane."""
        return apply(self.native, commands)


def apply(forwarder: _native.Forwarder, commands: Iterable[c.Command]) -> list[e.CommandRefused]:
    """Carries out commands, in order; those that were refused cost themselves only."""
    able = list(commands)
    if not able:
        return []
    handshakes: list[_native.Handshake] = []
    refused: list[e.CommandRefused] = []

    def place(value: object) -> int:
        if not isinstance(value, NoiseHandshake):
            raise TypeError(f"no value of a command: {value!r}")
        if value.native not in handshakes:
            handshakes.append(value.native)
        return handshakes.index(value.native)

    try:
        records = emit_commands(able, place)
    except Exception:  # whatever one of them is, the others are carried out
        refused = [refusal for command in able if (refusal := _unsent(command, place))]
        bad = {id(refusal.command) for refusal in refused}
        able = [command for command in able if id(command) not in bad]
        records = emit_commands(able, place)
    for position, reason, text in forwarder.apply(records, handshakes):
        refused.append(e.CommandRefused(able[position], e.CommandRefusalReason(reason), ValueError(text)))
    return refused


def _unsent(command: c.Command, place: Callable[[object], int]) -> e.CommandRefused | None:
    try:
        emit_commands((command,), place)
    except Exception as error:
        return e.CommandRefused(command, e.CommandRefusalReason.INVALID, error)
    return None


def _place(stats: _native.PlaceStats) -> InstalledPlace:
    return InstalledPlace(
        TreeEpoch(stats.epoch),
        KeyId(stats.key_id),
        NodeIndex(stats.parent),
        NodeIndex(stats.backup),
        tuple(map(NodeIndex, stats.next_hops)),
        stats.graft,
        stats.since_s,
    )


def _counted(stats: _native.FlowStats) -> CountedFlow:
    return CountedFlow(
        vlan=stats.vlan,
        group=ip_address(stats.group),
        source=ip_address(stats.source),
        root=NodeIndex(stats.root),
        port=stats.port,
        packets=stats.packets,
        bytes=stats.bytes,
        since_s=stats.since_s,
        since_packets=stats.since_packets,
        since_bytes=stats.since_bytes,
        silent_s=stats.silent_s,
        pps=stats.pps,
        bps=stats.bps,
    )
