"""The tables of a modelled data plane and the commands that only write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

from treecast.base import commands as c
from treecast.base.addresses import IPAddress, IPNetwork
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.keep_local import KeepLocal
from treecast.base.membership import SourceFilter
from treecast.sim.datagrams import ReplayWindow

TreeName = tuple[NodeIndex, StreamId, TreeEpoch]
"""Root, tree and epoch: what a tree is called on other nodes than its root."""


@dataclass(slots=True)
class RootTree:
    """A tree that begins at this node."""

    epoch: TreeEpoch
    key_id: KeyId
    next_hops: tuple[NodeIndex, ...] = ()
    replicate: tuple[NodeIndex, ...] = ()
    used: bool = False
    taken: int = 0
    sealed: int = 0
    """Datagrams under the key in use."""
    wear_reports: int = 0
    """Reports of the wear of the key in use."""


@dataclass(slots=True)
class ForwardingTables:
    """One node's tables, as the commands leave them."""

    trees: dict[StreamId, RootTree] = field(default_factory=dict)
    children: dict[TreeName, tuple[NodeIndex, ...]] = field(default_factory=dict)
    """To whom a relay forwards other roots' trees, with or without their keys. No command sets it yet."""
    routes: dict[tuple[int, IPAddress, IPAddress | None], StreamId] = field(default_factory=dict)
    prefix_routes: dict[tuple[int, IPNetwork], StreamId] = field(default_factory=dict)
    hosts: dict[tuple[int, bytes], NodeIndex] = field(default_factory=dict)
    node_routes: dict[NodeIndex, NodeIndex] = field(default_factory=dict)
    """The next hop to each node that has a route."""
    certified: dict[NodeIndex, c.CertifyNode] = field(default_factory=dict)
    pending_offers: set[tuple[NodeIndex, StreamId, TreeEpoch, KeyId]] = field(default_factory=set)
    member_keys: dict[TreeName, list[KeyId]] = field(default_factory=dict)
    parents: dict[TreeName, tuple[NodeIndex, ...]] = field(default_factory=dict)
    """The nodes whose datagrams of other roots' trees are taken; the root's where there is no entry."""
    tree_windows: dict[TreeName, dict[KeyId, ReplayWindow]] = field(default_factory=dict)
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

    def forget_peer(self, peer: NodeIndex) -> None:
        """Remove what names this peer."""
        for table in (self.member_keys, self.tree_windows, self.children, self.parents):
            for name in [name for name in table if name[0] == peer]:
                del table[name]
        self.pending_offers = {key for key in self.pending_offers if key[0] != peer}
        self.hosts = {key: node for key, node in self.hosts.items() if node != peer}
        self.children = {name: _without(nodes, peer) for name, nodes in self.children.items()}
        for tree in self.trees.values():
            tree.next_hops, tree.replicate = _without(tree.next_hops, peer), _without(tree.replicate, peer)

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
def _(command: c.SetPeerUnderlayMtu, tables: ForwardingTables) -> None:
    """Paths of the model carry everything in one datagram."""


@_write.register
def _(command: c.CertifyNode, tables: ForwardingTables) -> None:
    tables.certified[command.node] = command


@_write.register
def _(command: c.UncertifyNode, tables: ForwardingTables) -> None:
    tables.certified.pop(command.node, None)


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
    tree.next_hops, tree.replicate = command.next_hops, command.replicate


@_write.register
def _(command: c.MakeKey, tables: ForwardingTables) -> None:
    if command.stream not in tables.trees:
        raise KeyError(command.stream)


@_write.register
def _(command: c.UseKey, tables: ForwardingTables) -> None:
    tree = tables.trees[command.stream]
    if tree.key_id != command.key_id:
        tree.key_id, tree.sealed, tree.wear_reports = command.key_id, 0, 0


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
def _(command: c.RefuseKey, tables: ForwardingTables) -> None:
    tables.pending_offers.discard((command.root, command.stream, command.epoch, command.key_id))


@_write.register
def _(command: c.RemoveDownstreamTree, tables: ForwardingTables) -> None:
    tables.member_keys.pop((command.root, command.stream, command.epoch), None)
    tables.tree_windows.pop((command.root, command.stream, command.epoch), None)
    tables.parents.pop((command.root, command.stream, command.epoch), None)


def _without(nodes: tuple[NodeIndex, ...], peer: NodeIndex) -> tuple[NodeIndex, ...]:
    return tuple(node for node in nodes if node != peer) if peer in nodes else nodes
