"""What hosts want of groups, on its way from the ports to all who act on it: the other nodes, the trees, the ports."""

from __future__ import annotations

from collections.abc import Sequence

from treecast.base.commands import Command, Inject
from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.membership import SourceFilter, merged
from treecast.base.time import Instant
from treecast.broadcast.broadcast import Broadcast
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.port_groups import PortGroups
from treecast.multicast import TAP, PortAddresses, SwitchMembership, SwitchOutput
from treecast.topology.topology import Topology
from treecast.wire.advertisement import GroupContent, GroupPrefixContent, Kind, group_key, group_prefix_key


class MembershipSync:
    """One node's. Methods append to ``commands``; the caller empties it, and that of ``port_groups``."""

    def __init__(
        self,
        membership: SwitchMembership,
        broadcast: Broadcast,
        topology: Topology,
        downstream_trees: DownstreamTrees,
        prefixes: Sequence[PrefixKey] = (),
    ) -> None:
        """``prefixes``: of groups that routers at this node get without joining."""
        self.prefixes = tuple(prefixes)
        self._membership = membership
        self._broadcast = broadcast
        self._topology = topology
        self._downstream_trees = downstream_trees
        self.port_groups = PortGroups(tap_gets_all=bool(prefixes))
        self.commands: list[Command] = []

    def start(self, now: Instant) -> None:
        """Tell all nodes which prefixes of groups this one gets."""
        for key in self.prefixes:
            self._broadcast.publish(now, Kind.GROUP_PREFIX, group_prefix_key(key), GroupPrefixContent())

    def take(self, now: Instant, output: SwitchOutput) -> None:
        """What a turn of the membership came to."""
        self.commands += [Inject(sent.port, sent.frame) for sent in output.frames]
        for change in output.changes:
            group = (change.vlan, change.group)
            self._want(now, group, change.filter)
            for port in self.port_groups.ports():
                self.port_groups.want(port, group, self._membership.port_filter(port, *group))
        for key in self._topology.table.groups() if output.new_routers else ():
            self.proxy_membership(now, key)

    def proxy_membership(self, now: Instant, group: GroupKey) -> None:
        """Multicast routers of the group's VLAN learn what the other nodes want of it."""
        vlan, address = group
        if self._membership.has_routers(vlan):
            wanted = merged(wanted for _, wanted in self._topology.table.subscribers(group))
            self._membership.set_proxied(now, vlan, address, wanted)

    def open_port(self, now: Instant, port: int, addresses: PortAddresses) -> None:
        """A packet port is there, or has other addresses."""
        here = {group: self._membership.port_filter(TAP, *group) for group in self._membership.filters()}
        self.port_groups.open(port, here)
        self.take(now, self._membership.add_port(now, port, addresses))

    def close_port(self, now: Instant, port: int) -> None:
        """A packet port is gone."""
        self.port_groups.close(port)
        self.take(now, self._membership.remove_port(now, port))

    def _want(self, now: Instant, group: GroupKey, wanted: SourceFilter) -> None:
        """What this node's hosts want of a group, for all to know."""
        if wanted.wants_nothing:
            self._broadcast.withdraw(now, Kind.GROUP, group_key(*group))
        else:
            self._broadcast.publish(now, Kind.GROUP, group_key(*group), GroupContent.of(wanted))
        self._downstream_trees.want(now, group, wanted)
