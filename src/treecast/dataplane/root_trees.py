"""The trees whose root this node is: tables, members and sender keys.

Decides which commands bring the data plane from what it has to what is wanted: who gets the tree datagram and who a
session-sealed copy, when a key is offered, repeated, replaced. Read ``docs/protocol.md`` section 6 first, then
``sender_key`` (the states of a key) and ``root_tree``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from random import Random

from treecast.base.commands import Command, CreateTree, MakeKey, OfferTree, RemoveTree
from treecast.base.counters import Drops
from treecast.base.flows import BROADCAST, Flow
from treecast.base.ids import BROADCAST_STREAM, NO_NODE, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.limits import MAX_ROOT_TREES
from treecast.base.problems import Problem
from treecast.base.tables import TableUse
from treecast.base.time import Instant, after, earliest
from treecast.base.timers import Timers
from treecast.base.tree_modes import USUAL_MODES, TreeMode, TreeModes
from treecast.base.tree_planner import TreePlanner, star
from treecast.dataplane.attended_trees import AttendedTrees
from treecast.dataplane.key_times import KEY_LIFETIME, KEY_REST, ROTATION_INTERVAL
from treecast.dataplane.refused_trees import RefusedTrees
from treecast.dataplane.remade_links import RemadeLinks, offered_again
from treecast.dataplane.restless_members import RestlessMembers
from treecast.dataplane.root_tree import RootTree
from treecast.dataplane.sender_key import SENDER_KEY, TREE_STATE, Records, RootEvent, SenderKey
from treecast.dataplane.tree_commands import TreeCommand, remove_route, set_route
from treecast.dataplane.tree_offers import TreeOffers
from treecast.dataplane.tree_plan import LostPlace, TreePlanning
from treecast.dataplane.unused_trees import UnusedTrees
from treecast.wire.key_context import emit_context

WantedMembers = Collection[NodeIndex] | None


class RootTrees:
    """This node's own trees. Methods append to ``commands``; the caller empties it.

    ``advance`` ends each turn: of all that changed in it a tree's members are given to the data plane once.
    """

    def __init__(
        self,
        epoch: TreeEpoch,
        drops: Drops,
        rng: Random,
        me: NodeIndex = NO_NODE,
        planner: TreePlanner = star,
        modes: TreeModes = USUAL_MODES,
        planning: TreePlanning | None = None,
    ) -> None:
        """``epoch``: of the first tree; key ids grow from it, too."""
        self._modes, self._planning = modes, planning or TreePlanning(me, planner)
        self._drops = drops
        self._trees: dict[Flow | None, RootTree] = {}
        self.trees: Mapping[Flow | None, RootTree] = self._trees
        self._by_id: dict[StreamId, RootTree] = {}
        self.by_stream: Mapping[StreamId, RootTree] = self._by_id
        self.attended = AttendedTrees()
        self._touched: dict[StreamId, None] = {}
        """Trees that something happened to since ``advance``."""
        self._left: dict[StreamId, None] = {}  # of these, trees that lost a member with its link
        self._renewals: Timers[StreamId] = Timers()  # when something is next for each tree's key
        self._unused, self.restless = UnusedTrees(), RestlessMembers(drops)
        self.refused_trees, self.remade_links = RefusedTrees(), RemadeLinks()
        self._last_stream, self._last_epoch = BROADCAST_STREAM, epoch - 1
        self.commands: list[Command] = []
        self.offers = TreeOffers(me, drops, rng, self._give)

    def tables(self, wants_most: tuple[NodeIndex, int] | None) -> Iterator[TableUse]:
        """How full they are. ``wants_most``: the node that wants most groups, and how many."""
        advice = "send to fewer groups and sources"
        yield TableUse("trees of this node", len(self._trees), MAX_ROOT_TREES, advice, wants_most=wants_most)

    def problems(self, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Members that acknowledge no key, or have no place. ``name``: of a node."""
        yield from self.offers.problems(name)
        yield from self._planning.problems()

    def want(self, now: Instant, flow: Flow | None, members: WantedMembers, lost: Collection[NodeIndex] = ()) -> None:
        """Make the flow's tree have these members; None: have no tree for it. Those ``lost`` have it no more, or anew.

        The data plane gets this at once: in a turn trees change in the order in which they are wanted.
        """
        self._give_left()
        tree = self._trees.get(flow)
        if tree is not None and not tree.used:
            tree.unlink_members(lost)
        if flow in self.refused_trees:
            self.refused_trees.want(flow, members)
            return
        if members is None:
            if tree is not None:
                self.restless.left(now, tree, *tree.members if len(tree.members) == 1 else ())
                self._remove(now, tree)
            return
        if tree is None and len(self._trees) >= MAX_ROOT_TREES and not self._evicts_one(now, members):
            self._drops.count("tree_table_full")
            if len(self.refused_trees) < MAX_ROOT_TREES:
                self.refused_trees.put(now, flow, members)
            return
        is_new = tree is None
        if tree is None:
            tree = self._create(now, flow)
        staying = set(members)
        leaving = tree.members - staying
        self.restless.left(now, tree, *leaving)
        for node in sorted(leaving):
            tree.silence.pause(now, node)
            tree.leave(node)
            self.offers.end(tree.stream, node)
        for node in sorted(staying - tree.members):
            tree.join(node)
            if tree.hands_out_keys:
                self.offers.soon(now, tree, node)
        self._plan_anew(now, tree)
        if tree.changed:
            self.commands.append(tree.members_command())
        if is_new and flow is not None:  # not before its members are there: the flow may come by another tree till then
            self.commands.append(set_route(flow, tree.stream))
        if flow is not None and not tree.used:
            self._unused.put(flow, tree.members)
        self._replace_key_if_due(now, tree)

    def _evicts_one(self, now: Instant, members: Collection[NodeIndex]) -> bool:
        """Whether a tree that nobody has used gives its place to one with these members; it is tried again later."""
        flow = self._unused.to_evict(members) if len(self.refused_trees) < MAX_ROOT_TREES else None
        if flow is not None:
            self._drops.count("tree_table_full")
            self._take_back(now, self._trees[flow])
        return flow is not None

    def refused(self, now: Instant, command: TreeCommand) -> None:
        """The data plane has not done it: the tree is taken back whole, and made anew when the table has space."""
        tree = self._by_id.get(command.stream)
        if tree is not None:  # else it was taken back already
            self._take_back(now, tree)

    def _take_back(self, now: Instant, tree: RootTree) -> None:
        self.refused_trees.put(now, tree.flow, sorted(tree.members))
        self._remove(now, tree)

    def forget(self, peer: NodeIndex) -> None:
        """The link to a member is gone: should it come back, it will know nothing."""
        for table in (self.refused_trees, self.remade_links):
            table.forget(peer)
        self.set_relay(peer, may_relay=False)
        for tree in self.attended:
            if peer in tree.members or tree.has_relay(peer):
                self.offers.end(tree.stream, peer)
                self._touched[tree.stream] = self._left[tree.stream] = None
            tree.unlink(peer)

    def revoke(self, now: Instant, peer: NodeIndex) -> None:
        """The link to a member is about to end for good: no key that it may have seals anything from this moment on."""
        trees = [tree for tree in self.attended if peer in tree.members or tree.has_relay(peer)]
        self.forget(peer)
        for tree in trees:
            if tree.used and tree.replace_key:  # members without the next key in the same moment get copies until then
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

    def used(self, now: Instant, stream: StreamId) -> None:
        """The tree's first frame came: its key is worth handing out."""
        tree = self._by_id.get(stream)
        if tree is not None and not tree.used:
            tree.used = True
            self.attended.used(tree)
            self._unused.remove(tree.flow)
            if tree.hands_out_keys:
                tree.key.follow(self._planning.plan(now, tree))
                self.offers.offer_all(now, tree)
                self._set_renewal(tree)

    def key_worn(self, stream: StreamId, key_id: KeyId) -> None:
        """A key has sealed enough datagrams; where another one follows it already, that is soon in use."""
        tree = self._by_id.get(stream)
        if tree is not None and tree.next_key is None and tree.key.key_id == key_id:
            tree.replace_key = True
            self._touched[stream] = None

    def set_relay(self, node: NodeIndex, *, may_relay: bool) -> None:
        """A linked node may relay trees to which it does not subscribe, or not."""
        if self._planning.set_relay(node, may_relay=may_relay):
            self._touched |= dict.fromkeys(self.attended.streams)

    def key_acknowledgement(self, now: Instant, peer: NodeIndex, stream: StreamId, key_id: KeyId) -> None:
        """A member acknowledges that it holds a key."""
        tree = self._by_id.get(stream)
        if tree is not None and peer in tree.members:  # else the tree or the membership has ended meanwhile
            key = tree.key if tree.key.key_id == key_id else tree.newest_key
            if key.key_id == key_id:
                self._acknowledged(now, peer, tree, key, SENDER_KEY)

    def tree_acknowledgement(self, now: Instant, peer: NodeIndex, stream: StreamId, epoch: TreeEpoch) -> None:
        """A node acknowledges that it has its place on a tree."""
        tree = self._by_id.get(stream)
        if tree is not None and (peer in tree.members or tree.has_relay(peer)):
            key = tree.key if tree.key.epoch == epoch else tree.newest_key
            if key.epoch == epoch:
                self._acknowledged(now, peer, tree, key, TREE_STATE)

    def tree_refusal(self, now: Instant, peer: NodeIndex, stream: StreamId, epoch: TreeEpoch, most: int) -> None:
        """A node takes no place with more children than so many: nobody waits for it, and the tree is planned anew."""
        tree = self._by_id.get(stream)
        if tree is not None and tree.newest_key.epoch == epoch and self._planning.refuse(now, stream, peer, most):
            tree.next_key_limit = None if tree.next_key is None else now
            self._touched[stream] = None

    def parent_lost(self, now: Instant, place: LostPlace) -> None:
        """A node does without its parent on a tree: where most do without that one, the tree is planned anew."""
        tree = self._by_id.get(place.stream)
        if tree is not None and self._planning.parent_lost(now, tree, place):
            self._touched[place.stream] = None

    def _acknowledged(self, now: Instant, peer: NodeIndex, tree: RootTree, key: SenderKey, record: Records) -> None:
        was_mute = peer in tree.mute
        if tree.mode is not TreeMode.AUTHENTICATED and tree.acknowledge(peer, key, record):
            self.offers.answered(now, tree, peer, was_mute=was_mute)
            self._touched[tree.stream] = None

    def advance(self, now: Instant) -> None:
        """Repeat offers, replace old keys, make refused trees, and give the data plane the members that changed."""
        for flow, members in self.refused_trees.take(now):
            self.want(now, flow, members)
        for peer in self.remade_links.due(now):
            for at, doubted in offered_again(now, self.attended, peer):
                self.offers.soon(at, doubted, peer)
        due = self.offers.due(now)
        self._touched |= dict.fromkeys((*self._renewals.due(now), *self._planning.due(now)))
        touched, self._touched = self._touched, {}
        for stream in touched:
            tree = self._by_id.get(stream)
            if tree is not None:
                self._tend(now, tree)
        self._left.clear()
        for stream, node in due:
            tree = self._by_id.get(stream)
            if tree is None or not tree.is_on_tree(node) or self.offers.is_waiting(stream, node):
                continue  # gone, or offered the next key meanwhile
            if self.offers.offer(now, tree, node, emit_context(tree.flow), tree.before(now)):
                self._plan_anew(now, tree)
                self._touched[stream] = None
                self._set_renewal(tree)
        for stream in self._touched:
            tree = self._by_id[stream]
            if tree.changed:
                self.commands.append(tree.members_command())
        self._touched.clear()

    def _tend(self, now: Instant, tree: RootTree) -> None:
        self._plan_anew(now, tree)
        self._use_next_key_if_ready(now, tree)
        if tree.changed:
            self.commands.append(tree.members_command())
        self._replace_key_if_due(now, tree)

    def next_deadline(self) -> Instant | None:
        """The time at which ``advance`` has something to do."""
        waiting = earliest(self.refused_trees.retries.next_deadline(), self.remade_links.next_deadline())
        return earliest(self._renewals.next(), self.offers.next_deadline(), waiting, self._planning.next_deadline())

    def _create(self, now: Instant, flow: Flow | None) -> RootTree:
        stream = BROADCAST_STREAM
        if flow is not BROADCAST:
            self._last_stream = stream = StreamId(self._last_stream + 1)
        key = SenderKey(*self._new_key(), RootEvent.TREE_CREATED)
        mode, due = self._modes.of(flow), after(now, KEY_LIFETIME)
        tree = RootTree(stream, flow, key, now, due, mode, changed=True)
        self._trees[flow] = self._by_id[stream] = tree
        self.attended.created(tree)
        self.commands.append(CreateTree(stream, key.epoch, key.key_id))
        return tree

    def _remove(self, now: Instant, tree: RootTree) -> None:
        del self._trees[tree.flow], self._by_id[tree.stream]
        self.attended.removed(tree)
        self._renewals.cancel(tree.stream)
        self._planning.forget(tree.stream)
        self.offers.end_all(now, tree)
        for key in tree.keys:
            self._release(tree, key, key.plan.relaying)
        if tree.flow is not None:
            self._unused.remove(tree.flow)
            self.commands.append(remove_route(tree.flow))
        self.commands.append(RemoveTree(tree.stream))

    def _replace_key_if_due(self, now: Instant, tree: RootTree) -> None:
        """Begin with the next key: somebody who left was offered this one, or it is old. Never while a key is pending:
        members that have taken that one need not keep the one in use beside a third.
        """
        self._use_next_key_if_ready(now, tree)
        if tree.next_key is None and tree.renewal is not None and now >= tree.renewal:
            self._begin_next_key(now, tree, tree.limit_of_next(now))
        self._set_renewal(tree)

    def _begin_next_key(self, now: Instant, tree: RootTree, limit: Instant) -> None:
        tree.begin_next_key(*self._new_key(), limit, self._planning.plan(now, tree))
        tree.next_rotation = after(now, ROTATION_INTERVAL)
        self.commands.append(MakeKey(tree.stream, tree.newest_key.key_id, tree.newest_key.epoch))
        self.offers.offer_all(now, tree)
        self._use_next_key_if_ready(now, tree)

    def _use_next_key_if_ready(self, now: Instant, tree: RootTree) -> None:
        limit = tree.pending_until(now)
        if tree.next_key is None or limit is None or (tree.lagging and now < limit):
            return
        last, rested = tree.key, max(after(now, KEY_REST), tree.next_rotation or now)
        before = tree.use_next_key(now, rested, after(now, KEY_LIFETIME))
        self.commands += [before] if before else []
        self.offers.use_key(now, tree)
        self._release(tree, tree.key, last.plan.relaying - tree.members - tree.key.plan.relays)
        self._touched[tree.stream] = None
        self._set_renewal(tree)

    def _give(self, command: Command) -> None:
        self.commands.append(command)

    def _set_renewal(self, tree: RootTree) -> None:
        if tree.renewal is None:
            self._renewals.cancel(tree.stream)
        else:
            self._renewals.set(tree.stream, tree.renewal)

    def _release(self, tree: RootTree, key: SenderKey, relays: Collection[NodeIndex]) -> None:
        """Nodes that relayed the tree do so no more."""
        self.commands += [OfferTree(tree.stream, key.epoch, node, NO_NODE) for node in sorted(relays)]

    def _plan_anew(self, now: Instant, tree: RootTree) -> None:
        """Where the tree is to be another one, it takes the place of this one with the next key."""
        if tree.hands_out_keys and not tree.replace_key:
            tree.replace_key = self._planning.plan(now, tree) != tree.newest_key.plan

    def _new_key(self) -> tuple[KeyId, TreeEpoch]:
        self._last_epoch += 1
        return KeyId(self._last_epoch), TreeEpoch(self._last_epoch)
