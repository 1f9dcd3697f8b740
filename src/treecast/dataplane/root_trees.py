"""The trees whose root this node is: tables, members and sender keys.

Decides which commands bring the data plane from what it has to what is wanted: who gets the tree datagram and who a
session-sealed copy, when a key is offered, repeated, replaced. Read ``docs/protocol.md`` section 6 first, then
``sender_key`` (the states of a key) and ``root_tree``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from treecast.base.commands import (
    Command,
    CreateTree,
    MakeKey,
    OfferKey,
    RemoveTree,
    SetPrefixRoute,
    SetRoute,
    SetTreeMembers,
    UseKey,
)
from treecast.base.counters import Drops
from treecast.base.flows import BROADCAST, Flow
from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.limits import MAX_ROOT_TREES
from treecast.base.problems import Problem
from treecast.base.retries import Retries
from treecast.base.tables import TableUse
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.dataplane.mute_members import MUTE_OFFER_INTERVAL, MuteMembers
from treecast.dataplane.root_tree import RootTree
from treecast.dataplane.routes import remove_route, set_route
from treecast.dataplane.sender_key import RootEvent, SenderKey
from treecast.dataplane.unused_trees import UnusedTrees
from treecast.wire.key_context import emit_context

FIRST_OFFER_INTERVAL: Duration = 0.1
LAST_OFFER_INTERVAL: Duration = 1.0
KEY_LIFETIME: Duration = 3600.0
ROTATION_LIMIT: Duration = 2.0
"""A member that has not taken the next key by then gets session-sealed copies, and the others do not wait for it."""
KEY_REST: Duration = 0.25
"""How long a key is used at least. Members keep two keys: what was sealed with the one before has arrived by then. And
members that leave in a row cost each other one offer per rest and change of keys, not one per leave."""
ROTATION_INTERVAL: Duration = 1.0
"""From the begin of one rotation of a tree's keys to that of the next: members that join and leave all the time cost
the others no more. It is shorter than ROTATION_LIMIT and KEY_REST: nobody who leaves can read on for longer by it."""

TreeCommand = CreateTree | SetRoute | SetPrefixRoute | SetTreeMembers | MakeKey | UseKey | OfferKey
"""Commands that the data plane may refuse."""

_Timer = tuple[StreamId, NodeIndex | None]
"""The next repetition of an offer to a member; None: what is next for the tree's key."""


class RootTrees:
    """This node's own trees. Methods append to ``commands``; the caller empties it.

    ``advance`` ends each turn: of all that changed in it a tree's members are given to the data plane once.
    """

    def __init__(self, epoch: TreeEpoch, drops: Drops) -> None:
        self._epoch = epoch
        self._drops = drops
        self._trees: dict[Flow | None, RootTree] = {}
        self._by_id: dict[StreamId, RootTree] = {}
        self._touched: dict[StreamId, None] = {}
        """Trees that something happened to since ``advance``."""
        self._left: dict[StreamId, None] = {}
        """Trees of these that lost a member with its link."""
        self._timers: Timers[_Timer] = Timers()
        self._mute = MuteMembers()
        self._unused = UnusedTrees()
        self._refused: dict[Flow | None, tuple[NodeIndex, ...]] = {}
        self.retries: Retries[Flow | None] = Retries()
        self._last_stream = BROADCAST_STREAM
        self._last_key = KeyId(0)
        self.commands: list[Command] = []

    def tables(self) -> Iterator[TableUse]:
        """How full they are."""
        yield TableUse("trees of this node", len(self._trees), MAX_ROOT_TREES, "send to fewer groups and sources")

    def problems(self, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Members that acknowledge no key. ``name``: of a node."""
        return self._mute.problems(name)

    def want(self, now: Instant, flow: Flow | None, members: Collection[NodeIndex] | None) -> None:
        """Make the flow's tree have these members; None: have no tree for it.

        The data plane gets this at once: in a turn trees change in the order in which they are wanted.
        """
        self._give_left()
        tree = self._trees.get(flow)
        if flow in self._refused:
            self._want_later(flow, members)
            return
        if members is None:
            if tree is not None:
                self._remove(tree)
            return
        if tree is None and len(self._trees) >= MAX_ROOT_TREES and not self._makes_room(now, members):
            self._drops.count("tree_table_full")
            if len(self._refused) < MAX_ROOT_TREES:
                self._refused[flow] = tuple(members)
                self.retries.add(now, flow)
            return
        is_new = tree is None
        if tree is None:
            tree = self._create(now, flow)
        staying = set(members)
        for node in sorted(tree.members - staying):
            tree.silence.pause(now, node)
            self._leave(tree, node)
        for node in sorted(staying - tree.members):
            tree.join(node)
            if tree.used:
                self._timers.set((tree.stream, node), now)
        if tree.changed:
            self.commands.append(tree.members_command())
        if is_new and flow is not None:  # not before its members are there: the flow may come by another tree till then
            self.commands.append(set_route(flow, tree.stream))
        if flow is not None and not tree.used:
            self._unused.put(flow, tree.members)
        self._replace_key_if_due(now, tree)

    def _makes_room(self, now: Instant, members: Collection[NodeIndex]) -> bool:
        """Whether a tree that nobody has used gives its place to one with these members; it is tried again later."""
        flow = self._unused.that_makes_room(members) if len(self._refused) < MAX_ROOT_TREES else None
        if flow is not None:
            self._drops.count("tree_table_full")
            self._take_back(now, self._trees[flow])
        return flow is not None

    def refused(self, now: Instant, command: TreeCommand) -> None:
        """The data plane has not done it: the tree is taken back whole, and made anew when the table has space.

        Until then its frames are dropped there, and counted (``no_subscriber``, ``no_broadcast_tree``).
        """
        tree = self._by_id.get(command.stream)
        if tree is not None:  # else it was taken back already
            self._take_back(now, tree)

    def _take_back(self, now: Instant, tree: RootTree) -> None:
        self._refused[tree.flow] = tuple(sorted(tree.members))
        self.retries.add(now, tree.flow)
        self._remove(tree)

    def _want_later(self, flow: Flow | None, members: Collection[NodeIndex] | None) -> None:
        if members is None:
            del self._refused[flow]
            self.retries.discard(flow)
        else:
            self._refused[flow] = tuple(members)

    def forget(self, peer: NodeIndex) -> None:
        """The link to a member is gone: should it come back, it will know nothing."""
        for flow, members in self._refused.items():
            self._refused[flow] = tuple(node for node in members if node != peer)
        for tree in self._trees.values():
            tree.silence.end(peer)
            if peer in tree.members:
                self._leave(tree, peer)
                self._touched[tree.stream] = self._left[tree.stream] = None

    def revoke(self, now: Instant, peer: NodeIndex) -> None:
        """The link to a member is about to end for good: no key that it may have seals anything from this moment on."""
        trees = [tree for tree in self._trees.values() if peer in tree.members]
        self.forget(peer)
        for tree in trees:
            if tree.used and tree.replace_key:
                self._replace_key_at_once(now, tree)

    def _replace_key_at_once(self, now: Instant, tree: RootTree) -> None:
        """Members that have not taken the next key in the same moment get copies until they have."""
        if tree.next_key is not None:
            tree.next_key_limit = now
            self._use_next_key_if_ready(now, tree)
        self._begin_next_key(now, tree, now)

    def _give_left(self) -> None:
        """Take members that lost their link from all trees, before trees begin to follow each other."""
        for stream in self._left:
            tree = self._by_id.get(stream)
            if tree is not None and tree.changed:
                self.commands.append(tree.members_command())
        self._left.clear()

    def _leave(self, tree: RootTree, node: NodeIndex) -> None:
        tree.leave(node)
        self._mute.discard(node, tree.stream)
        self._timers.cancel((tree.stream, node))

    def used(self, now: Instant, stream: StreamId) -> None:
        """The tree's first frame came: its key is worth handing out."""
        tree = self._by_id.get(stream)
        if tree is not None and not tree.used:
            tree.used = True
            self._unused.remove(tree.flow)
            self._offer_all(now, tree)
            self._set_renewal(tree)

    def key_worn(self, stream: StreamId, key_id: KeyId) -> None:
        """A key has sealed enough datagrams; where another one follows it already, that is soon in use."""
        tree = self._by_id.get(stream)
        if tree is not None and tree.next_key is None and tree.key.key_id == key_id:
            tree.replace_key = True
            self._touched[stream] = None

    def key_acknowledgement(
        self, now: Instant, peer: NodeIndex, stream: StreamId, epoch: TreeEpoch, key_id: KeyId
    ) -> None:
        """A member acknowledges that it holds a key."""
        tree = self._by_id.get(stream)
        if tree is None or tree.epoch != epoch or peer not in tree.members:
            return  # of a tree or a membership that has ended meanwhile
        if key_id not in (tree.key.key_id, tree.newest_key.key_id):
            return  # of a key that is old by now
        was_mute = peer in tree.mute
        tree.acknowledge(peer, key_id)
        self._mute.discard(peer, stream)
        if peer not in tree.intervals:
            self._timers.cancel((stream, peer))
        elif was_mute:
            self._timers.set((stream, peer), now)
        self._touched[stream] = None

    def advance(self, now: Instant) -> None:
        """Repeat offers, replace old keys, make refused trees, and give the data plane the members that changed."""
        for flow in self.retries.take(now):
            self.want(now, flow, self._refused.pop(flow))
        due = self._timers.due(now)
        for stream, node in due:
            if node is None:
                self._touched[stream] = None
        touched, self._touched = self._touched, {}
        for stream in touched:
            tree = self._by_id.get(stream)
            if tree is not None:
                self._tend(now, tree)
        self._left.clear()
        for stream, node in due:
            tree = self._by_id.get(stream)
            if tree is None or node not in tree.members or (stream, node) in self._timers:
                continue  # gone, or offered the next key meanwhile
            self._offer(now, tree, node, emit_context(tree.flow))
        for stream in self._touched:
            tree = self._by_id[stream]
            if tree.changed:
                self.commands.append(tree.members_command())
        self._touched.clear()

    def _tend(self, now: Instant, tree: RootTree) -> None:
        self._use_next_key_if_ready(now, tree)
        if tree.changed:
            self.commands.append(tree.members_command())
        self._replace_key_if_due(now, tree)

    def next_deadline(self) -> Instant | None:
        """When ``advance`` has something to do."""
        return earliest(self._timers.next(), self.retries.next_deadline())

    def _create(self, now: Instant, flow: Flow | None) -> RootTree:
        if flow is BROADCAST:
            stream = BROADCAST_STREAM
        else:
            self._last_stream = stream = StreamId(self._last_stream + 1)
        key = SenderKey(self._new_key_id(), RootEvent.TREE_CREATED)
        tree = RootTree(stream, self._epoch, flow, key, now, after(now, KEY_LIFETIME), changed=True)
        self._trees[flow] = self._by_id[stream] = tree
        self.commands.append(CreateTree(stream, tree.epoch, key.key_id))
        return tree

    def _remove(self, tree: RootTree) -> None:
        del self._trees[tree.flow], self._by_id[tree.stream]
        self._timers.cancel((tree.stream, None))
        for node in tree.members:
            self._timers.cancel((tree.stream, node))
            self._mute.discard(node, tree.stream)
        if tree.flow is not None:
            self._unused.remove(tree.flow)
            self.commands.append(remove_route(tree.flow))
        self.commands.append(RemoveTree(tree.stream))

    def _replace_key_if_due(self, now: Instant, tree: RootTree) -> None:
        """Begin with the next key: somebody who left was offered this one, or it is old.

        Never while a key is pending: members that have taken that one need not keep the one in use beside a third.
        """
        if tree.next_key is None and tree.renewal is not None and now >= tree.renewal:
            self._begin_next_key(now, tree, after(now, ROTATION_LIMIT))
        self._set_renewal(tree)

    def _begin_next_key(self, now: Instant, tree: RootTree, limit: Instant) -> None:
        tree.begin_next_key(self._new_key_id(), limit)
        tree.next_rotation = after(now, ROTATION_INTERVAL)
        self.commands.append(MakeKey(tree.stream, tree.newest_key.key_id))
        self._offer_all(now, tree)
        self._use_next_key_if_ready(now, tree)

    def _use_next_key_if_ready(self, now: Instant, tree: RootTree) -> None:
        limit = tree.next_key_limit
        if tree.next_key is None or limit is None or (tree.lagging and now < limit):
            return
        rested = max(after(now, KEY_REST), tree.next_rotation or now)
        before = tree.use_next_key(rested, after(now, KEY_LIFETIME))
        self.commands += [before] if before is not None else []
        self.commands.append(UseKey(tree.stream, tree.key.key_id))
        self._touched[tree.stream] = None
        self._set_renewal(tree)

    def _set_renewal(self, tree: RootTree) -> None:
        if tree.renewal is None:
            self._timers.cancel((tree.stream, None))
        else:
            self._timers.set((tree.stream, None), tree.renewal)

    def _offer_all(self, now: Instant, tree: RootTree) -> None:
        tree.intervals.clear()
        context = emit_context(tree.flow)
        for node in sorted(tree.members):
            self._offer(now, tree, node, context)

    def _offer(self, now: Instant, tree: RootTree, node: NodeIndex, context: bytes) -> None:
        key = tree.newest_key
        key.offer(node)
        self.commands.append(OfferKey(tree.stream, key.key_id, node, context))
        interval = tree.intervals.get(node, FIRST_OFFER_INTERVAL)
        tree.intervals[node] = min(2 * interval, LAST_OFFER_INTERVAL)
        again = after(now, interval)
        if node not in key.holders and again > (limit := tree.silence.limit(now, node)):
            again = limit if now < limit else self._offer_to_silent(now, tree, node, again)
        self._timers.set((tree.stream, node), again)

    def _offer_to_silent(self, now: Instant, tree: RootTree, node: NodeIndex, again: Instant) -> Instant:
        """When a member is offered a key again that has acknowledged none for so long that it is mute."""
        if node in tree.key.holders:
            return again
        if node not in tree.mute:
            tree.becomes_mute(node)
            self._drops.count("key_unacknowledged")
            self._mute.add(node, tree.stream, tree.flow)
            self._touched[tree.stream] = None
        return after(now, MUTE_OFFER_INTERVAL)

    def _new_key_id(self) -> KeyId:
        self._last_key = KeyId(self._last_key + 1)
        return self._last_key
