"""Revocations take effect: links end, origins are forgotten, keys are replaced, in the turn in which one is learned.

``docs/protocol.md`` section 7 (Records of the CA) has the rules.
"""

from __future__ import annotations

from collections.abc import Iterator

from treecast.base.commands import SendControl
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after
from treecast.engine.following import Following
from treecast.engine.learning import Learning
from treecast.engine.own_node import OwnNode
from treecast.engine.rooms import Rooms
from treecast.identity.revocation import CERTIFICATE_REVOKED
from treecast.links.link_events import LinkEnd
from treecast.wire.control import Flood, emit_control

OWN_LINGERS: Duration = 1.0
"""A node whose own certificate is revoked passes that on, repeated meanwhile, and ends its links then."""


class Revoking:
    """Follows what ``rooms.revocations`` has learned. ``advance`` once per turn, before the rooms do what is due."""

    def __init__(self, rooms: Rooms, own: OwnNode, following: Following, learning: Learning) -> None:
        self._rooms = rooms
        self._own = own
        self._following = following
        self._learning = learning
        self._leaves_at: Instant | None = None
        """The time at which the links of this node end, whose own certificate is revoked."""

    @property
    def is_own_revoked(self) -> bool:
        return self._rooms.revocations.is_revoked(self._own.certificate)

    def advance(self, now: Instant) -> None:
        """Each node whose revocation was learned in this turn; and this node's links, where it is one of them."""
        for node in self._rooms.revocations.take_learned():
            if node == self._rooms.me:
                self._look_at_own(now)
            else:
                self._revoke(now, node)
        if self._leaves_at is not None and now >= self._leaves_at:
            self._leaves_at = None
            for peer in self._rooms.links.peers():
                self._following.links(now, self._rooms.links.cut(now, peer.node, LinkEnd.CERTIFICATE_REVOKED))

    def renewed(self, now: Instant) -> None:
        """This node has another certificate."""
        self._look_at_own(now)

    def next_deadline(self) -> Instant | None:
        return self._leaves_at

    def problems(self) -> Iterator[Problem]:
        """This node is none of the network's any more."""
        if self.is_own_revoked:
            name = self._own.certificate.name
            yield Problem(
                "node_revoked",
                name,
                f"node {name} was revoked by the network's CA with the certificate that it has, so no other node talks "
                f"to it: where the CA has made a later one for it (treecast node renew {name}), put that node.cert "
                "into its directory, and it goes on; if there is none, stop it, or give it new keys where the CA key "
                f"is, with treecast node add {name} --replace --dir {name}-new, or treecast node request here and "
                "treecast node sign --replace there",
            )

    def _look_at_own(self, now: Instant) -> None:
        is_revoked = self.is_own_revoked
        self._rooms.links.withhold(now, silent=is_revoked)
        self._leaves_at = after(now, OWN_LINGERS) if is_revoked else None

    def _revoke(self, now: Instant, node: NodeIndex) -> None:
        rooms = self._rooms
        known, peer = rooms.nodes.certificate(node), rooms.links.peer(node)
        if peer is not None and rooms.revocations.is_revoked(peer.certificate):
            record = rooms.broadcast.ca_records.revocation(node)
            if record is not None:
                rooms.links.commands.append(SendControl(node, emit_control(Flood((record.wire,)))))
            rooms.drops.count(CERTIFICATE_REVOKED)
            rooms.root_trees.revoke(now, node)
        if peer is None or rooms.revocations.is_revoked(peer.certificate):  # also a session that is no link yet
            self._following.links(now, rooms.links.cut(now, node, LinkEnd.CERTIFICATE_REVOKED))
        rooms.links.revoked(node)
        if known is not None and rooms.revocations.is_revoked(known):
            for learned in rooms.broadcast.revoke(node):
                self._learning.take(now, learned)
