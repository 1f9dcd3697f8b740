"""Topology: the tree that each flow of this node takes.

Decides who is on the tree of (source, group) when this node is its root: the linked nodes that subscribe. It neither
plans nor installs: ``dataplane`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from treecast.base.flows import BROADCAST, Flow, GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import SourceFilter, merged
from treecast.base.time import Instant, earliest
from treecast.base.timers import Timers
from treecast.topology.group_listings import GroupListings
from treecast.topology.group_plan import GroupPlan
from treecast.topology.group_prefixes import contains, prefix_sort_key
from treecast.topology.multicast_table import MulticastTable, group_sort_key
from treecast.topology.permits import Permits, Prefixes
from treecast.topology.prefix_work import PrefixWork
from treecast.wire.advertised_groups import GroupsContent

LEFT_AT_ONCE = 256
"""Groups that this node sends to, of a prefix that a node wants no more: it leaves their trees in the same turn."""


@dataclass(frozen=True, slots=True)
class WantedTree:
    """A tree as it should be. ``members`` None: there should be none; empty: its frames are to be dropped."""

    flow: Flow | None
    members: tuple[NodeIndex, ...] | None


class Topology:
    """One node's view of the overlay, as the root of its own trees."""

    def __init__(self, send_to: Prefixes = None, in_use: Callable[[], Iterable[GroupKey]] = tuple) -> None:
        """``send_to``: prefixes of groups that this node may send to, None for all. ``in_use``: groups to which it has
        sent: members hold their keys.
        """
        self._in_use = in_use
        self.permits = Permits(send_to)
        self.table = MulticastTable()
        self._prefix_work = PrefixWork(self.table.groups_between)
        self._listings = GroupListings()
        self._linked: set[NodeIndex] = set()
        self._changed: set[GroupKey] = set()
        self._broadcast_changed = True
        self._plans: dict[GroupKey, GroupPlan] = {}
        self._kept: Timers[GroupKey] = Timers()
        """The time at which a source of each group may have a tree of its own no longer."""
        self._planned_prefixes: dict[PrefixKey, tuple[NodeIndex, ...]] = {}
        self._prefixes_changed = False
        self._to_report: set[GroupKey] = set()
        """Groups of which the other nodes want something else than was reported to multicast routers."""

    def link_up(self, peer: NodeIndex) -> None:
        self._linked.add(peer)
        self._link_changed(peer)

    def link_down(self, peer: NodeIndex) -> None:
        self._linked.discard(peer)
        left = self._prefix_work.pop(peer)
        for group in left:
            self._plan(group, peer)
        self._link_changed(peer)
        for group in self.groups_of(peer).union(left):
            if group in self._plans:
                self._plans[group].unlinked(peer)
        for key, members in self._planned_prefixes.items():
            self._planned_prefixes[key] = tuple(node for node in members if node != peer)

    def is_linked(self, node: NodeIndex) -> bool:
        return node in self._linked

    def permit(self, node: NodeIndex, receive_from: Prefixes) -> bool:
        """A node may receive these groups, by its certificate. Whether they are others than before."""
        is_other = self.permits.put(node, receive_from)
        if is_other and node in self._linked:
            self._link_changed(node)
        return is_other

    def permit_own(self, send_to: Prefixes) -> None:
        """This node may send to these groups from now on."""
        if send_to != self.permits.send_to:
            self.permits.send_to = send_to
            for node in sorted(self._linked):
                self._link_changed(node)

    def _link_changed(self, peer: NodeIndex) -> None:
        for group in self.groups_of(peer):
            self._plan(group, peer)
        self._prefixes_changed |= bool(self.table.prefixes.prefixes_of(peer))
        self._broadcast_changed = True

    def groups_of(self, peer: NodeIndex) -> set[GroupKey]:
        """Joined groups that the peer gets, by itself or by a prefix."""
        prefixes = self.table.prefixes.prefixes_of(peer)
        return {*self.table.groups_of(peer), *(group for key in prefixes for group in self.table.groups_in(key))}

    def list_groups(
        self, now: Instant, node: NodeIndex, chunk: int, before: GroupsContent | None, listed: GroupsContent | None
    ) -> list[GroupKey]:
        """A chunk of a node's groups lists these now, in place of those before; returns whose membership changed."""
        changed = self._listings.replace(node, chunk, before, listed)
        for group, wanted in changed:
            self.subscribe(now, node, group, wanted)
        return [group for group, _ in changed]

    def subscribe(self, now: Instant, node: NodeIndex, group: GroupKey, wanted: SourceFilter | None) -> None:
        """A node's membership changed; None when it ended."""
        was_joined = self.table.is_joined(group)
        self.table.put(now, node, group, wanted)
        is_joined = self.table.is_joined(group)
        self._to_report.add(group)
        if was_joined and not is_joined and group in self._plans:
            self._plans[group].clear()
            self._changed.add(group)
        elif is_joined:
            joining = {node} if was_joined else {node, *self.table.prefixes.subscribers(group)}
            for subscriber in joining:
                self._plan(group, subscriber)

    def subscribe_prefix(self, now: Instant, node: NodeIndex, key: PrefixKey, *, wanted: bool) -> bool:
        """A node gets all groups of a prefix, or no more: those that there are some at a time. False when the table is
        full.
        """
        had = self.table.prefixes.has(node, key)
        fits = True
        if wanted:
            fits = self.table.prefixes.put(node, key)
        else:
            self.table.prefixes.remove(node, key)
        if self.table.prefixes.has(node, key) != had:
            self._prefixes_changed = True
            if had:  # it holds keys of these
                for group in islice((group for group in self._in_use() if contains(key, group)), LEFT_AT_ONCE):
                    self._plan_by_prefix(node, group)
            self._prefix_work.put(node, key)
            self._prefix_work.do(now, self._plan_by_prefix)
        return fits

    def _plan_by_prefix(self, node: NodeIndex, group: GroupKey) -> bool:
        """Plan a group for a node whose prefixes have changed; whether it wants another filter than it had."""
        self._to_report.add(group)
        plan = self._plans.get(group)
        if (plan.wanted(node) if plan is not None else None) == self._counted(group, node):
            return False
        self._plan(group, node)
        return True

    def next_deadline(self, now: Instant) -> Instant | None:
        """The time at which ``changed_trees`` has more of prefixes."""
        return earliest(self._prefix_work.next_deadline(now), self._kept.next())

    def _plan(self, group: GroupKey, node: NodeIndex) -> None:
        """A node's filter of a joined group, or its link, may have changed."""
        self._plans.setdefault(group, GroupPlan()).put(node, self._counted(group, node))
        self._changed.add(group)

    def _counted(self, group: GroupKey, node: NodeIndex) -> SourceFilter | None:
        """A node's filter of a group, where it counts for trees."""
        counts = node in self._linked and self.permits.allow(node, group[1])
        return self.table.filter(node, group) if counts else None

    def wanted(self, group: GroupKey) -> SourceFilter:
        """The filter of all other nodes together."""
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

    def changed_trees(self, now: Instant) -> list[WantedTree]:
        """The trees that differ from what this returned before, to be changed in this order.

        Of a group, sources get trees of their own before that of any source changes, and lose them after: whoever a
        source's frames reach before and after gets each of them, and nobody what it wants neither before nor after.
        """
        self._prefix_work.do(now, self._plan_by_prefix)
        trees: list[WantedTree] = []
        if self._broadcast_changed:
            self._broadcast_changed = False
            trees.append(WantedTree(BROADCAST, tuple(sorted(self._linked))))
        for group in self._kept.due(now):
            self._plans[group].look_again()
            self._changed.add(group)
        for group in sorted(self._changed, key=group_sort_key):
            plan = self._plans[group]
            trees += [WantedTree(Flow(*group, source), members) for source, members in plan.changes(now)]
            ends_at = plan.next_end()
            if ends_at is not None:
                self._kept.set(group, ends_at)
            else:
                self._kept.cancel(group)
            if plan.is_empty:
                del self._plans[group]
        self._changed.clear()
        more, fewer = self._changed_prefix_trees()
        return more + trees + fewer

    def _changed_prefix_trees(self) -> tuple[list[WantedTree], list[WantedTree]]:
        """Trees with more members, which change before those of groups, and with fewer, which change after: a node that
        joins a group instead of its prefix, or a prefix instead of its group, misses nothing.
        """
        more: list[WantedTree] = []
        fewer: list[WantedTree] = []
        if not self._prefixes_changed:
            return more, fewer
        self._prefixes_changed = False
        before = self._planned_prefixes
        planned = self._planned_prefixes = {}
        for key in self.table.prefixes.prefixes():
            first, length = key[1].network_address, key[1].prefixlen
            subscribers = self.table.prefixes.subscribers_of(key) & self._linked
            nodes = {node for node in subscribers if self.permits.allow(node, first, length)}
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
