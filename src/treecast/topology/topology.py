"""Topology: the tree that each flow of this node takes.

Decides who is on the tree of (source, group) when this node is its root: today a star to the linked nodes that
subscribe. It installs nothing: ``dataplane`` makes the tables say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.addresses import IPAddress
from treecast.base.flows import BROADCAST, Flow, GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import FilterMode, SourceFilter, merged
from treecast.base.time import Instant
from treecast.topology.group_prefixes import prefix_sort_key
from treecast.topology.multicast_table import MulticastTable, group_sort_key

_Plan = dict[IPAddress | None, tuple[NodeIndex, ...]]
"""A group's members by source; None: of any source without members of its own."""


@dataclass(frozen=True, slots=True)
class WantedTree:
    """A tree as it should be. ``members`` None: there should be none; empty: its frames are to be dropped."""

    flow: Flow | None
    members: tuple[NodeIndex, ...] | None


class Topology:
    """One node's view of the overlay, as the root of its own trees."""

    def __init__(self) -> None:
        self.table = MulticastTable()
        self._linked: set[NodeIndex] = set()
        self._changed: set[GroupKey] = set()
        self._broadcast_changed = True
        self._planned: dict[GroupKey, _Plan] = {}
        self._planned_prefixes: dict[PrefixKey, tuple[NodeIndex, ...]] = {}
        self._prefixes_changed = False
        self._to_report: set[GroupKey] = set()
        """Groups of which the other nodes want something else than multicast routers were told."""

    def link_up(self, peer: NodeIndex) -> None:
        self._linked.add(peer)
        self._link_changed(peer)

    def link_down(self, peer: NodeIndex) -> None:
        self._linked.discard(peer)
        self._link_changed(peer)
        for group in self.groups_of(peer):
            plan = self._planned.get(group, {})
            for source, members in plan.items():
                plan[source] = tuple(node for node in members if node != peer)
        for key, members in self._planned_prefixes.items():
            self._planned_prefixes[key] = tuple(node for node in members if node != peer)

    def is_linked(self, node: NodeIndex) -> bool:
        return node in self._linked

    def _link_changed(self, peer: NodeIndex) -> None:
        self._changed.update(self.groups_of(peer))
        self._prefixes_changed |= bool(self.table.prefixes.prefixes_of(peer))
        self._broadcast_changed = True

    def groups_of(self, peer: NodeIndex) -> set[GroupKey]:
        """Joined groups that the peer gets, by itself or by a prefix."""
        prefixes = self.table.prefixes.prefixes_of(peer)
        return {*self.table.groups_of(peer), *(group for key in prefixes for group in self.table.groups_in(key))}

    def subscribe(self, now: Instant, node: NodeIndex, group: GroupKey, wanted: SourceFilter | None) -> None:
        """A node's membership changed; None when it ended."""
        self.table.put(now, node, group, wanted)
        self._changed.add(group)
        self._to_report.add(group)

    def subscribe_prefix(self, node: NodeIndex, key: PrefixKey, *, wanted: bool) -> bool:
        """A node gets all groups of a prefix from now on, or no more. False when there is no room."""
        room = True
        if wanted:
            room = self.table.prefixes.put(node, key)
        else:
            self.table.prefixes.remove(node, key)
        groups = self.table.groups_in(key)
        self._changed.update(groups)
        self._to_report.update(groups)
        self._prefixes_changed = True
        return room

    def wanted(self, group: GroupKey) -> SourceFilter:
        """What all other nodes together want of a group."""
        return merged(wanted for _, wanted in self.table.subscribers(group))

    def report_vlan(self, vlan: int) -> None:
        """A multicast router appeared in the VLAN: it is to learn of all groups there."""
        self._to_report.update(group for group in self.table.unsorted_groups() if group[0] == vlan)

    def take_reports(self) -> list[GroupKey]:
        """The groups of which the other nodes may want something else than at the last call."""
        groups = sorted(self._to_report, key=group_sort_key)
        self._to_report.clear()
        return groups

    def members(self, group: GroupKey) -> list[tuple[NodeIndex, SourceFilter]]:
        """The linked subscribers of a group, by node index."""
        return [item for item in self.table.subscribers(group) if item[0] in self._linked]

    def changed_trees(self) -> list[WantedTree]:
        """The trees that differ from what this returned before, to be changed in this order.

        Of a group, sources get trees of their own before that of any source changes, and lose them after: whoever a
        source's frames reach before and after gets each of them, and nobody what it wants neither before nor after.
        """
        trees: list[WantedTree] = []
        if self._broadcast_changed:
            self._broadcast_changed = False
            trees.append(WantedTree(BROADCAST, tuple(sorted(self._linked))))
        for group in sorted(self._changed, key=group_sort_key):
            before = self._planned.pop(group, {})
            plan = _plan(self.members(group)) if self.table.is_joined(group) else {}
            if plan:
                self._planned[group] = plan
            for source in _in_order(before, plan):
                members = plan.get(source)
                if source not in before or before[source] != members:
                    trees.append(WantedTree(Flow(*group, source), members))
        self._changed.clear()
        more, fewer = self._changed_prefix_trees()
        return more + trees + fewer

    def _changed_prefix_trees(self) -> tuple[list[WantedTree], list[WantedTree]]:
        """With more members, before the trees of groups change; with fewer, after: whoever joins a group instead of its
        prefix, or a prefix instead of its group, misses nothing.
        """
        more: list[WantedTree] = []
        fewer: list[WantedTree] = []
        if not self._prefixes_changed:
            return more, fewer
        self._prefixes_changed = False
        before = self._planned_prefixes
        planned = self._planned_prefixes = {}
        for key in self.table.prefixes.prefixes():
            nodes = self.table.prefixes.subscribers_of(key) & self._linked
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


def _plan(subscribers: list[tuple[NodeIndex, SourceFilter]]) -> _Plan:
    """Members per source: None for any source; a source of its own only where its members differ from those."""
    if not subscribers:
        return {}
    any_source = tuple(node for node, wanted in subscribers if wanted.mode is FilterMode.EXCLUDE)
    plan: _Plan = {None: any_source}
    for source in {source for _, wanted in subscribers for source in wanted.sources}:
        members = tuple(node for node, wanted in subscribers if wanted.accepts(source))
        if members != any_source:
            plan[source] = members
    return plan


def _in_order(before: _Plan, plan: _Plan) -> list[IPAddress | None]:
    """Sources that have trees of their own from now on, any source, sources that had."""

    def key(source: IPAddress | None) -> tuple[int, int]:
        if source is None:
            return (1, 0)
        return (0 if source in plan else 2, int(source))

    return sorted({*before, *plan}, key=key)
