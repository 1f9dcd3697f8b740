"""The data plane's model: commands in, events out, frames along the tables; no bytes of a datagram, no keys.

It keeps the meaning of ``treecast/_native.pyi``: who may open what, what is parked, where a frame goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatchmethod

from treecast.base import commands as c
from treecast.base import events as e
from treecast.base.addresses import Endpoint, IPAddress, IPNetwork
from treecast.base.ids import BROADCAST_TREE, KeyId, NodeIndex, TreeEpoch, TreeId
from treecast.base.keep_local import KeepLocal
from treecast.base.membership import SourceFilter
from treecast.base.time import Instant
from treecast.sim.frames import Way, frame_kind
from treecast.sim.handshake import ModelHandshake
from treecast.sim.network import Network


@dataclass(frozen=True, slots=True)
class SessionDatagram:
    receiver_index: int
    counter: int
    body: object


@dataclass(frozen=True, slots=True)
class Probe:
    reply: bool


@dataclass(frozen=True, slots=True)
class Key:
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId
    context: bytes


@dataclass(frozen=True, slots=True)
class TreeDatagram:
    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch
    key_id: KeyId
    counter: int
    frame: object


@dataclass(slots=True)
class _ReplayWindow:
    """What has come of the last ``size`` counters; an older one counts as a replay."""

    size: int
    highest: int = 0
    seen: set[int] = field(default_factory=set)

    def take(self, counter: int) -> bool:
        """Whether this counter is fresh; from now on it is not."""
        if counter in self.seen or counter <= self.highest - self.size:
            return False
        self.seen.add(counter)
        self.highest = max(self.highest, counter)
        if len(self.seen) > 2 * self.size:
            self.seen = {old for old in self.seen if old > self.highest - self.size}
        return True


@dataclass(slots=True)
class ModelSession:
    peer: NodeIndex
    remote_index: int
    endpoint: Endpoint
    confirmed: bool
    since: Instant
    heard_at: Instant
    sealed: int = 0
    window: _ReplayWindow = field(default_factory=lambda: _ReplayWindow(2048))


@dataclass(slots=True)
class _Tree:
    epoch: TreeEpoch
    key_id: KeyId
    next_hops: tuple[NodeIndex, ...] = ()
    replicate: tuple[NodeIndex, ...] = ()
    used: bool = False
    taken: int = 0
    sealed: int = 0


@dataclass(slots=True)
class ModelForwarder:
    """One node's tables. Frames that reach the hosts are appended to ``delivered``."""

    me: NodeIndex
    endpoint: Endpoint
    network: Network
    raise_event: Callable[[e.Event], None]
    refuses: Callable[[c.Command], e.RefusalReason | None] = lambda _: None
    """Why a command is not carried out though it could be."""
    delivered: list[object] = field(default_factory=list)
    injected: list[bytes] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)
    sessions: dict[int, ModelSession] = field(default_factory=dict)
    trees: dict[TreeId, _Tree] = field(default_factory=dict)
    routes: dict[tuple[int, IPAddress, IPAddress | None], TreeId] = field(default_factory=dict)
    prefix_routes: dict[tuple[int, IPNetwork], TreeId] = field(default_factory=dict)
    hosts: dict[tuple[int, bytes], NodeIndex] = field(default_factory=dict)
    parked: set[tuple[NodeIndex, TreeId, TreeEpoch, KeyId]] = field(default_factory=set)
    member_keys: dict[tuple[NodeIndex, TreeId, TreeEpoch], list[KeyId]] = field(default_factory=dict)
    tree_windows: dict[tuple[NodeIndex, TreeId, TreeEpoch], _ReplayWindow] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    storm_limits: dict[int, c.SetStormLimits] = field(default_factory=dict)
    kept: dict[int, KeepLocal] = field(default_factory=dict)
    flooding_ports: set[int] = field(default_factory=set)
    selective_ports: set[int] = field(default_factory=set)
    port_groups: dict[tuple[int, int, IPAddress], SourceFilter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.attach(self.endpoint, self._receive)

    # frames

    def send_frame(self, frame: bytes) -> bool:
        """A host's frame on port 0, whole: goes where the tables say, or is counted. True: Python is shown it."""
        kind = frame_kind(frame)
        if kind.dropped:
            self.drops[kind.dropped] += 1
        elif kind.way is Way.NOWHERE:
            pass
        elif 0 in self.blocked:
            self.drops["port_blocked"] += 1
        elif kind.way is Way.ONE:
            self._send_to_one(kind.vlan, frame)
        elif kind.way is Way.ALL:
            self._send_on_tree(BROADCAST_TREE, frame, "no_broadcast_tree")
        elif kind.group is not None and kind.source is not None:
            self._send_on_tree(self._route(kind.vlan, kind.group, kind.source), frame)
        return kind.shown

    def _send_to_one(self, vlan: int, frame: bytes) -> None:
        peer = self.hosts.get((vlan, frame[:6]))
        if peer is not None:
            self._seal(peer, ("frame", frame))
        elif 0 in self.flooding_ports:
            self._send_on_tree(BROADCAST_TREE, frame, "no_broadcast_tree")
        else:
            self.drops["unknown_unicast"] += 1

    def _route(self, vlan: int, group: IPAddress, source: IPAddress) -> TreeId | None:
        route = self.routes.get((vlan, group, source), self.routes.get((vlan, group, None)))
        if route is not None:
            return route
        found = [
            (prefix.prefixlen, tree_id)
            for (of_vlan, prefix), tree_id in self.prefix_routes.items()
            if of_vlan == vlan and prefix.version == group.version and group in prefix
        ]
        return max(found)[1] if found else None

    def send_multicast(self, group: IPAddress, source: IPAddress, frame: object) -> None:
        """A host's multicast frame."""
        if 0 in self.blocked:
            self.drops["port_blocked"] += 1
            return
        self._send_on_tree(self._route(0, group, source), frame)

    def _send_on_tree(self, tree_id: TreeId | None, frame: object, otherwise: str = "no_subscriber") -> None:
        tree = self.trees.get(tree_id) if tree_id is not None else None
        if tree_id is None or tree is None or not (tree.next_hops or tree.replicate):
            self.drops[otherwise] += 1
            return
        tree.taken += 1
        if not tree.used:
            tree.used = True
            self.raise_event(e.TreeUsed(tree_id))
        for peer in tree.replicate:
            self._seal(peer, ("frame", frame))
        if tree.next_hops:
            tree.sealed += 1
        datagram = TreeDatagram(self.me, tree_id, tree.epoch, tree.key_id, tree.sealed, frame)
        for peer in tree.next_hops:
            session = self._current(peer)
            if session is None:
                self.drops["no_session"] += 1
            else:
                self.network.send(self.endpoint, session.endpoint, datagram)

    # datagrams

    def _receive(self, source: Endpoint, datagram: object) -> None:
        match datagram:
            case bytes():
                self.raise_event(e.HandshakeDatagram(0, source, datagram))
            case SessionDatagram():
                self._receive_session(source, datagram)
            case TreeDatagram():
                self._receive_tree(datagram)

    def _receive_session(self, source: Endpoint, datagram: SessionDatagram) -> None:
        session = self.sessions.get(datagram.receiver_index)
        if session is None:
            self.drops["session_unknown"] += 1
            return
        if not session.window.take(datagram.counter):
            self.drops["session_replay"] += 1
            return
        session.heard_at = self.network.now
        if not session.confirmed:
            session.confirmed = True
            self.raise_event(e.SessionConfirmed(session.peer, datagram.receiver_index))
        if session.endpoint != source and datagram.counter == session.window.highest:
            session.endpoint = source
            self.raise_event(e.PeerMoved(session.peer, datagram.receiver_index, source))
        match datagram.body:
            case Probe(reply=False):
                self._seal(session.peer, Probe(reply=True))
            case Key(tree_id, epoch, key_id, context):
                self.parked.add((session.peer, tree_id, epoch, key_id))
                self.raise_event(e.KeyOffered(session.peer, tree_id, epoch, key_id, context))
            case bytes() as control:
                self.raise_event(e.ControlDatagram(session.peer, datagram.receiver_index, control))
            case ("frame", frame):
                self._deliver(frame)

    def _receive_tree(self, datagram: TreeDatagram) -> None:
        name = (datagram.root, datagram.tree_id, datagram.epoch)
        keys = self.member_keys.get(name)
        if keys is None:
            self.drops["tree_unknown"] += 1
        elif datagram.key_id not in keys:
            self.drops["tree_key_unknown"] += 1
        elif not self.tree_windows.setdefault(name, _ReplayWindow(4096)).take(datagram.counter):
            self.drops["tree_replay"] += 1
        else:
            self._deliver(datagram.frame)

    def _deliver(self, frame: object) -> None:
        if 0 in self.blocked:
            self.drops["port_blocked"] += 1
        else:
            self.delivered.append(frame)

    def _current(self, peer: NodeIndex) -> ModelSession | None:
        usable = [session for session in self.sessions.values() if session.peer == peer and session.confirmed]
        return usable[-1] if usable else None

    def _seal(self, peer: NodeIndex, body: object) -> None:
        session = self._current(peer)
        if session is None:
            self.drops["no_session"] += 1
            return
        session.sealed += 1
        self.network.send(self.endpoint, session.endpoint, SessionDatagram(session.remote_index, session.sealed, body))

    def probe(self) -> None:
        """What the real one does every two seconds: probe each peer."""
        for peer in sorted({session.peer for session in self.sessions.values()}):
            if self._current(peer) is not None:
                self._seal(peer, Probe(reply=False))

    def reports(self) -> list[e.SessionReport]:
        now = self.network.now
        return [
            e.SessionReport(index, session.peer, now - session.since, now - session.heard_at, None, session.sealed)
            for index, session in self.sessions.items()
        ]

    # commands

    def carry_out(self, commands: list[c.Command]) -> list[e.CommandRefused]:
        """In order; those that were refused."""
        refused: list[e.CommandRefused] = []
        for command in commands:
            reason = self.refuses(command)
            try:
                if reason is None:
                    self._do(command)
            except KeyError:
                reason = e.RefusalReason.UNKNOWN
            if reason is not None:
                if isinstance(command, c.AcceptKey):  # it is taken out of the parked before its tree finds no room
                    self.parked.discard((command.root, command.tree_id, command.epoch, command.key_id))
                refused.append(e.CommandRefused(command, reason))
        return refused

    @singledispatchmethod
    def _do(self, command: object) -> None:
        raise TypeError(f"no such command: {command!r}")

    @_do.register
    def _(self, command: c.SendDatagram) -> None:
        self.network.send(self.endpoint, command.endpoint, command.data)

    @_do.register
    def _(self, command: c.SendControl) -> None:
        self._seal(command.peer, command.data)

    @_do.register
    def _(self, command: c.Inject) -> None:
        self.injected.append(command.frame)

    @_do.register
    def _(self, command: c.FloodFrame) -> None:
        self._send_on_tree(BROADCAST_TREE, command.frame)

    @_do.register
    def _(self, command: c.SetPortForwarding) -> None:
        (self.blocked.discard if command.on else self.blocked.add)(command.port)

    @_do.register
    def _(self, command: c.SetStormLimits) -> None:
        self.storm_limits[command.port] = command

    @_do.register
    def _(self, command: c.SetKeepLocal) -> None:
        self.kept[command.port] = command.keep

    @_do.register
    def _(self, command: c.SetUnknownUnicastFlood) -> None:
        (self.flooding_ports.add if command.on else self.flooding_ports.discard)(command.port)

    @_do.register
    def _(self, command: c.SetPortSelective) -> None:
        (self.selective_ports.add if command.on else self.selective_ports.discard)(command.port)

    @_do.register
    def _(self, command: c.SetPortGroup) -> None:
        key = (command.port, command.vlan, command.group)
        self.port_groups[key] = command.filter
        if command.filter.wants_nothing:
            del self.port_groups[key]

    @_do.register
    def _(self, command: c.InstallSession) -> None:
        handshake = command.handshake
        if not isinstance(handshake, ModelHandshake):
            raise TypeError("a model session is made of a model handshake")
        now = self.network.now
        self.sessions[handshake.index] = ModelSession(
            command.peer, handshake.remote_index, command.endpoint, command.confirmed, now, now
        )

    @_do.register
    def _(self, command: c.RemoveSession) -> None:
        self.sessions.pop(command.session, None)

    @_do.register
    def _(self, command: c.ForgetPeer) -> None:
        peer = command.peer
        self.sessions = {index: session for index, session in self.sessions.items() if session.peer != peer}
        self.member_keys = {key: keys for key, keys in self.member_keys.items() if key[0] != peer}
        self.tree_windows = {key: window for key, window in self.tree_windows.items() if key[0] != peer}
        self.parked = {key for key in self.parked if key[0] != peer}
        self.hosts = {key: node for key, node in self.hosts.items() if node != peer}
        for tree in self.trees.values():
            tree.next_hops = tuple(node for node in tree.next_hops if node != peer)
            tree.replicate = tuple(node for node in tree.replicate if node != peer)

    @_do.register
    def _(self, command: c.SetPeerUnderlayMtu) -> None:
        """Paths of the model carry everything in one datagram."""

    @_do.register
    def _(self, command: c.SetHost) -> None:
        self.hosts[(command.vlan, command.mac.packed)] = command.peer

    @_do.register
    def _(self, command: c.RemoveHost) -> None:
        self.hosts.pop((command.vlan, command.mac.packed), None)

    @_do.register
    def _(self, command: c.CreateTree) -> None:
        self.trees[command.tree_id] = _Tree(command.epoch, command.key_id)

    @_do.register
    def _(self, command: c.RemoveTree) -> None:
        self.trees.pop(command.tree_id, None)

    @_do.register
    def _(self, command: c.SetTreeMembers) -> None:
        tree = self.trees[command.tree_id]
        tree.next_hops, tree.replicate = command.next_hops, command.replicate

    @_do.register
    def _(self, command: c.MakeKey) -> None:
        if command.tree_id not in self.trees:
            raise KeyError(command.tree_id)

    @_do.register
    def _(self, command: c.UseKey) -> None:
        self.trees[command.tree_id].key_id = command.key_id

    @_do.register
    def _(self, command: c.OfferKey) -> None:
        tree = self.trees[command.tree_id]
        self._seal(command.peer, Key(command.tree_id, tree.epoch, command.key_id, command.context))

    @_do.register
    def _(self, command: c.SetRoute) -> None:
        self.routes[(command.vlan, command.group, command.source)] = command.tree_id

    @_do.register
    def _(self, command: c.SetPrefixRoute) -> None:
        self.prefix_routes[command.vlan, command.prefix] = command.tree_id

    @_do.register
    def _(self, command: c.RemovePrefixRoute) -> None:
        self.prefix_routes.pop((command.vlan, command.prefix), None)

    @_do.register
    def _(self, command: c.RemoveRoute) -> None:
        self.routes.pop((command.vlan, command.group, command.source), None)

    @_do.register
    def _(self, command: c.AcceptKey) -> None:
        parked = (command.root, command.tree_id, command.epoch, command.key_id)
        self.parked.remove(parked)
        keys = self.member_keys.setdefault((command.root, command.tree_id, command.epoch), [])
        keys.append(command.key_id)
        del keys[:-2]
        self._seal(command.root, command.acknowledgement)

    @_do.register
    def _(self, command: c.RefuseKey) -> None:
        self.parked.discard((command.root, command.tree_id, command.epoch, command.key_id))

    @_do.register
    def _(self, command: c.RemoveMemberTree) -> None:
        self.member_keys.pop((command.root, command.tree_id, command.epoch), None)
        self.tree_windows.pop((command.root, command.tree_id, command.epoch), None)
