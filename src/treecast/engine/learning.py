"""What other nodes publish, on its way from Broadcast to the rooms that act on it."""

from __future__ import annotations

from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.time import Instant
from treecast.broadcast.broadcast import Learned
from treecast.discovery.discovery import Discovery
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.node_table import NodeTable
from treecast.identity.certificate import Certificate
from treecast.links.links import Links
from treecast.topology.topology import Topology
from treecast.wire.advertisement import (
    GroupContent,
    GroupPrefixContent,
    HostContent,
    Kind,
    NodeContent,
    parse_group_key,
    parse_group_prefix_key,
    parse_host_key,
)


class Learning:
    """One node's. It keeps nothing itself."""

    def __init__(
        self,
        nodes: NodeTable,
        links: Links,
        discovery: Discovery,
        topology: Topology,
        membership_sync: MembershipSync,
        drops: Drops,
    ) -> None:
        self._nodes = nodes
        self._links = links
        self._discovery = discovery
        self._topology = topology
        self._membership_sync = membership_sync
        self._drops = drops

    def take(self, now: Instant, learned: Learned) -> None:
        """An advertisement that is new here, or has ended."""
        try:
            self._take(now, learned)
        except MalformedError as error:
            self._drops.count(error.reason)

    def _take(self, now: Instant, learned: Learned) -> None:
        origin, content = learned.origin, learned.content
        match learned.kind:
            case Kind.NODE:
                self._node(now, learned)
            case Kind.GROUP:
                group = parse_group_key(learned.key)
                wanted = content.source_filter() if isinstance(content, GroupContent) else None
                self._topology.subscribe(now, origin, group, wanted)
                self._membership_sync.proxy_membership(now, group)
            case Kind.GROUP_PREFIX:
                key = parse_group_prefix_key(learned.key)
                if not self._topology.subscribe_prefix(origin, key, wanted=isinstance(content, GroupPrefixContent)):
                    self._drops.count("group_prefixes_full")
                for group in self._topology.table.groups_in(key):
                    self._membership_sync.proxy_membership(now, group)
            case Kind.HOST:
                host = parse_host_key(learned.key)
                self._discovery.learn(now, origin, host, content if isinstance(content, HostContent) else None)
            case Kind.LINKS:
                pass  # Broadcast's own; the overlay graph will want it too

    def _node(self, now: Instant, learned: Learned) -> None:
        origin, content = learned.origin, learned.content
        if isinstance(content, NodeContent) and learned.certificate is not None:
            self._nodes.put(origin, learned.certificate)
            self._discovery.certify(now, origin, learned.certificate.mac, certified_addresses(learned.certificate))
            self._links.learn(now, origin, content.endpoint_values(), learned.certificate.name)
            self._links.learn_underlay_mtu(origin, content.underlay_mtu)
            return
        self._links.forget(origin)
        self._discovery.uncertify(origin)
        if not self._topology.is_linked(origin):
            self._nodes.remove(origin)


def certified_addresses(certificate: Certificate) -> tuple[IPAddress, ...]:
    """The overlay's addresses that a certificate gives."""
    return tuple(interface.ip for interface in (certificate.ipv4, certificate.ipv6) if interface)
