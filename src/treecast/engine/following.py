"""Consequences of a link that comes up or ends, and of a port whose LAN is this node's to carry or another's."""

from __future__ import annotations

from collections.abc import Iterable

from treecast.base.ids import NodeIndex, StreamId
from treecast.base.time import Duration, Instant
from treecast.base.timers import Timers
from treecast.designated_forwarder.designated_forwarder import ForwardingChange
from treecast.engine.changes import LinkChange, PathMove, PortChange, TreeChange
from treecast.engine.faults import Faults
from treecast.engine.lost_nodes import find, lose
from treecast.engine.membership_sync import MembershipSync
from treecast.engine.rooms import Rooms, may_relay
from treecast.identity.newest import CERTIFICATE_REPLACED
from treecast.links.link_events import LinkDown, LinkEnd, LinkEvent, LinkRemade, LinkUp, PathChange, PathMoved
from treecast.topology.wanted_tree import WantedTree

REPLACED_LINGERS: Duration = 3.0
"""A replaced node gets the newer certificate over its link, repeated meanwhile, and ends by itself."""


class Following:
    """Carries changes of links and ports to a node's rooms. Each room learns of a change, though another one raises."""

    def __init__(self, rooms: Rooms, membership_sync: MembershipSync, faults: Faults) -> None:
        self._rooms = rooms
        self._membership_sync = membership_sync
        self._faults = faults
        self._certificate_ends: Timers[NodeIndex] = Timers()
        """The time at which the certificate of each linked node ends: in seconds since 1970."""
        self._replaced: dict[NodeIndex, Instant] = {}
        """The linked nodes whose certificate is replaced, and since when this is known."""

    def links(self, now: Instant, events: Iterable[LinkEvent]) -> None:
        """Follow links that came or went, in their order."""
        rooms, spare = self._rooms, self._faults.spare
        for event in events:
            match event:
                case LinkUp(peer, certificate, has_path):
                    rooms.changes.add(LinkChange(peer, certificate.name, up=True))
                    rooms.link_history.link_up(now, peer)
                    self._certificate_ends.set(peer, Instant(certificate.not_after_s))
                    rooms.nodes.put(peer, certificate)
                    if has_path:
                        spare("broadcast", rooms.broadcast.link_up, now, peer)
                    spare("discovery", rooms.discovery.link_up, peer)
                    spare("discovery", find, rooms, now, peer)
                    spare("topology", rooms.topology.link_up, peer)
                    rooms.root_trees.set_relay(peer, may_relay=has_path and may_relay(rooms.nodes, peer))
                case LinkRemade(peer):
                    rooms.root_trees.remade_links.note(now, peer)
                case PathChange(peer, has_path):
                    rooms.link_history.route_changed(now, peer)
                    follow = rooms.broadcast.link_up if has_path else rooms.broadcast.link_down
                    spare("broadcast", follow, now, peer)
                    rooms.root_trees.set_relay(peer, may_relay=has_path and may_relay(rooms.nodes, peer))
                case LinkDown(peer, reason):
                    rooms.changes.add(LinkChange(peer, rooms.nodes.name(peer), up=False, reason=reason))
                    self._certificate_ends.cancel(peer)
                    rooms.link_history.link_down(peer)
                    spare("broadcast", rooms.broadcast.link_down, now, peer)
                    spare("discovery", lose, rooms, now, peer)
                    spare("topology", rooms.topology.link_down, peer)
                    spare("root trees", rooms.root_trees.forget, peer)
                    spare("downstream trees", rooms.downstream_trees.forget, peer)
                    spare("downstream trees", rooms.tree_states.forget, peer)
                    spare("tree traces", rooms.tree_traces.forget, peer)
                    spare("tree traces", rooms.tree_reports.forget, peer)
                    if not rooms.broadcast.knows(peer):
                        rooms.nodes.remove(peer)
                case PathMoved(peer, before, after):
                    rooms.changes.add(PathMove(peer, rooms.nodes.name(peer), before, after))

    def trees(self, now: Instant, wanted: Iterable[WantedTree]) -> None:
        """Follow trees that are to be others, in their order."""
        for tree in wanted:
            self._rooms.changes.add(TreeChange(tree.flow, None if tree.members is None else len(tree.members)))
            self._faults.spare("topology", self._rooms.root_trees.want, now, tree.flow, tree.members, tree.lost)

    def used(self, now: Instant, stream: StreamId) -> None:
        """The first frame has taken a tree: who was to be on it by turns is before anybody gets its key."""
        tree = self._rooms.root_trees.by_stream.get(stream)
        if tree is not None and tree.group is not None:
            self.trees(now, self._rooms.topology.used(now, tree.group))
        self._rooms.root_trees.used(now, stream)

    def certificates(self, now: Instant) -> None:
        """Links end with the certificates of their peers, who may have shown newer ones since."""
        unix_now_s, links = self._rooms.clock.unix_s(now), self._rooms.links
        for node in self._certificate_ends.due(Instant(unix_now_s)):
            peer = links.peer(node)
            if peer is None:
                continue
            if unix_now_s > peer.certificate.not_after_s:
                self._rooms.drops.count("certificate_expired")
                self.links(now, links.cut_expired(now, node))
            else:
                self._certificate_ends.set(node, Instant(peer.certificate.not_after_s))

    def replaced(self, now: Instant) -> None:
        """Links end whose peers were added again with other keys: in a while, so that they know too."""
        rooms, before, self._replaced = self._rooms, self._replaced, {}
        for node in rooms.newest.with_other_keys():
            peer = rooms.links.peer(node)
            if peer is None or rooms.newest.replacing(peer.certificate) is None:
                continue
            since = before.get(peer.node, now)
            if now - since < REPLACED_LINGERS:
                self._replaced[peer.node] = since
            else:
                rooms.drops.count(CERTIFICATE_REPLACED)
                rooms.links.note_replaced(now, peer.node)
                self.links(now, rooms.links.cut(now, peer.node, LinkEnd.CERTIFICATE_REPLACED))

    def port(self, now: Instant, change: ForwardingChange) -> None:
        """A LAN's hosts and their groups are this node's from now on, or another's."""
        rooms = self._rooms
        rooms.changes.add(PortChange(change.port, change.forwards))
        rooms.discovery.set_port_forwarding(now, change.port, change.forwards)
        self._membership_sync.take(now, rooms.membership.set_forwarding(now, change.port, forwarding=change.forwards))
        rooms.discovery.take_over(now, change.port, change.hosts, change.forwarder_before)
