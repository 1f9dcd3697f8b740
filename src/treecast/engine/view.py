"""The view of an engine: snapshots that are made when they are read, at the cost of what is read.

It decides nothing and keeps nothing. Rows of long tables come one by one, with None where the caller may pause; what
changes meanwhile shows in the rows that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from treecast.base.addresses import Endpoint, IPAddress, MacAddress
from treecast.base.flows import Flow, GroupKey, PrefixKey, is_of_any, prefix_holds
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.broadcast.footprint import BroadcastFootprint
from treecast.dataplane.downstream_trees import DownstreamTree
from treecast.designated_forwarder.designated_forwarder import PortState
from treecast.discovery.view import HostView
from treecast.engine.changes import (
    Change,
    LinkChange,
    LocalHostChange,
    MemberChange,
    PrefixChange,
    SegmentChange,
    SenderChange,
)
from treecast.engine.tree_view import TreeView
from treecast.identity.certificate import Certificate
from treecast.links.footprint import LinksFootprint
from treecast.links.roster import Known
from treecast.multicast import TAP, GroupView, PimJoinView, PimSegment, QuerierView, RouterView, within_limit
from treecast.topology.group_prefixes import contains, prefix_sort_key
from treecast.topology.multicast_table import group_sort_key
from treecast.topology.permits import holds

__all__ = [
    "Footprint",
    "GroupView",
    "HostView",
    "Known",
    "LinkView",
    "LocalGroupView",
    "MemberView",
    "PimJoinView",
    "PortState",
    "PrefixView",
    "SegmentView",
    "Touched",
    "View",
    "group_sort_key",
]


@dataclass(frozen=True, slots=True)
class LinkView:
    """A link that is up. ``endpoint``: where the peer is now."""

    node: NodeIndex
    name: str
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class MemberView:
    """A node that subscribes to a group, and since when, as far as this node knows; None: this node itself."""

    node: NodeIndex
    filter: SourceFilter
    since: Instant | None


@dataclass(frozen=True, slots=True)
class PrefixView:
    """A prefix of groups and the nodes that get it without joining, by index; ``local``: this node is one."""

    key: PrefixKey
    nodes: tuple[NodeIndex, ...]
    local: bool


@dataclass(frozen=True, slots=True)
class LocalGroupView:
    """A group on one port of this node. ``group`` None: no host there wants it, only PIM routers do, in ``mode``."""

    port: int
    mode: FilterMode
    group: GroupView | None
    joins: tuple[PimJoinView, ...]


@dataclass(frozen=True, slots=True)
class SegmentView:
    """One protocol on one port and VLAN: the querier and the multicast routers there."""

    port: int
    vlan: int
    protocol: str
    querier: QuerierView
    routers: tuple[RouterView, ...]


@dataclass(frozen=True, slots=True)
class Footprint:
    """Sizes of what an engine keeps of others. ``trees``: those that it has keys of; ``certificates``: its own too."""

    links: LinksFootprint
    broadcast: BroadcastFootprint
    trees: tuple[DownstreamTree, ...]
    certificates: tuple[NodeIndex, ...]


@dataclass(frozen=True, slots=True)
class Touched:
    """Rows that some changes concern. ``queriers``: those of queriers and routers."""

    groups: tuple[GroupKey, ...]
    prefixes: tuple[PrefixKey, ...]
    queriers: bool


class View(TreeView):
    """Shows the state of an engine. What it returns is immutable, and stays what it was."""

    # nodes and links

    @property
    def me(self) -> NodeIndex:
        return self._rooms.me

    def name(self, node: NodeIndex) -> str:
        """The node's name; its index while its certificate is unknown."""
        return self._rooms.nodes.name(node)

    def name_and_address(self, node: NodeIndex) -> str:
        """The node's name with its address in the overlay, where the certificate is known."""
        return self._rooms.nodes.name_and_address(node)

    def begins_epochs(self, node: NodeIndex) -> bool:
        """Whether it is named for beginning one epoch after the other."""
        return self._rooms.broadcast.new_epochs.is_named(node)

    def certificate(self, node: NodeIndex) -> Certificate | None:
        return self._rooms.nodes.certificate(node)

    def certified_to(self, what: MacAddress | IPAddress) -> str:
        """The name of the other node whose certificate gives it this address; empty where none is known to have it."""
        return "" if (owner := self._rooms.discovery.certified_to(what)) in (None, self.me) else self.name(owner)

    def is_revoked(self, node: NodeIndex) -> bool:
        """Whether certificates of the node are revoked, and no later one of it is known."""
        certificate, revocations = self._rooms.nodes.certificate(node), self._rooms.revocations
        if certificate is None:
            return revocations.is_serial_revoked(node, self._rooms.links.remembered_serial(node))
        return revocations.is_revoked(certificate)

    def revoked(self) -> list[tuple[NodeIndex, str]]:
        """The nodes that are revoked, by index, with their names."""
        revocations = self._rooms.revocations
        return [(node, revocations.name(node)) for node in sorted(revocations.nodes()) if self.is_revoked(node)]

    def ca_records(self) -> tuple[bytes, ...]:
        """The records of the CA that are held, as they were signed: worth remembering for the next run."""
        return self._rooms.broadcast.ca_records.all()

    def links(self) -> tuple[LinkView, ...]:
        """The links that are up, by node index."""
        peers = self._rooms.links.peers()
        return tuple(LinkView(peer.node, peer.certificate.name, peer.first_hop.endpoint) for peer in peers)

    @property
    def session_changes(self) -> int:
        """Changes of sessions so far: while it stays as it is, links are the same, and where they were."""
        return self._rooms.links.session_changes

    def is_linked(self, node: NodeIndex) -> bool:
        return self._rooms.topology.is_linked(node)

    def known(self, now: Instant) -> Iterator[Known]:
        """Every node that is known or sought, in whatever state."""
        return self._rooms.links.known(now)

    def unreached(self) -> list[str]:
        """Configured peers without a link."""
        return self._rooms.links.unreached()

    # hosts

    def hosts(self, now: Instant) -> Iterator[HostView | None]:
        """This node's hosts, those of others, then those that are reached by groups only. None: a pause."""
        return self._rooms.discovery.hosts(now)

    def host_with(self, vlan: int, address: IPAddress) -> MacAddress | None:
        """The host behind another node that has this address."""
        key = self._rooms.discovery.holder(vlan, address)
        return key[1] if key else None

    # groups

    def groups(self) -> Iterator[GroupKey]:
        """Groups that a node or a host of this one wants, some of them twice, in no order that means anything."""
        yield from self._rooms.topology.table.unsorted_groups()
        yield from self._rooms.membership.group_keys()

    def groups_of_others(self) -> int:
        """How many groups other nodes want."""
        return self._rooms.topology.table.group_count

    def members(self, key: GroupKey) -> tuple[MemberView, ...]:
        """The nodes that want a group, by index: linked ones, and this one."""
        topology = self._rooms.topology
        members = [MemberView(node, wanted, topology.table.since(node, key)) for node, wanted in topology.members(key)]
        here = self._rooms.membership.filter(*key)
        if any(contains(prefix, key) for prefix in self._rooms.prefixes):
            here = ANY_SOURCE
        if not here.wants_nothing:
            members.append(MemberView(self.me, here, None))
        return tuple(sorted(members, key=lambda member: member.node))

    def wants_most(self) -> tuple[NodeIndex, int] | None:
        """The other node that wants most groups, and how many."""
        return self._rooms.topology.table.with_most()

    def prefixes(self) -> Iterator[PrefixView]:
        """Prefixes of groups that nodes get without joining, this one among them, in order."""
        of_others, own = self._rooms.topology.table.prefixes, self._rooms.prefixes
        for key in sorted({*of_others.prefixes(), *own}, key=prefix_sort_key):
            vlan, prefix = key
            nodes = of_others.subscribers_of(key)
            local = any(vlan == of_vlan and prefix_holds(whole, prefix) for of_vlan, whole in own)
            yield PrefixView(key, tuple(sorted({*nodes, self.me} if local else nodes)), local)

    def is_authenticated(self, flow: Flow) -> bool:
        """Whether each receiver of it gets copies of its own."""
        return is_of_any(flow, self._rooms.authenticated)

    def joined_here(self) -> Iterator[GroupKey]:
        """Groups that hosts of this node want, in no order that means anything."""
        yield from self._rooms.membership.group_keys()

    def may_send(self, group: IPAddress) -> bool:
        """Whether this node's certificate lets it send there."""
        return self._rooms.topology.permits.may_send(group)

    def may_receive(self, node: NodeIndex, group: IPAddress, length: int | None = None) -> bool:
        """Whether a node's certificate lets it receive a group, or all of the prefix that begins with it."""
        certificate = self._rooms.nodes.certificate(node)
        return certificate is None or holds(certificate.rights.receive_from, group, length)

    def local_groups(self, key: GroupKey) -> Iterator[LocalGroupView]:
        """The group on each port where a host or a router joined it."""
        vlan, group = key
        membership = self._rooms.membership
        for port, of_vlan, there in membership.segments():
            if of_vlan == vlan:
                view, joins = there.view(group), tuple(membership.pim_joins(port, vlan, group))
                if view is not None:
                    yield LocalGroupView(port, view.mode, view, joins)
                elif joins:
                    yield LocalGroupView(port, membership.port_filter(port, vlan, group).mode, None, joins)

    def segments(self) -> Iterator[SegmentView]:
        """Queriers and multicast routers, by port, VLAN and protocol."""
        routers = self._rooms.membership.routers()
        for port, vlan, membership in self._rooms.membership.segments():
            for protocol in membership.routers():
                there = (one for one in routers if (one.port, one.vlan) == (port, vlan))
                version = protocol.protocol.ip_version
                seen = tuple(one for one in there if one.address.version == version)
                yield SegmentView(port, vlan, protocol.protocol.name, protocol.querier(), seen)

    def pim_routers(self, now: Instant) -> tuple[PimSegment, ...]:
        """PIM routers and their Joins, as far as they are worth remembering for the next run."""
        there = self._rooms.membership.worth_remembering(self._rooms.ports.identity)
        return within_limit((*there, *self._rooms.absent_pim.alive(now)))

    def vlans(self) -> tuple[int, ...]:
        """The VLANs behind the TAP, in order."""
        return tuple(vlan for port, vlan, _ in self._rooms.membership.segments() if port == TAP and vlan)

    # ports

    def lans(self, now: Instant) -> tuple[PortState, ...]:
        """How the election stands on each port that shares a LAN with other nodes, by number."""
        return tuple(self._rooms.designated_forwarder.ports(now))

    # changes

    @property
    def position(self) -> int:
        """The position behind the newest change."""
        return self._rooms.changes.position

    def changes(self, since: int, types: Sequence[type[Change]]) -> Sequence[Change] | None:
        """Changes of these types since a position; None when they are not known any more: read all anew."""
        return self._rooms.changes.since(since, types)

    def touched(self, changes: Iterable[Change]) -> Touched:
        """Which rows of groups, prefixes and queriers the changes concern."""
        table = self._rooms.topology.table
        groups: dict[GroupKey, None] = {}
        prefixes: dict[PrefixKey, None] = {}
        queriers = False
        for change in changes:
            match change:
                case MemberChange(group) | LocalHostChange(_, group) | SenderChange(group):
                    groups[group] = None
                case PrefixChange(prefix):
                    prefixes[prefix] = None
                    groups.update(dict.fromkeys(table.groups_in(prefix)))
                case LinkChange(node):
                    groups.update(dict.fromkeys(self._rooms.topology.groups_of(node)))
                case SegmentChange():
                    queriers = True
                case _:
                    pass
        return Touched(tuple(groups), tuple(prefixes), queriers)

    # counters

    def footprint(self) -> Footprint:
        """Sizes of what is kept of other nodes."""
        rooms = self._rooms
        certificates = tuple(sorted(certificate.node_index for certificate in rooms.nodes.certificates()))
        trees = rooms.downstream_trees.trees()
        return Footprint(rooms.links.footprint(), rooms.broadcast.footprint(), trees, certificates)

    def counters(self) -> dict[str, int]:
        """Counters of NodeDiscovery, and of planned trees."""
        return self._rooms.discovery.counters.snapshot() | {"replans": self._rooms.tree_planning.replans}

    def children(self) -> int:
        """The nodes that this one sends streams to: on its own trees, where it has a bound, and on those of others."""
        return self._rooms.tree_planning.own_children() + self._rooms.tree_states.children

    def drops(self) -> Mapping[str, int]:
        """Discarded frames and messages by reason."""
        return self._rooms.drops.snapshot()
