"""What follows when a link comes up or ends, or a port's LAN is this node's to carry or another's."""

from __future__ import annotations

from treecast.base.time import Instant
from treecast.broadcast.broadcast import Broadcast
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.root_trees import RootTrees
from treecast.designated_forwarder.designated_forwarder import PortChange
from treecast.discovery.discovery import Discovery
from treecast.engine.faults import Faults
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.node_table import NodeTable
from treecast.links.links import LinkDown, LinkEvent, LinkUp
from treecast.multicast import SwitchMembership
from treecast.topology.topology import Topology


class Following:
    """One node's. It keeps nothing itself."""

    def __init__(
        self,
        nodes: NodeTable,
        broadcast: Broadcast,
        discovery: Discovery,
        membership: SwitchMembership,
        membership_sync: MembershipSync,
        topology: Topology,
        root_trees: RootTrees,
        downstream_trees: DownstreamTrees,
        faults: Faults,
    ) -> None:
        self._nodes = nodes
        self._broadcast = broadcast
        self._discovery = discovery
        self._membership = membership
        self._membership_sync = membership_sync
        self._topology = topology
        self._root_trees = root_trees
        self._downstream_trees = downstream_trees
        self._faults = faults

    def link(self, now: Instant, event: LinkEvent) -> None:
        """Each room is told, though another one raises."""
        spare = self._faults.spare
        match event:
            case LinkUp(peer, certificate):
                self._nodes.put(peer, certificate)
                spare("broadcast", self._broadcast.link_up, now, peer)
                spare("discovery", self._discovery.link_up, peer)
                spare("topology", self._topology.link_up, peer)
            case LinkDown(peer):
                spare("broadcast", self._broadcast.link_down, now, peer)
                spare("topology", self._topology.link_down, peer)
                spare("root trees", self._root_trees.forget, now, peer)
                spare("member trees", self._downstream_trees.forget, peer)
                if not self._broadcast.knows(peer):
                    self._nodes.remove(peer)

    def port(self, now: Instant, change: PortChange) -> None:
        """A LAN's hosts and their groups are this node's from now on, or another's."""
        self._discovery.set_port_forwarding(now, change.port, change.forwards)
        if change.forwards:
            self._membership_sync.take(now, self._membership.restart_startup_queries(now, change.port))
        self._membership_sync.take(now, self._membership.set_forwarding(change.port, forwarding=change.forwards))
        for vlan, mac in change.hosts:
            claim = self._discovery.remote_hosts().get((vlan, mac))
            if claim is None or claim.node == change.forwarder_before:
                self._discovery.host_seen(now, change.port, vlan, mac)
