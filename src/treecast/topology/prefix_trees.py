"""Trees of prefixes of groups: their members are the linked nodes that want the prefix, or one that contains it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from treecast.base.flows import Flow, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.topology.group_prefixes import GroupPrefixes, prefix_sort_key
from treecast.topology.permits import Permits
from treecast.topology.wanted_tree import WantedTree


class PrefixTrees:
    """One node's, as their root. There are few: all are looked at when one changes."""

    def __init__(self, prefixes: GroupPrefixes, permits: Permits) -> None:
        self._prefixes, self._permits = prefixes, permits
        self._planned: dict[PrefixKey, tuple[NodeIndex, ...]] = {}
        self._is_changed = False

    def changed(self) -> None:
        """A node wants another prefix, or may have another; or its link came or went."""
        self._is_changed = True

    def unlinked(self, peer: NodeIndex) -> None:
        """The node's link is gone, and with it the node from all trees: nothing is to be changed there for that."""
        for key, members in self._planned.items():
            self._planned[key] = tuple(node for node in members if node != peer)

    def changes(self, linked: AbstractSet[NodeIndex]) -> tuple[list[WantedTree], list[WantedTree]]:
        """Trees with more members, which change before those of groups, and with fewer, which change after: a node that
        joins a group instead of its prefix, or a prefix instead of its group, misses nothing.
        """
        more: list[WantedTree] = []
        fewer: list[WantedTree] = []
        if not self._is_changed:
            return more, fewer
        self._is_changed = False
        before = self._planned
        planned = self._planned = {}
        for key in self._prefixes.prefixes():
            first, length = key[1].network_address, key[1].prefixlen
            subscribers = self._prefixes.subscribers_of(key) & linked
            nodes = {node for node in subscribers if self._permits.allow(node, first, length)}
            if nodes:
                planned[key] = tuple(sorted(nodes))
        for key in sorted({*before, *planned}, key=prefix_sort_key):
            old, new = before.get(key, ()), planned.get(key, ())
            both = tuple(sorted({*old, *new}))
            if both != old:
                more.append(WantedTree(Flow.of_prefix(key), both))
            if both != new or not new:
                fewer.append(WantedTree(Flow.of_prefix(key), new or None))
        return more, fewer
