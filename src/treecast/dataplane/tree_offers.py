"""Offers of a root's keys and trees to its nodes: repeated until each has acknowledged what it needs.

And the news that a key is in use: repeated a few times, as the first may be lost and nothing may follow.

Read ``docs/protocol.md`` section 6 first. Who acknowledges nothing for long is mute, and is offered them rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from treecast.base.commands import Command, OfferKey, OfferTree, UseKey
from treecast.base.counters import Drops
from treecast.base.ids import NO_NODE, KeyId, NodeIndex, StreamId
from treecast.base.key_commands import AnnounceKey
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.dataplane.ended_streams import EndedStreams
from treecast.dataplane.mute_members import MUTE_OFFER_INTERVAL, MuteMembers
from treecast.dataplane.root_tree import RootTree
from treecast.dataplane.sender_key import SENDER_KEY, TREE_STATE
from treecast.wire.key_context import emit_context

FIRST_OFFER_INTERVAL: Duration = 0.1
LAST_OFFER_INTERVAL: Duration = 1.0
JITTER = (0.75, 1.0)
"""Repetitions come a little earlier each time, so that offers to many members, and announcements of many keys, that
began together do not go on together.
"""
ANNOUNCED_AFTER: tuple[Duration, ...] = (0.1, 0.3, 0.9)
"""The times after a key has come into use, while its stream is silent. An outage of a moment is over by the last; where
a third of all datagrams is lost, one member in eighty misses all four. No more: each next hop got two records just
before."""


class TreeOffers:
    """The offers of all trees of a root. ``give``: takes each command."""

    def __init__(self, me: NodeIndex, drops: Drops, rng: Random, give: Callable[[Command], None]) -> None:
        self._me = me
        self._rng = rng
        self._drops = drops
        self._give = give
        self._timers: Timers[tuple[StreamId, NodeIndex]] = Timers()
        """The next repetition of an offer to a node."""
        self._mute = MuteMembers()
        self._ended = EndedStreams(give)
        self._announcements: Timers[StreamId] = Timers()
        """The next announcement of the key in use."""
        self._used: dict[StreamId, tuple[Instant, int]] = {}
        """Keys that are announced: since when each is in use, and how often that was announced again."""

    def problems(self, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """Members that acknowledge no key. ``name``: of a node."""
        return self._mute.problems(name)

    def next_deadline(self) -> Instant | None:
        return earliest(self._timers.next(), self._announcements.next(), self._ended.next_deadline())

    def due(self, now: Instant) -> list[tuple[StreamId, NodeIndex]]:
        """Announce keys and ends of streams, and take the nodes whose offer is to be repeated."""
        self._ended.advance(now)
        for stream in self._announcements.due(now):
            self._give(AnnounceKey(stream))
            since, announced = self._used[stream]
            self._announce_after(stream, since, announced + 1)
        return self._timers.due(now)

    def use_key(self, now: Instant, tree: RootTree) -> None:
        """The tree's key comes into use."""
        self._give(UseKey(tree.stream, tree.key.key_id))
        self._announce_after(tree.stream, now, 0)

    def _announce_after(self, stream: StreamId, since: Instant, announced: int) -> None:
        if announced < len(ANNOUNCED_AFTER):
            self._used[stream] = (since, announced)
            self._announcements.set(stream, self._repeat_after(since, ANNOUNCED_AFTER[announced]))
        else:
            del self._used[stream]

    def soon(self, now: Instant, tree: RootTree, node: NodeIndex) -> None:
        """Offer to the node in this turn."""
        self._timers.set((tree.stream, node), now)

    def is_waiting(self, stream: StreamId, node: NodeIndex) -> bool:
        return (stream, node) in self._timers

    def end(self, stream: StreamId, node: NodeIndex) -> None:
        """The node is on the tree no more."""
        self._mute.discard(node, stream)
        self._timers.cancel((stream, node))

    def end_all(self, now: Instant, tree: RootTree) -> None:
        """There is no such tree any more: those that may have its keys learn it."""
        if tree.hands_out_keys:
            self._ended.end(now, tree.stream, tree.members)
        for node in tree.members | tree.newest_key.plan.relays:
            self.end(tree.stream, node)
        self._announcements.cancel(tree.stream)
        self._used.pop(tree.stream, None)

    def answered(self, now: Instant, tree: RootTree, node: NodeIndex, *, was_mute: bool) -> None:
        """A node has acknowledged what it needs of a key."""
        self._mute.discard(node, tree.stream)
        if node not in tree.intervals:
            self._timers.cancel((tree.stream, node))
        elif was_mute:
            self._timers.set((tree.stream, node), now)

    def refused(self, node: NodeIndex, stream: StreamId, reason: int) -> None:
        """A node does not take a key. For people, and for as long as its answer is awaited."""
        if self.is_waiting(stream, node):
            self._mute.refused(node, stream, reason)

    def reasons(self) -> int:
        """The number of refusals of keys, over nodes and trees, that have a reason."""
        return self._mute.reasons()

    def offer_all(self, now: Instant, tree: RootTree) -> None:
        """Offer the newest key and its tree to all members, and the tree to relays."""
        tree.intervals.clear()
        context, before = emit_context(tree.flow), tree.before(now)
        for node in sorted(tree.members | tree.newest_key.plan.relays):
            self.offer(now, tree, node, context, before)

    def offer(self, now: Instant, tree: RootTree, node: NodeIndex, context: bytes, before: tuple[KeyId, int]) -> bool:
        """Offer what the node has not acknowledged. ``before``: the tree's. True: it has become mute by this."""
        key = tree.newest_key
        missing = key.missing(node)
        key.offer(node)
        if missing & SENDER_KEY:
            self._give(OfferKey(tree.stream, key.key_id, node, context, *before))
        if missing & TREE_STATE:
            plan = key.plan
            parent, backup = plan.parents.get(node, self._me), plan.backups.get(node, NO_NODE)
            below = plan.children.get(node, ()), plan.backup_children.get(node, ())
            self._give(OfferTree(tree.stream, key.epoch, node, parent, backup, *below, node in plan.second_parents))
        interval = tree.intervals.get(node, FIRST_OFFER_INTERVAL)
        tree.intervals[node] = min(2 * interval, LAST_OFFER_INTERVAL)
        again, becomes_mute = self._repeat_after(now, interval), False
        if node not in key.holders and again > (limit := tree.silence.limit(now, node)):
            if now < limit:
                again = limit
            elif node not in tree.key.holders:
                becomes_mute = self._becomes_mute(tree, node)
                again = self._repeat_after(now, MUTE_OFFER_INTERVAL)
        self._timers.set((tree.stream, node), again)
        return becomes_mute

    def _repeat_after(self, since: Instant, interval: Duration) -> Instant:
        return after(since, interval * self._rng.uniform(*JITTER))

    def _becomes_mute(self, tree: RootTree, node: NodeIndex) -> bool:
        """A node has been offered keys, and has acknowledged none, for so long that it is mute."""
        if node in tree.mute:
            return False
        tree.becomes_mute(node)
        if node in tree.members:
            self._drops.count("key_unacknowledged")
            self._mute.add(node, tree.stream, tree.flow)
        else:
            self._drops.count("relay_unacknowledged")
        return True
