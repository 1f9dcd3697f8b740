"""Permits: which groups this node may send to, and which nodes may receive them, by their certificates.

Prefixes of groups, None for all. A node that may not receive a group is on no tree of it; memberships are known all
the same.
"""

from __future__ import annotations

from treecast.base.addresses import IPAddress, IPNetwork
from treecast.base.ids import NodeIndex

Prefixes = tuple[IPNetwork, ...] | None


class Permits:
    """One node's, as the root of its trees. Bounded by the nodes that are known."""

    def __init__(self, send_to: Prefixes = None) -> None:
        self.send_to = send_to
        self._receive_from: dict[NodeIndex, tuple[IPNetwork, ...]] = {}

    def put(self, node: NodeIndex, receive_from: Prefixes) -> bool:
        """A node may receive these; whether it might receive others before."""
        before = self._receive_from.pop(node, None)
        if receive_from is not None:
            self._receive_from[node] = receive_from
        return before != receive_from

    def may_send(self, group: IPAddress, length: int | None = None) -> bool:
        """Whether this node may send to a group, or to all of the prefix that begins with it."""
        return holds(self.send_to, group, length)

    def may_receive(self, node: NodeIndex, group: IPAddress, length: int | None = None) -> bool:
        """Whether a node may receive a group, or all of the prefix that begins with it."""
        return holds(self._receive_from.get(node), group, length)

    def allow(self, node: NodeIndex, group: IPAddress, length: int | None = None) -> bool:
        """Whether this node may send there, and the other one receive it."""
        return self.may_send(group, length) and self.may_receive(node, group, length)


def holds(prefixes: Prefixes, group: IPAddress, length: int | None = None) -> bool:
    """Whether one of the prefixes contains the group, or all of the prefix of that length."""
    if prefixes is None:
        return True
    longest = group.max_prefixlen if length is None else length
    return any(one.version == group.version and one.prefixlen <= longest and group in one for one in prefixes)
