"""The rooms of one engine: made here, and carried from one to the other by the modules of ``engine``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from random import Random

from treecast.base.addresses import IPAddress, IPNetwork
from treecast.base.counters import Drops
from treecast.base.flows import Flow, PrefixKey
from treecast.base.ids import NodeIndex, TreeEpoch
from treecast.base.installed_trees import InstalledTrees
from treecast.base.planned_tree import LinkPlanner
from treecast.base.protocol_version import CAPABILITIES
from treecast.base.relaying import Relaying
from treecast.base.tree_planner import TreePlanner
from treecast.broadcast.broadcast import Broadcast
from treecast.broadcast.quotas import quota_of
from treecast.broadcast.store import Record
from treecast.dataplane.bounded_planning import BoundedPlanning
from treecast.dataplane.children_bounds import ChildrenBounds
from treecast.dataplane.downstream_trees import DownstreamTrees
from treecast.dataplane.port_groups import PortGroups
from treecast.dataplane.root_trees import RootTrees
from treecast.dataplane.tree_gatherings import TreeGatherings
from treecast.dataplane.tree_plan import TreePlanning
from treecast.dataplane.tree_reports import TreeReports
from treecast.dataplane.tree_states import TreeStates
from treecast.dataplane.tree_traces import TreeTraces
from treecast.designated_forwarder.designated_forwarder import BeaconSigner, DesignatedForwarder
from treecast.discovery.certified import Given
from treecast.discovery.discovery import Discovery
from treecast.engine.changes import Changes
from treecast.engine.environment import GroupOptions, NodeEnvironment, WallClock
from treecast.engine.link_history import LinkHistory
from treecast.engine.node_table import NodeTable
from treecast.engine.port_names import PortNames
from treecast.identity.certificate import Certificate, Verifier
from treecast.identity.newest import NewestCertificates
from treecast.identity.node import NodeIdentity
from treecast.identity.revocation import Revocations
from treecast.identity.rights import Role
from treecast.links.crypto import HandshakeFactory
from treecast.links.links import Links
from treecast.multicast import NO_ADDRESS, UNTAGGED, AbsentPim, MembershipConfig, SwitchMembership, neighbour_of
from treecast.topology.chosen_links import ChosenLinks
from treecast.topology.on_demand_links import OnDemandLinks
from treecast.topology.permits import holds
from treecast.topology.topology import Topology
from treecast.wire.handshake import MAX_VERSION_CHARACTERS, HandshakePayload


@dataclass(frozen=True, slots=True)
class Rooms:
    """Nobody outside ``engine`` uses one: ``view`` shows what is in them. ``prefixes``: of groups that routers at this
    node get without joining. ``authenticated``: groups of which each receiver gets copies of its own.
    ``chosen_links``: None where each node is linked with each; then ``on_demand_links`` have nothing to do.
    """

    certificate: Certificate
    drops: Drops
    clock: WallClock
    nodes: NodeTable
    newest: NewestCertificates
    revocations: Revocations
    ports: PortNames
    absent_pim: AbsentPim
    links: Links
    designated_forwarder: DesignatedForwarder
    discovery: Discovery
    membership: SwitchMembership
    broadcast: Broadcast
    topology: Topology
    chosen_links: ChosenLinks | None
    on_demand_links: OnDemandLinks
    root_trees: RootTrees
    downstream_trees: DownstreamTrees
    tree_states: TreeStates
    tree_planning: TreePlanning
    tree_traces: TreeTraces
    tree_reports: TreeReports
    link_history: LinkHistory
    installed: InstalledTrees
    port_groups: PortGroups
    prefixes: tuple[PrefixKey, ...]
    authenticated: tuple[IPNetwork, ...]
    changes: Changes

    @property
    def me(self) -> NodeIndex:
        return self.certificate.node_index


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Inputs that several rooms of a node that starts share."""

    identity: NodeIdentity
    environment: NodeEnvironment
    clock: WallClock
    rng: Random
    drops: Drops
    verifier: Verifier
    newest: NewestCertificates
    revocations: Revocations

    @property
    def certificate(self) -> Certificate:
        return self.identity.certificate

    def verify_certificate(self, wire: bytes) -> Certificate:
        """The newest certificate of the node whose certificate this is; MalformedError if one of the two is not valid
        now, if this one is revoked, or if the newest is for other keys.
        """
        unix_now_s = self.clock.unix_s(self.clock.now)
        genuine = self.verifier.verify(wire, unix_now_s)
        newest = self.newest.require(self.revocations.require_none(genuine))
        newest.verify_time(unix_now_s)
        return newest


def rooms_of(
    identity: NodeIdentity,
    environment: NodeEnvironment,
    clock: WallClock,
    *,
    factory: HandshakeFactory,
    membership: MembershipConfig,
    rng: Random,
    groups: GroupOptions,
    verifier: Verifier,
    intern: Callable[[Record], Record],
    planner: TreePlanner,
    link_planner: LinkPlanner | None,
) -> Rooms:
    """The rooms of a node that starts."""
    certificate, drops = identity.certificate, Drops()
    node = _Inputs(identity, environment, clock, rng, drops, verifier, NewestCertificates(certificate), Revocations())
    prefixes = tuple((UNTAGGED, prefix) for prefix in groups.for_routers)
    nodes = NodeTable(certificate, groups.authenticated)
    nodes.put_relaying(certificate.node_index, environment.relaying)
    discovery = Discovery(certificate.node_index, drops)
    discovery.certify_own(given_by(certificate))
    me, epoch = certificate.node_index, TreeEpoch(environment.epoch_ms // 1000 & 0xFFFF_FFFF)
    downstream_trees = DownstreamTrees(drops, prefixes, partial(_may_send, nodes), groups.authenticated)
    is_bounded = environment.relaying.is_bounded or environment.max_links is not None
    planning = _planning(me, environment.relaying, nodes, planner, link_planner if is_bounded else None)
    free_children = partial(_free_children, environment.relaying, planning)
    tree_states = TreeStates(drops, downstream_trees.subscribes, partial(may_relay, nodes, me), free_children)
    planning.withholding = tree_states.withholding
    if isinstance(planning, BoundedPlanning):
        planning.bounds.relayed = lambda: tree_states.children
    root_trees = RootTrees(epoch, drops, rng, me, modes=groups.modes, planning=planning)
    broadcast = _broadcast(node, intern)
    installed = environment.installed
    tree_traces = TreeTraces(me, drops, TreeGatherings(root_trees, installed, environment.epoch_ms & 0xFFFF_FFFF))
    subscribes, quality = downstream_trees.subscribes, broadcast.link_quality
    return Rooms(
        certificate=certificate,
        drops=drops,
        clock=clock,
        nodes=nodes,
        newest=node.newest,
        revocations=node.revocations,
        ports=PortNames(),
        absent_pim=AbsentPim(),
        links=_links(node, factory, broadcast),
        designated_forwarder=_designated_forwarder(node, membership, broadcast, nodes),
        discovery=discovery,
        membership=_membership(node, membership),
        broadcast=broadcast,
        topology=Topology(certificate.rights.send_to, root_trees.attended.groups),
        chosen_links=_chosen_links(certificate, environment.max_links),
        on_demand_links=OnDemandLinks(environment.on_demand),
        root_trees=root_trees,
        downstream_trees=downstream_trees,
        tree_states=tree_states,
        tree_planning=planning,
        tree_traces=tree_traces,
        link_history=LinkHistory(),
        installed=installed,
        tree_reports=TreeReports(drops, installed, subscribes, quality, tree_traces.commands),
        port_groups=PortGroups(tap_gets_all=bool(prefixes)),
        prefixes=prefixes,
        authenticated=groups.authenticated,
        changes=Changes(environment.epoch_ms),
    )


def _chosen_links(certificate: Certificate, most: int | None) -> ChosenLinks | None:
    return None if most is None else ChosenLinks(certificate.node_index, certificate.node_id, most)


def _planning(
    me: NodeIndex, own: Relaying, nodes: NodeTable, planner: TreePlanner, link_planner: LinkPlanner | None
) -> TreePlanning:
    """Plans over links, within bounds, where the operator has bounded links or children; by the planner else."""
    if link_planner is None:
        return TreePlanning(me, planner)
    return BoundedPlanning(me, link_planner, ChildrenBounds(me, own, nodes.relaying))


def _free_children(own: Relaying, planning: TreePlanning) -> int | None:
    """The most children of this node on trees of others; None: as many as it is given."""
    return None if own.max_children is None else own.max_children - planning.own_children()


def _may_send(nodes: NodeTable, root: NodeIndex, flow: Flow) -> bool:
    """Whether a root may send there, by its certificate."""
    certificate = nodes.certificate(root)
    return certificate is None or holds(certificate.rights.send_to, flow.group, flow.prefix_length)


def may_relay(nodes: NodeTable, node: NodeIndex) -> bool:
    """Whether a node sends on what it does not subscribe to: as its certificate permits, and its operator wants."""
    certificate = nodes.certificate(node)
    return certificate is not None and Role.RELAY in certificate.rights.roles and nodes.relaying(node).relays


def may_carry(nodes: NodeTable, node: NodeIndex) -> bool:
    """Whether a node may carry a LAN, by its certificate."""
    certificate = nodes.certificate(node)
    return certificate is None or Role.BRIDGE in certificate.rights.roles


def _broadcast(node: _Inputs, intern: Callable[[Record], Record]) -> Broadcast:
    return Broadcast(
        me=node.certificate.node_index,
        signing_key=node.identity.signing_key,
        epoch_ms=node.environment.epoch_ms,
        verify_certificate=node.verify_certificate,
        wall_clock_ms=node.clock.unix_ms,
        ca_public_key=node.identity.network.ca_public_key,
        rng=node.rng,
        drops=node.drops,
        instance=node.environment.instance,
        quota=quota_of(node.certificate.rights),
        verify_signature=node.verifier.signature,
        intern=intern,
    )


def _links(node: _Inputs, factory: HandshakeFactory, broadcast: Broadcast) -> Links:
    environment = node.environment
    me = HandshakePayload(
        certificate=node.certificate.encode(),
        aead=environment.aead,
        epoch_ms=environment.epoch_ms,
        clock_ms=0,
        refused=0,
        underlay_mtu=environment.underlay_mtu,
        version=environment.version[:MAX_VERSION_CHARACTERS],
        capabilities=CAPABILITIES,
    )
    return Links(
        me=me,
        my_index=node.certificate.node_index,
        factory=factory,
        families=environment.families,
        loopback=environment.loopback,
        underlay_route_type=environment.underlay_route_type,
        verify_certificate=node.verify_certificate,
        wall_clock_ms=node.clock.unix_ms,
        is_listed=broadcast.is_listed,
        is_revoked=node.revocations.is_serial_revoked,
        next_hop=broadcast.paths.next_hop,
        newest_name=node.newest.name,
        rng=node.rng,
        drops=node.drops,
    )


def _designated_forwarder(
    node: _Inputs, membership: MembershipConfig, broadcast: Broadcast, nodes: NodeTable
) -> DesignatedForwarder:
    certificate = node.certificate
    return DesignatedForwarder(
        BeaconSigner(
            node.identity.network.id,
            certificate.node_index,
            certificate.mac,
            node.environment.epoch_ms,
            node.identity.signing_key,
        ),
        node.drops,
        membership.query_response_interval,
        find_signer=broadcast.signer,
        may_carry=partial(may_carry, nodes),
        verify_signature=node.verifier.signature,
    )


def _membership(node: _Inputs, config: MembershipConfig) -> SwitchMembership:
    certificate = node.certificate
    return SwitchMembership(
        config,
        node.drops,
        mac=certificate.mac,
        link_local=certificate.mac.link_local,
        rng=node.rng,
        neighbour=own_neighbour(certificate),
    )


def own_neighbour(certificate: Certificate) -> IPv4Address:
    """The address from which the own kernel receives reports on a TAP that no bridge has."""
    return neighbour_of(certificate.ipv4) if certificate.ipv4 else NO_ADDRESS


def certified_addresses(certificate: Certificate) -> tuple[IPAddress, ...]:
    """The overlay's addresses that a certificate gives."""
    return tuple(interface.ip for interface in (certificate.ipv4, certificate.ipv6) if interface)


def given_by(certificate: Certificate) -> Given:
    """The part of a certificate that limits which hosts its node may claim."""
    return Given(certificate.mac, certified_addresses(certificate), Role.BRIDGE in certificate.rights.roles)


def own_addresses(certificate: Certificate, *, ipv6: bool) -> tuple[IPAddress, ...]:
    """The addresses of the node's own host."""
    certified = certified_addresses(certificate)
    if ipv6:
        return (*certified, certificate.mac.link_local)
    return tuple(address for address in certified if address.version == 4)
