"""Advertisements of other nodes, on their way from Broadcast to the rooms that act on them."""

from __future__ import annotations

from collections.abc import Callable

from treecast.base.errors import MalformedError
from treecast.base.ids import NodeIndex
from treecast.base.time import Instant
from treecast.broadcast.learned import Learned
from treecast.engine.changes import HostChange, MemberChange, PrefixChange
from treecast.engine.lost_nodes import find
from treecast.engine.rooms import Rooms, given_by, may_relay
from treecast.topology.multicast_table import group_sort_key
from treecast.wire.advertised_groups import GroupsContent, parse_chunk_key
from treecast.wire.advertised_links import LinksContent
from treecast.wire.advertised_prefixes import GroupPrefixContent, parse_group_prefix_key
from treecast.wire.advertisement import HostContent, Kind, NodeContent, parse_host_key
from treecast.wire.revocation import RevocationContent, parse_revocation_key


class Learning:
    """Carries advertisements to a node's rooms. It keeps nothing itself."""

    def __init__(self, rooms: Rooms, links_changed: Callable[[Instant, NodeIndex], None]) -> None:
        """``links_changed``: called with each node whose LINKS are others."""
        self._rooms = rooms
        self._links_changed = links_changed

    def take(self, now: Instant, learned: Learned) -> None:
        """An advertisement that is new here, or has ended."""
        try:
            self._take(now, learned)
        except MalformedError as error:
            self._rooms.drops.count(error.reason)

    def learn_left_out(self, now: Instant) -> None:
        """Hosts of one node that found no room before, as far as there is some now."""
        discovery = self._rooms.discovery
        node = discovery.take_left_out(now)
        if node is None:
            return
        for key, content in self._rooms.broadcast.contents(node, Kind.HOST):
            host = parse_host_key(key)
            if not isinstance(content, HostContent) or discovery.remote_hosts().has(host, node):
                continue
            if not discovery.learn(now, node, host, content):
                break

    def _take(self, now: Instant, learned: Learned) -> None:
        origin, content = learned.origin, learned.content
        match learned.kind:
            case Kind.NODE:
                self._node(now, learned)
            case Kind.GROUPS if learned.has_run_ended and learned.before is not None:
                self._rooms.topology.end_groups(now, origin, parse_chunk_key(learned.key), learned.before)
            case Kind.GROUPS:
                listed = content if isinstance(content, GroupsContent) else None
                chunk = parse_chunk_key(learned.key)
                for group in self._rooms.topology.list_groups(now, origin, chunk, learned.before, listed):
                    self._rooms.changes.add(MemberChange(group, origin))
                    if listed is not None and not self._rooms.topology.permits.may_receive(origin, group[1]):
                        self._rooms.drops.count("group_not_permitted")
            case Kind.GROUP_PREFIX:
                key = parse_group_prefix_key(learned.key)
                wants = isinstance(content, GroupPrefixContent)
                first, length = key[1].network_address, key[1].prefixlen
                if wants and not self._rooms.topology.permits.may_receive(origin, first, length):
                    self._rooms.drops.count("group_not_permitted")
                if not self._rooms.topology.subscribe_prefix(now, origin, key, wanted=wants):
                    self._rooms.drops.count("group_prefixes_full")
                self._rooms.changes.add(PrefixChange(key, origin))
            case Kind.HOST:
                host = parse_host_key(learned.key)
                claimed = content if isinstance(content, HostContent) else None
                self._rooms.discovery.learn(now, origin, host, claimed)
                self._rooms.nodes.sources.claim(origin, host, claimed)
                self._rooms.changes.add(HostChange(*host, origin))
            case Kind.REVOCATION if isinstance(content, RevocationContent):
                self._rooms.revocations.put(parse_revocation_key(learned.key), content.serial, content.name)
            case Kind.LINKS:
                links = content.links() if isinstance(content, LinksContent) else ()
                self._rooms.tree_planning.set_links(origin, learned.key[0], links)
                self._links_changed(now, origin)

    def _note_permitted(self, node: NodeIndex) -> None:
        """A change for each group and prefix that a node wants: each is shown with whether it is permitted."""
        topology = self._rooms.topology
        for group in sorted(topology.groups_of(node), key=group_sort_key):
            self._rooms.changes.add(MemberChange(group, node))
        for prefix in topology.table.prefixes.prefixes_of(node):
            self._rooms.changes.add(PrefixChange(prefix, node))

    def _node(self, now: Instant, learned: Learned) -> None:
        origin, content, certificate = learned.origin, learned.content, learned.certificate
        if isinstance(content, NodeContent) and certificate is not None:
            before = self._rooms.nodes.certificate(origin)
            self._rooms.nodes.put(origin, certificate)
            if content.certificate != certificate.encode():
                self._rooms.nodes.older.note(now, origin)
            if self._rooms.nodes.put_relaying(origin, content.relaying()):
                self._rooms.tree_planning.changed()
            if self._rooms.topology.permit(origin, certificate.rights.receive_from):
                self._note_permitted(origin)
            if before is not None and before.rights.send_to != certificate.rights.send_to:
                self._rooms.downstream_trees.judge(origin)
            self._rooms.links.learn_certificate(origin, certificate)
            linked = self._rooms.links.peer(origin)
            if self._rooms.topology.is_linked(origin):
                has_path = linked is not None and linked.is_neighbour
                self._rooms.root_trees.set_relay(origin, may_relay=has_path and may_relay(self._rooms.nodes, origin))
            if linked is not None and self._rooms.newest.replacing(linked.certificate) is not None:
                self._rooms.links.note_replaced(now, origin)
            find(self._rooms, now, origin)
            if self._rooms.chosen_links is not None:
                self._rooms.chosen_links.learn(origin, certificate.node_id)
            if self._rooms.discovery.certify(now, origin, given_by(certificate)):
                self._learn_hosts(now, origin)
            self._rooms.links.learn(now, origin, content.endpoint_values(), certificate.name, content.instance)
            self._rooms.links.learn_underlay_mtu(origin, content.underlay_mtu)
            return
        self._rooms.links.forget(origin)
        if self._rooms.chosen_links is not None:
            self._rooms.chosen_links.forget(origin)
        self._rooms.discovery.uncertify(origin)
        self._rooms.topology.unpermit(origin)
        if not self._rooms.topology.is_linked(origin):
            self._rooms.nodes.remove(origin)

    def _learn_hosts(self, now: Instant, origin: NodeIndex) -> None:
        """Its certificate is another one: what it claims already is judged by that."""
        for key, content in self._rooms.broadcast.contents(origin, Kind.HOST):
            if isinstance(content, HostContent):
                self._rooms.discovery.learn(now, origin, parse_host_key(key), content)
