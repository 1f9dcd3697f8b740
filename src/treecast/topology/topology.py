"""Topology: the tree that each flow of this node takes.

Decides who is on the tree of (source, group) when this node is its root: the linked nodes that subscribe. It neither
plans nor installs: ``dataplane`` does.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from treecast.base.flows import BROADCAST, Flow, GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_KEPT_GROUPS
from treecast.base.membership import SourceFilter, merged
from treecast.base.time import Instant, after, earliest
from treecast.base.timers import Timers
from treecast.topology.ended_listings import EndedListings
from treecast.topology.group_listings import GroupListings
from treecast.topology.group_plan import KEPT_FOR, GroupPlan
from treecast.topology.group_prefixes import contains
from treecast.topology.multicast_table import MulticastTable, group_sort_key
from treecast.topology.permits import Permits, Prefixes
from treecast.topology.plan_work import PlanWork, positions
from treecast.topology.prefix_trees import PrefixTrees
from treecast.topology.wanted_tree import WantedTree
from treecast.wire.advertised_groups import GroupsContent

LEFT_AT_ONCE = 256
"""Groups that this node sends to, of a prefix that a node wants no more: it leaves their trees in the same turn."""


class Topology:
    """One node's view of the overlay, as the root of its own trees."""

    def __init__(self, send_to: Prefixes = None, in_use: Collection[GroupKey] = ()) -> None:
        """``send_to``: prefixes of groups that this node may send to, None for all. ``in_use``: groups to which it has
        sent, as they are at each moment: members hold their keys.
        """
        self._in_use = in_use
        self.permits = Permits(send_to)
        self.table = MulticastTable()
        self._plan_work = PlanWork(self.table.groups_between, self.table.groups_from, self._end_some)
        self._listings = GroupListings()
        self._ended = EndedListings()
        self._unpermitted: set[NodeIndex] = set()
        """Nodes whose certificate is known no more, though what they listed has not ended yet."""
        self._linked: set[NodeIndex] = set()
        self._losses = 0
        """How many links were lost so far."""
        self._lost: dict[NodeIndex, int] = {}
        """The number of the last loss of each node that trees may still have as before it."""
        self._changed: set[GroupKey] = set()
        self._broadcast_changed = True
        self._plans: dict[GroupKey, GroupPlan] = {}
        self._kept: Timers[GroupKey] = Timers()
        """The time at which a source of each group may have a tree of its own no longer."""
        self._kept_groups: Timers[GroupKey] = Timers()
        """The time at which each group that nobody joins any more goes by the trees of prefixes alone."""
        self._members_changed: list[tuple[GroupKey, NodeIndex]] = []
        self._prefix_trees = PrefixTrees(self.table.prefixes, self.permits)
        self._to_report: set[GroupKey] = set()
        """Groups of which the other nodes want something else than was reported to multicast routers."""

    def link_up(self, peer: NodeIndex) -> None:
        self._linked.add(peer)
        self._link_changed(peer)

    def link_down(self, peer: NodeIndex) -> None:
        self._linked.discard(peer)
        self._losses += 1
        self._lost[peer] = self._losses
        self._link_changed(peer)
        self._prefix_trees.unlinked(peer)

    def is_linked(self, node: NodeIndex) -> bool:
        return node in self._linked

    def permit(self, node: NodeIndex, receive_from: Prefixes) -> bool:
        """A node may receive these groups, by its certificate. Whether they are others than before."""
        self._unpermitted.discard(node)
        is_other = self.permits.put(node, receive_from)
        if is_other and node in self._linked:
            self._permits_changed(node)
        return is_other

    def unpermit(self, node: NodeIndex) -> None:
        """Nothing is known of the node's certificate any more: nor is it, once what it listed has ended, of groups."""
        if node in self._ended:
            self._unpermitted.add(node)
        else:
            self.permit(node, None)

    def permit_own(self, send_to: Prefixes) -> None:
        """This node may send to these groups from now on."""
        if send_to != self.permits.send_to:
            self.permits.send_to = send_to
            for node in sorted(self._linked):
                self._permits_changed(node)

    def _permits_changed(self, node: NodeIndex) -> None:
        """The CA has another word, as is rare: all is planned at once, so nobody gets a frame that it may not have."""
        prefixes = self.table.prefixes.prefixes_of(node)
        by_prefix = (group for key in prefixes for group in self.table.groups_between(*positions(key)))
        for group in {*self.table.groups_of(node), *by_prefix}:
            self._plan(group, node)
        if prefixes:
            self._prefix_trees.changed()

    def _link_changed(self, peer: NodeIndex) -> None:
        """Groups that this node sends to are planned in this turn, so many as it sends to; the others by turns."""
        for group in self._in_use:
            self._plan_for(peer, group)
        if self.table.has_groups(peer):
            self._plan_work.put_own(peer)
        for key in self.table.prefixes.prefixes_of(peer):
            self._plan_work.put_prefix(peer, key)
            self._prefix_trees.changed()
        self._broadcast_changed = True

    def groups_of(self, peer: NodeIndex) -> set[GroupKey]:
        """Joined groups that the peer gets, by itself or by a prefix."""
        prefixes = self.table.prefixes.prefixes_of(peer)
        return {*self.table.groups_of(peer), *(group for key in prefixes for group in self.table.groups_in(key))}

    def list_groups(
        self, now: Instant, node: NodeIndex, chunk: int, before: GroupsContent | None, listed: GroupsContent | None
    ) -> list[GroupKey]:
        """A chunk of a node's groups lists these now, in place of those before; returns whose membership changed."""
        before = self._ended.take(node, chunk) or before
        self._end_some(now, node)  # so what an earlier run listed is never more than one run may
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
            if self._keep(now, group):
                self._plan(group, node)
            else:
                self._plans[group].clear()
                self._changed.add(group)
        elif is_joined:
            self._unkeep(group)
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
            self._prefix_trees.changed()
            if had:  # it holds keys of these
                for group in islice((group for group in self._in_use if contains(key, group)), LEFT_AT_ONCE):
                    self._plan_for(node, group)
            self._plan_work.put_prefix(node, key)
            self._plan_work.do(now, self._plan_for)
        return fits

    def _plan_for(self, node: NodeIndex, group: GroupKey) -> bool:
        """Plan a group for a node whose prefixes or link have changed; whether that is otherwise than it was."""
        self._to_report.add(group)
        plan, counted = self._plans.get(group), self._counted(group, node)
        if plan is None or plan.wanted(node) is None:
            is_other = counted is not None
        else:
            is_other = plan.wanted(node) != counted or self._lost.get(node, 0) > plan.losses
        if is_other:
            self._plan(group, node)
        return is_other

    def _keep(self, now: Instant, group: GroupKey) -> bool:
        """The last one who joined a group leaves it. Where it is in use, and others get it by a prefix, its tree stays
        for a while: who comes and goes has its key changed, and no tree made anew for the others.
        """
        others = self.table.prefixes.subscribers(group) & self._linked
        if not others or group not in self._in_use or self.table.kept_count >= MAX_KEPT_GROUPS:
            return False
        self.table.keep(group)
        self._kept_groups.set(group, after(now, KEPT_FOR))
        return True

    def _unkeep(self, group: GroupKey) -> None:
        self.table.unkeep(group)
        self._kept_groups.cancel(group)

    def end_groups(self, now: Instant, node: NodeIndex, chunk: int, before: GroupsContent) -> None:
        """A run of a node has ended, and with it what this chunk listed: groups in use in this turn, others by turns,
        as ``take_members_changed`` tells. Until then a new run may list the same, and nothing has changed.
        """
        used = tuple(listed for listed in before.groups if listed.key in self._in_use)
        if used:
            self._end_listed(now, node, chunk, GroupsContent(used))
            before = GroupsContent(tuple(listed for listed in before.groups if listed not in used))
        if before.groups:
            self._ended.put(node, chunk, before)
            self._plan_work.put_ended(node)

    def _end_some(self, now: Instant, node: NodeIndex) -> int:
        """End one chunk of what an earlier run of a node listed; returns how many groups."""
        ended = self._ended.next(node)
        if ended is not None:
            self._end_listed(now, node, *ended)
        if node not in self._ended and node in self._unpermitted:
            self.permit(node, None)
        return 0 if ended is None else len(ended[1].groups)

    def _end_listed(self, now: Instant, node: NodeIndex, chunk: int, listed: GroupsContent) -> None:
        changed = self._listings.replace(node, chunk, listed, None)
        for group, wanted in changed:
            self.subscribe(now, node, group, wanted)
        self._members_changed += [(group, node) for group, _ in changed]

    def take_members_changed(self) -> list[tuple[GroupKey, NodeIndex]]:
        """Groups whose membership changed by turns since the last call, and whose it is."""
        changed, self._members_changed = self._members_changed, []
        return changed

    def next_deadline(self, now: Instant) -> Instant | None:
        """The time at which ``changed_trees`` has more."""
        return earliest(self._plan_work.next_deadline(now), self._kept.next(), self._kept_groups.next())

    def _plan(self, group: GroupKey, node: NodeIndex) -> None:
        """A node's filter of a joined group, or its link, may have changed."""
        self._plans.setdefault(group, GroupPlan(self._losses)).put(node, self._counted(group, node))
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
        self._plan_work.do(now, self._plan_for)
        trees: list[WantedTree] = []
        if self._broadcast_changed:
            self._broadcast_changed = False
            trees.append(WantedTree(BROADCAST, tuple(sorted(self._linked))))
        for group in self._kept.due(now):
            self._plans[group].look_again()
            self._changed.add(group)
        for group in self._kept_groups.due(now):
            self.table.unkeep(group)
            if group in self._plans:
                self._plans[group].clear()
                self._changed.add(group)
        for group in sorted(self._changed, key=group_sort_key):
            trees += self._changes(now, group)
        self._changed.clear()
        if self._lost:
            self._lost = {node: number for node, number in self._lost.items() if node in self._plan_work}
        more, fewer = self._prefix_trees.changes(self._linked)
        return more + trees + fewer

    def used(self, now: Instant, group: GroupKey) -> list[WantedTree]:
        """The group's first frame came: the trees that are changed before anybody gets their keys. They wait for no
        turn.
        """
        for node in self._plan_work.nodes():
            self._plan_for(node, group)
        is_changed = group in self._changed
        self._changed.discard(group)
        return self._changes(now, group) if is_changed else []

    def _changes(self, now: Instant, group: GroupKey) -> list[WantedTree]:
        plan = self._plans[group]
        lost = plan.lost(self._lost)
        for node in lost:
            plan.put(node, self._counted(group, node))
        plan.losses = self._losses
        trees = [WantedTree(Flow(*group, source), members, lost) for source, members in plan.changes(now, lost)]
        ends_at = plan.next_end()
        if ends_at is not None:
            self._kept.set(group, ends_at)
        else:
            self._kept.cancel(group)
        if plan.is_empty:
            del self._plans[group]
        return trees
