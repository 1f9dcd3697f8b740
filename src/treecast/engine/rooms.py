"""The rooms of one engine, for the modules of ``engine`` that carry values from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.broadcast.broadcast import Broadcast
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.root_trees import RootTrees
from treecast.designated_forwarder.designated_forwarder import DesignatedForwarder
from treecast.discovery.discovery import Discovery
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.node_table import NodeTable
from treecast.engine.port_names import PortNames
from treecast.links.links import Links
from treecast.multicast import SwitchMembership
from treecast.topology.topology import Topology


@dataclass(frozen=True, slots=True)
class Rooms:
    """Nobody outside ``engine`` has one: ``view`` shows what is in them."""

    me: NodeIndex
    drops: Drops
    nodes: NodeTable
    ports: PortNames
    links: Links
    designated_forwarder: DesignatedForwarder
    discovery: Discovery
    membership: SwitchMembership
    broadcast: Broadcast
    topology: Topology
    root_trees: RootTrees
    downstream_trees: DownstreamTrees
    membership_sync: MembershipSync
