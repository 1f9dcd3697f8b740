"""The trees whose root this node is: tables, members and sender keys.

Decides which commands bring the data plane from what it has to what is wanted: who gets the tree datagram and who a
session-sealed copy, when a key is offered, repeated, replaced. Read ``docs/protocol.md`` section 6 first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from treecast.base.commands import (
    Command,
    CreateTree,
    MakeKey,
    OfferKey,
    RemovePrefixRoute,
    RemoveRoute,
    RemoveTree,
    SetPrefixRoute,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.counters import Drops
from treecast.base.flows import BROADCAST, Flow
from treecast.base.ids import BROADCAST_TREE, KeyId, NodeIndex, TreeEpoch, TreeId
from treecast.base.retries import Retries
from treecast.base.tables import TableUse
from treecast.base.time import Duration, Instant, after, earliest
from treecast.wire.key_context import emit_context

MAX_TREES = 65_536
"""As many as the data plane holds. Other nodes decide how many there are: by what they subscribe to."""

FIRST_OFFER_INTERVAL: Duration = 0.1
LAST_OFFER_INTERVAL: Duration = 1.0
KEY_LIFETIME: Duration = 3600.0
ROTATION_LIMIT: Duration = 2.0
"""A member that has not taken the next key by then gets session-sealed copies, and the others do not wait for it."""
KEY_REST: Duration = 0.25
"""How long a key is used at least. Members keep two keys: what was sealed with the one before has arrived by then. And
members that leave in a row cost each other one offer per rest and change of keys, not one per leave."""

_STALE_ALARMS = 64

TreeCommand = CreateTree | SetRoute | SetPrefixRoute | SetTreeMembers | MakeKey | UseKey | OfferKey
"""Those that the data plane may refuse."""


@dataclass(slots=True)
class _Member:
    holds: set[KeyId] = field(default_factory=set)
    offered: KeyId | None = None
    offer_due: Instant | None = None
    interval: Duration = FIRST_OFFER_INTERVAL


@dataclass(slots=True)
class _Tree:
    tree_id: TreeId
    epoch: TreeEpoch
    flow: Flow | None
    key: KeyId
    key_rested: Instant
    key_due: Instant
    used: bool = False
    leaked: bool = False
    next_key: KeyId | None = None
    next_key_limit: Instant | None = None
    members: dict[NodeIndex, _Member] = field(default_factory=dict)
    alarm: Instant | None = None

    def next_deadline(self) -> Instant | None:
        if not self.used:
            return None
        renewal = self.replacement_due if self.next_key is None else self.next_key_limit
        return earliest(renewal, *(member.offer_due for member in self.members.values()))

    @property
    def replacement_due(self) -> Instant:
        return self.key_rested if self.leaked else self.key_due

    @property
    def offered_key(self) -> KeyId:
        return self.key if self.next_key is None else self.next_key

    def members_command(self, *keys: KeyId) -> SetTreeMembers:
        """Who holds all of ``keys`` is a next hop; the others get copies."""
        holders: list[NodeIndex] = []
        others: list[NodeIndex] = []
        for node in sorted(self.members):
            (holders if self.members[node].holds.issuperset(keys) else others).append(node)
        return SetTreeMembers(self.tree_id, tuple(holders), tuple(others))


class RootTrees:
    """This node's own trees. Methods append to ``commands``; the caller empties it."""

    def __init__(self, epoch: TreeEpoch, drops: Drops) -> None:
        self._epoch = epoch
        self._drops = drops
        self._trees: dict[Flow | None, _Tree] = {}
        self._by_id: dict[TreeId, _Tree] = {}
        self._alarms: list[tuple[Instant, TreeId]] = []
        self._without_room: dict[Flow | None, tuple[NodeIndex, ...]] = {}
        self.retries: Retries[Flow | None] = Retries()
        self._last_tree = BROADCAST_TREE
        self._last_key = KeyId(0)
        self.commands: list[Command] = []

    def tables(self) -> Iterator[TableUse]:
        """How full they are."""
        yield TableUse("trees of this node", len(self._trees), MAX_TREES, "send to fewer groups and sources")

    def want(self, now: Instant, flow: Flow | None, members: Sequence[NodeIndex] | None) -> None:
        """Make the flow's tree have these members; None: have no tree for it."""
        tree = self._trees.get(flow)
        if flow in self._without_room:
            self._want_later(flow, members)
            return
        if members is None:
            if tree is not None:
                self._remove(tree)
            return
        if tree is None and len(self._trees) >= MAX_TREES:
            self._drops.count("tree_table_full")
            if len(self._without_room) < MAX_TREES:
                self._without_room[flow] = tuple(members)
                self.retries.add(now, flow)
            return
        is_new = tree is None
        if tree is None:
            tree = self._create(now, flow)
        staying = set(members)
        gone = [node for node in tree.members if node not in staying]
        if any(tree.members[node].offered == tree.offered_key for node in gone):
            tree.leaked = True
        for node in gone:
            del tree.members[node]
        for node in members:
            if node not in tree.members:
                tree.members[node] = _Member(offer_due=now if tree.used else None)
        self.commands.append(tree.members_command(tree.key))
        if is_new and flow is not None:  # not before its members are there: the flow may come by another tree till then
            self.commands.append(_set_route(flow, tree.tree_id))
        self._replace_key_if_due(now, tree)
        self._set_alarm(tree)

    def refused(self, now: Instant, command: TreeCommand) -> None:
        """The data plane has not done it: the tree is taken back whole, and made anew when there is room.

        Until then its frames are dropped there, and counted (``no_subscriber``, ``no_broadcast_tree``).
        """
        tree = self._by_id.get(command.tree_id)
        if tree is None:
            return  # of a tree that was taken back already
        self._without_room[tree.flow] = tuple(tree.members)
        self.retries.add(now, tree.flow)
        self._remove(tree)

    def _want_later(self, flow: Flow | None, members: Sequence[NodeIndex] | None) -> None:
        if members is None:
            del self._without_room[flow]
            self.retries.discard(flow)
        else:
            self._without_room[flow] = tuple(members)

    def forget(self, now: Instant, peer: NodeIndex) -> None:
        """The link to a member is gone: should it come back, it will know nothing."""
        for flow, members in self._without_room.items():
            self._without_room[flow] = tuple(node for node in members if node != peer)
        for flow, tree in list(self._trees.items()):
            if peer in tree.members:
                self.want(now, flow, [node for node in tree.members if node != peer])

    def used(self, now: Instant, tree_id: TreeId) -> None:
        """The tree's first frame came: its key is worth handing out."""
        tree = self._by_id.get(tree_id)
        if tree is not None and not tree.used:
            tree.used = True
            self._offer_all(now, tree)
            self._set_alarm(tree)

    def key_acknowledgement(
        self, now: Instant, peer: NodeIndex, tree_id: TreeId, epoch: TreeEpoch, key_id: KeyId
    ) -> None:
        """A member says that it holds a key."""
        tree = self._by_id.get(tree_id)
        member = tree.members.get(peer) if tree is not None and tree.epoch == epoch else None
        if tree is None or member is None or key_id not in (tree.key, tree.next_key):
            return  # of a tree, a membership or a key that has ended meanwhile
        member.holds.add(key_id)
        if key_id == tree.offered_key:
            member.offer_due = None
        if key_id == tree.key:
            self.commands.append(tree.members_command(tree.key))
        self._use_next_key_if_ready(now, tree)
        self._set_alarm(tree)

    def advance(self, now: Instant) -> None:
        """Repeat offers, replace old keys, make what had no room."""
        for flow in self.retries.take(now):
            self.want(now, flow, self._without_room.pop(flow))
        while self._alarms and self._alarms[0][0] <= now:
            at, tree_id = heappop(self._alarms)
            tree = self._by_id.get(tree_id)
            if tree is not None and tree.alarm == at:
                tree.alarm = None
                self._tend(now, tree)
                self._set_alarm(tree)

    def _tend(self, now: Instant, tree: _Tree) -> None:
        self._use_next_key_if_ready(now, tree)
        self._replace_key_if_due(now, tree)
        for node, member in tree.members.items():
            if member.offer_due is not None and now >= member.offer_due:
                self._offer(now, tree, node, member)

    def next_deadline(self) -> Instant | None:
        """At times earlier than something happens, never later."""
        return earliest(self._next_alarm(), self.retries.next_deadline())

    def _next_alarm(self) -> Instant | None:
        while self._alarms:
            at, tree_id = self._alarms[0]
            tree = self._by_id.get(tree_id)
            if tree is not None and tree.alarm == at:
                return at
            heappop(self._alarms)
        return None

    def _set_alarm(self, tree: _Tree) -> None:
        """Of the many trees only those that wait for something cost anything."""
        deadline = tree.next_deadline()
        if deadline is None or (tree.alarm is not None and tree.alarm <= deadline):
            return
        tree.alarm = deadline
        heappush(self._alarms, (deadline, tree.tree_id))
        if len(self._alarms) > 2 * len(self._trees) + _STALE_ALARMS:
            self._alarms = [(other.alarm, other.tree_id) for other in self._by_id.values() if other.alarm is not None]
            heapify(self._alarms)

    def flow_of(self, tree_id: TreeId) -> Flow | None:
        tree = self._by_id.get(tree_id)
        return tree.flow if tree else None

    def _create(self, now: Instant, flow: Flow | None) -> _Tree:
        if flow is BROADCAST:
            tree_id = BROADCAST_TREE
        else:
            self._last_tree = tree_id = TreeId(self._last_tree + 1)
        tree = _Tree(tree_id, self._epoch, flow, self._new_key_id(), now, after(now, KEY_LIFETIME))
        self._trees[flow] = self._by_id[tree_id] = tree
        self.commands.append(CreateTree(tree_id, tree.epoch, tree.key))
        return tree

    def _remove(self, tree: _Tree) -> None:
        del self._trees[tree.flow], self._by_id[tree.tree_id]
        if tree.flow is not None:
            self.commands.append(_remove_route(tree.flow))
        self.commands.append(RemoveTree(tree.tree_id))

    def _replace_key_if_due(self, now: Instant, tree: _Tree) -> None:
        """Begin with the next key: somebody who left was offered this one, or it is old.

        Never while a key is pending: members that have taken that one need not keep the one in use beside a third.
        """
        if not tree.used or tree.next_key is not None or now < tree.replacement_due:
            return
        tree.leaked = False
        tree.next_key = self._new_key_id()
        tree.next_key_limit = after(now, ROTATION_LIMIT)
        self.commands.append(MakeKey(tree.tree_id, tree.next_key))
        self._offer_all(now, tree)
        self._use_next_key_if_ready(now, tree)

    def _use_next_key_if_ready(self, now: Instant, tree: _Tree) -> None:
        key = tree.next_key
        if key is None or tree.next_key_limit is None:
            return
        waiting = [member for member in tree.members.values() if tree.key in member.holds and key not in member.holds]
        if waiting and now < tree.next_key_limit:
            return
        if waiting:
            self.commands.append(tree.members_command(tree.key, key))
        tree.key, tree.next_key, tree.next_key_limit = key, None, None
        tree.key_rested, tree.key_due = after(now, KEY_REST), after(now, KEY_LIFETIME)
        for member in tree.members.values():
            member.holds &= {key}
        self.commands.append(UseKey(tree.tree_id, key))
        self.commands.append(tree.members_command(key))

    def _offer_all(self, now: Instant, tree: _Tree) -> None:
        if tree.used:
            for node, member in tree.members.items():
                member.interval = FIRST_OFFER_INTERVAL
                self._offer(now, tree, node, member)

    def _offer(self, now: Instant, tree: _Tree, node: NodeIndex, member: _Member) -> None:
        self.commands.append(OfferKey(tree.tree_id, tree.offered_key, node, emit_context(tree.flow)))
        member.offered = tree.offered_key
        member.offer_due = after(now, member.interval)
        member.interval = min(2 * member.interval, LAST_OFFER_INTERVAL)

    def _new_key_id(self) -> KeyId:
        self._last_key = KeyId(self._last_key + 1)
        return self._last_key


def _set_route(flow: Flow, tree_id: TreeId) -> Command:
    if flow.prefix is not None:
        return SetPrefixRoute(flow.vlan, flow.prefix, tree_id)
    return SetRoute(flow.vlan, flow.group, flow.source, tree_id)


def _remove_route(flow: Flow) -> Command:
    if flow.prefix is not None:
        return RemovePrefixRoute(flow.vlan, flow.prefix)
    return RemoveRoute(flow.vlan, flow.group, flow.source)
