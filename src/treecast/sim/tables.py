"""The tables of a modelled data plane and the commands that only write them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import singledispatch

from treecast.base import commands as c
from treecast.base.addresses import IPAddress, IPNetwork
from treecast.base.downstream_commands import (
    AcceptKey,
    AcceptTree,
    ConfirmStream,
    EndRelaying,
    LeaveStream,
    RefuseKey,
    RefuseTree,
)
from treecast.base.flows import KeyFlow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.keep_local import KeepLocal
from treecast.base.key_commands import AnnounceKey
from treecast.base.machine_commands import SetBridgeMac
from treecast.base.membership import SourceFilter
from treecast.base.path_commands import SetPeerUnderlayMtu
from treecast.sim.datagrams import ReplayWindow, TreeState
from treecast.sim.frame_sources import routed_group, why_refused
from treecast.sim.frames import Delivery, frame_kind
from treecast.sim.pending_states import PendingStates
from treecast.sim.root_tree import RootTree

StreamName = tuple[NodeIndex, StreamId]
"""Root and stream: what a stream is called on other nodes than its root."""

KEPT = 2
"""A stream's two highest keys and the trees of its two highest epochs are kept."""


@dataclass(slots=True)
class DownstreamStream:
    """A stream of another root: its keys here, and the trees by which it comes."""

    flow: KeyFlow | None = None
    """The frames that its keys are for, as the first was taken."""
    keys: list[KeyId] = field(default_factory=list)
    trees: dict[TreeEpoch, TreeState] = field(default_factory=dict)
    opened: dict[KeyId, ReplayWindow] = field(default_factory=dict)
    relayed: dict[KeyId, ReplayWindow] = field(default_factory=dict)
    of_parents: dict[tuple[KeyId, bool], ReplayWindow] = field(default_factory=dict)
    """The counters that each of two parents has sent, which both send all of it."""
    firsts: dict[KeyId, int] = field(default_factory=dict)
    """The first counter that came by the tree, where the root has sent it."""
    came: int = 0
    """Datagrams that were new here."""
    served_since: int = -1
    """How often the root had got a route when it last reported so."""

    def serve(self, key_id: KeyId, first_counter: int, routes_set: int) -> None:
        """Take the root's word: copies under a key end those before it."""
        self.served_since = routes_set
        self.firsts[key_id] = max(first_counter, self.firsts.get(key_id, 0))
        if first_counter > 1:
            self.keys[:] = [key for key in self.keys if key >= key_id]

    def accept_key(self, key_id: KeyId, flow: KeyFlow | None) -> bool:
        """Whether the key is held then: not one that is older than two others, or than the newest when that is used."""
        self.flow = self.flow or flow
        if key_id not in self.keys and any(key > key_id and self.opened.get(key) for key in self.keys[-1:]):
            return False
        self.keys[:] = sorted({*self.keys, key_id})[-KEPT:]
        self.opened = {key: window for key, window in self.opened.items() if key in self.keys}
        return key_id in self.keys

    def accept_tree(self, state: TreeState) -> None:
        kept = sorted({*self.trees, state.epoch})[-KEPT:]
        self.trees = {epoch: tree for epoch, tree in {**self.trees, state.epoch: state}.items() if epoch in kept}
        named = {tree.key_id for tree in self.trees.values()}
        self.relayed = {key: window for key, window in self.relayed.items() if key in named}
        self.of_parents = {of: window for of, window in self.of_parents.items() if of[0] in named}


@dataclass(slots=True)
class ForwardingTables:
    """One node's tables, as the commands leave them."""

    trees: dict[StreamId, RootTree] = field(default_factory=dict)
    routes: dict[tuple[int, IPAddress, IPAddress | None], StreamId] = field(default_factory=dict)
    prefix_routes: dict[tuple[int, IPNetwork], StreamId] = field(default_factory=dict)
    hosts: dict[tuple[int, bytes], NodeIndex] = field(default_factory=dict)
    node_routes: dict[NodeIndex, NodeIndex] = field(default_factory=dict)
    """The next hop to each node that has a route."""
    certified: dict[NodeIndex, c.CertifyNode] = field(default_factory=dict)
    authenticated: tuple[IPNetwork, ...] = ()
    bridge: SetBridgeMac | None = None
    pending_offers: set[tuple[NodeIndex, StreamId, KeyId]] = field(default_factory=set)
    pending_states: PendingStates = field(default_factory=PendingStates)
    streams: dict[StreamName, DownstreamStream] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    storm_limits: dict[int, c.SetStormLimits] = field(default_factory=dict)
    kept: dict[int, KeepLocal] = field(default_factory=dict)
    flooding_ports: set[int] = field(default_factory=set)
    selective_ports: set[int] = field(default_factory=set)
    port_groups: dict[tuple[int, int, IPAddress], SourceFilter] = field(default_factory=dict)

    def route(self, vlan: int, group: IPAddress, source: IPAddress) -> StreamId | None:
        """The tree of a multicast frame: (S,G) before (*,G) before the longest prefix."""
        route = self.routes.get((vlan, group, source), self.routes.get((vlan, group, None)))
        if route is not None:
            return route
        found = [
            (prefix.prefixlen, stream)
            for (of_vlan, prefix), stream in self.prefix_routes.items()
            if of_vlan == vlan and prefix.version == group.version and group in prefix
        ]
        return max(found)[1] if found else None

    def why_refused(self, node: NodeIndex, frame: object, *, of_group: bool, flow: KeyFlow | None = None) -> str | None:
        """The reason for which a frame of a node is not delivered.

        ``of_group``: by a group's key, which carries nothing that is to be signed, and no other than its flow. What is
        not bytes stands for a right one.
        """
        if not isinstance(frame, bytes):
            return None
        if of_group and frame_kind(frame).delivery is not Delivery.GROUP:
            return "broadcast_signature"
        if of_group and flow is not None and not frame_kind(frame).is_of(flow):
            return "frame_of_another_flow"
        group = routed_group(frame)
        if of_group and group is not None and any(group in prefix for prefix in self.authenticated):
            return "frame_not_authenticated"
        return why_refused(node, frame, self.certified)

    def forget_peer(self, peer: NodeIndex) -> None:
        """Remove what names this peer."""
        self.streams = {name: stream for name, stream in self.streams.items() if name[0] != peer}
        self.pending_offers = {key for key in self.pending_offers if key[0] != peer}
        self.pending_states.forget(peer)
        self.hosts = {key: node for key, node in self.hosts.items() if node != peer}
        for stream in self.streams.values():
            for epoch, state in stream.trees.items():
                stream.trees[epoch] = replace(state, children=_without(state.children, peer))
        for tree in self.trees.values():
            tree.next_hops, tree.replicate = _without(tree.next_hops, peer), _without(tree.replicate, peer)

    def accept_key(self, root: NodeIndex, stream: StreamId, key_id: KeyId, flow: KeyFlow | None) -> None:
        """Take a pending offer; KeyError where there is none, or its key is not held then."""
        self.pending_offers.remove((root, stream, key_id))
        if not self.streams.setdefault((root, stream), DownstreamStream()).accept_key(key_id, flow):
            raise KeyError(key_id)

    def end_offer(self, command: c.Command) -> None:
        """A command was refused: what it was to take waits no more."""
        if isinstance(command, AcceptKey):
            self.pending_offers.discard((command.root, command.stream, command.key_id))
        if isinstance(command, AcceptTree):
            self.pending_states.discard(command.root, command.stream, command.epoch, command.number)

    def write(self, command: object) -> None:
        """Carry out one command; KeyError where it names a tree or key that is not there."""
        _write(command, self)


@singledispatch
def _write(command: object, tables: ForwardingTables) -> None:
    raise TypeError(f"no such command: {command!r}")


@_write.register
def _(command: c.SetPortForwarding, tables: ForwardingTables) -> None:
    (tables.blocked.discard if command.on else tables.blocked.add)(command.port)


@_write.register
def _(command: c.SetNodeRoute, tables: ForwardingTables) -> None:
    tables.node_routes[command.node] = command.next_hop


@_write.register
def _(command: c.RemoveNodeRoute, tables: ForwardingTables) -> None:
    tables.node_routes.pop(command.node, None)


@_write.register
def _(command: c.SetStormLimits, tables: ForwardingTables) -> None:
    tables.storm_limits[command.port] = command


@_write.register
def _(command: c.SetKeepLocal, tables: ForwardingTables) -> None:
    tables.kept[command.port] = command.keep


@_write.register
def _(command: c.SetUnknownUnicastFlood, tables: ForwardingTables) -> None:
    (tables.flooding_ports.add if command.on else tables.flooding_ports.discard)(command.port)


@_write.register
def _(command: c.SetPortSelective, tables: ForwardingTables) -> None:
    (tables.selective_ports.add if command.on else tables.selective_ports.discard)(command.port)


@_write.register
def _(command: c.SetPortGroup, tables: ForwardingTables) -> None:
    key = (command.port, command.vlan, command.group)
    tables.port_groups[key] = command.filter
    if command.filter.wants_nothing:
        del tables.port_groups[key]


@_write.register
def _(command: SetPeerUnderlayMtu, tables: ForwardingTables) -> None:
    """Paths of the model carry everything in one datagram."""


@_write.register
def _(command: c.CertifyNode, tables: ForwardingTables) -> None:
    tables.certified[command.node] = command


@_write.register
def _(command: c.UncertifyNode, tables: ForwardingTables) -> None:
    tables.certified.pop(command.node, None)


@_write.register
def _(command: c.SetAuthenticatedGroups, tables: ForwardingTables) -> None:
    tables.authenticated = command.prefixes


@_write.register
def _(command: SetBridgeMac, tables: ForwardingTables) -> None:
    tables.bridge = command


@_write.register
def _(command: c.SetHost, tables: ForwardingTables) -> None:
    tables.hosts[(command.vlan, command.mac.packed)] = command.peer


@_write.register
def _(command: c.RemoveHost, tables: ForwardingTables) -> None:
    tables.hosts.pop((command.vlan, command.mac.packed), None)


@_write.register
def _(command: c.CreateTree, tables: ForwardingTables) -> None:
    tables.trees[command.stream] = RootTree(command.epoch, command.key_id)


@_write.register
def _(command: c.RemoveTree, tables: ForwardingTables) -> None:
    tables.trees.pop(command.stream, None)


@_write.register
def _(command: c.SetTreeMembers, tables: ForwardingTables) -> None:
    tree = tables.trees[command.stream]
    tree.next_hops, tree.replicate, tree.beyond = command.next_hops, command.replicate, command.beyond


@_write.register
def _(command: c.MakeKey, tables: ForwardingTables) -> None:
    tables.trees[command.stream].waiting = (command.key_id, command.epoch)


@_write.register
def _(command: c.UseKey, tables: ForwardingTables) -> None:
    tree = tables.trees[command.stream]
    if tree.key_id != command.key_id:
        if tree.waiting is None or tree.waiting[0] != command.key_id:
            raise KeyError(command.key_id)
        (tree.key_id, tree.epoch), tree.waiting = tree.waiting, None
        tree.sealed, tree.wear_reports, tree.firsts = 0, 0, {}


@_write.register
def _(command: AnnounceKey, tables: ForwardingTables) -> None:
    """Keys here end by the datagrams that follow."""


@_write.register
def _(command: c.SetRoute, tables: ForwardingTables) -> None:
    tables.routes[(command.vlan, command.group, command.source)] = command.stream


@_write.register
def _(command: c.SetPrefixRoute, tables: ForwardingTables) -> None:
    tables.prefix_routes[command.vlan, command.prefix] = command.stream


@_write.register
def _(command: c.RemovePrefixRoute, tables: ForwardingTables) -> None:
    tables.prefix_routes.pop((command.vlan, command.prefix), None)


@_write.register
def _(command: c.RemoveRoute, tables: ForwardingTables) -> None:
    tables.routes.pop((command.vlan, command.group, command.source), None)


@_write.register
def _(command: RefuseKey, tables: ForwardingTables) -> None:
    tables.pending_offers.discard((command.root, command.stream, command.key_id))


@_write.register
def _(command: RefuseTree, tables: ForwardingTables) -> None:
    tables.pending_states.discard(command.root, command.stream, command.epoch, command.number)


@_write.register
def _(command: LeaveStream, tables: ForwardingTables) -> None:
    stream = tables.streams.get((command.root, command.stream))
    if stream is not None:
        stream.keys.clear()
        stream.opened.clear()
        stream.trees = {epoch: state for epoch, state in stream.trees.items() if state.relays}
        _forget_if_empty(tables, command.root, command.stream)


@_write.register
def _(command: ConfirmStream, tables: ForwardingTables) -> None:
    """Nobody forges in the model: keys that are not confirmed count on."""


@_write.register
def _(command: EndRelaying, tables: ForwardingTables) -> None:
    stream = tables.streams.get((command.root, command.stream))
    if stream is not None:
        stream.trees = {epoch: state for epoch, state in stream.trees.items() if not state.relays}
        _forget_if_empty(tables, command.root, command.stream)


def _forget_if_empty(tables: ForwardingTables, root: NodeIndex, stream: StreamId) -> None:
    if not tables.streams[root, stream].keys and not tables.streams[root, stream].trees:
        del tables.streams[root, stream]


def _without(nodes: tuple[NodeIndex, ...], peer: NodeIndex) -> tuple[NodeIndex, ...]:
    return tuple(node for node in nodes if node != peer) if peer in nodes else nodes
