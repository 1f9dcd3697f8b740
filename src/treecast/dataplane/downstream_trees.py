"""The trees of other roots that this node is on: which keys it takes, and when it leaves.

Decides by what the local hosts want now. Read ``docs/protocol.md`` section 6 first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from treecast.base.addresses import IPNetwork
from treecast.base.commands import Command, SendControl
from treecast.base.counters import Drops
from treecast.base.downstream_commands import AcceptKey, ConfirmStream, LeaveStream, RefuseKey
from treecast.base.errors import MalformedError
from treecast.base.events import CommandRefusalReason, KeyOffered
from treecast.base.flows import BROADCAST, Flow, GroupKey, PrefixKey, is_of_any, prefix_holds
from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex, StreamId
from treecast.base.key_refusals import BY_DROP, KeyRefusalReason
from treecast.base.limits import MAX_DOWNSTREAM_TREES, MAX_DOWNSTREAM_TREES_PER_ROOT
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.shares import Shares
from treecast.base.tables import TableUse
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.timers import Timers
from treecast.dataplane.key_times import KEY_LIFETIME, KEY_OVERLAP, ROTATION_LIMIT
from treecast.dataplane.shared_key_roots import SharedKeyRoots
from treecast.wire.control import KeyAcknowledgement, KeyRefusal, emit_control
from treecast.wire.key_context import parse_context

MAX_SILENCE: Duration = 2 * KEY_LIFETIME
"""A root that uses a tree offers a new key in half that time. One that has given it up sends nothing."""

LINGER: Duration = 10.0
"""A tree's keys outlive the last local membership: a node that leaves and joins again at once may look to the root as
if nothing had happened, and then the root offers no key. By the end of this time it has learned of the leave."""

LEFT_KEYS_END: Duration = ROTATION_LIMIT + KEY_OVERLAP
"""The time after a leave at which its root has ended the keys that were in use then, where it has members."""
FIRST_PAUSE: Duration = 0.2
LAST_PAUSE: Duration = 1.6
"""The pause before a root is queried again for the confirmation of keys, doubling from the one to the other."""

_TreeKey = tuple[NodeIndex, StreamId]


@dataclass(frozen=True, slots=True)
class DownstreamTree:
    root: NodeIndex
    stream: StreamId
    flow: Flow | None

    @property
    def key(self) -> _TreeKey:
        return (self.root, self.stream)

    @property
    def group(self) -> GroupKey | None:
        return (self.flow.vlan, self.flow.group) if self.flow and self.flow.prefix_length is None else None


class DownstreamTrees:
    """Methods append to ``commands``; the caller empties it."""

    def __init__(
        self,
        drops: Drops,
        prefixes: Sequence[PrefixKey] = (),
        may_send: Callable[[NodeIndex, Flow], bool] = lambda _root, _flow: True,
        authenticated: Sequence[IPNetwork] = (),
    ) -> None:
        """``prefixes``: of groups that this node gets whatever its hosts want. ``may_send``: whether a root may.
        ``authenticated``: groups that it gets as copies only.
        """
        self._may_send = may_send
        self._authenticated = authenticated
        self.shared_key_roots = SharedKeyRoots()
        self._prefixes = prefixes
        self._drops = drops
        self._trees: dict[_TreeKey, DownstreamTree] = {}
        self._tree_of: dict[tuple[NodeIndex, Flow | None], DownstreamTree] = {}
        self._of_group: dict[GroupKey, dict[_TreeKey, DownstreamTree]] = {}
        self._of_root: Shares[_TreeKey] = Shares()
        self._wanted: dict[GroupKey, SourceFilter] = {}
        self._unwanted: Timers[_TreeKey] = Timers()
        """The time at which this node leaves each tree that nobody here wants any more."""
        self._ended: set[_TreeKey] = set()
        """Trees whose root has ended them."""
        self._unconfirmed: Timers[tuple[_TreeKey, Duration]] = Timers()
        """The time at which each root is queried again, and the pause before."""
        self._followed: dict[tuple[NodeIndex, Flow | None], tuple[DownstreamTree, Instant]] = {}  # oldest first
        self._silent_from: dict[_TreeKey, Instant] = {}  # oldest first
        self._accepted: Counter[_TreeKey] = Counter()
        """How many offers of each tree were accepted and not refused by the data plane."""
        self.commands: list[Command] = []

    def subscribes(self, root: NodeIndex, stream: StreamId) -> bool:
        """Whether this node has a key of the stream."""
        return (root, stream) in self._trees

    def trees(self) -> tuple[DownstreamTree, ...]:
        """The trees that this node has a key of."""
        return tuple(self._trees.values())

    def tables(self) -> Iterator[TableUse]:
        """How full they are."""
        advice, largest = "join fewer groups and sources", self._of_root.largest()
        yield TableUse("trees of other nodes", len(self._trees), MAX_DOWNSTREAM_TREES, advice, largest)

    def want(self, now: Instant, group: GroupKey, wanted: SourceFilter) -> None:
        """The local hosts have another filter of a group from now on."""
        if wanted.wants_nothing:
            self._wanted.pop(group, None)
        else:
            self._wanted[group] = wanted
        for key, tree in self._of_group.get(group, {}).items():
            if tree.flow is None or self._wants(tree.flow):
                self._subscribe_again(now, key)
            elif key not in self._unwanted:
                self._unwanted.set(key, after(now, LINGER))

    def _subscribe_again(self, now: Instant, key: _TreeKey) -> None:
        """Others may have left meanwhile with the keys that this node has: the root is to confirm that these count."""
        leaves_at = self._unwanted.deadline(key)
        if leaves_at is None or key in self._ended:
            return
        self._unwanted.cancel(key)
        left = max(after(leaves_at, LEFT_KEYS_END - LINGER) - now, 0.0)
        self.commands.append(ConfirmStream(*key, round(1000 * left), again=False))
        self._unconfirmed.set((key, FIRST_PAUSE), after(now, FIRST_PAUSE))

    def _query_again(self, now: Instant) -> None:
        for key, pause in self._unconfirmed.due(now):
            if key in self._trees:
                self.commands.append(ConfirmStream(*key, 0, again=True))
            if key in self._trees and pause < LAST_PAUSE:
                self._unconfirmed.set((key, 2 * pause), after(now, 2 * pause))

    def advance(self, now: Instant) -> None:
        """Leave the trees that nobody here has wanted for a while, and those whose root is silent about them."""
        self._query_again(now)
        for key in self._unwanted.due(now):
            self._leave(self._trees[key])
        while self._followed:
            name, (_, until) = next(iter(self._followed.items()))
            if until > now:
                break
            self._end_followed(*name)
        while self._silent_from:
            key, since = next(iter(self._silent_from.items()))
            if after(since, MAX_SILENCE) > now:
                break
            self._leave(self._trees[key])

    def next_deadline(self) -> Instant | None:
        oldest = next(iter(self._silent_from.values()), None)
        silent = None if oldest is None else after(oldest, MAX_SILENCE)
        followed = next((until for _, until in self._followed.values()), None)
        return earliest(silent, followed, self._unwanted.next(), self._unconfirmed.next())

    def offered(self, now: Instant, offer: KeyOffered) -> None:
        """A root offers the key of one of its trees."""
        try:
            flow = parse_context(offer.context)
            self._take(now, offer, flow)
        except MalformedError as error:
            self._drops.count(error.reason)
            self.commands.append(RefuseKey(offer.root, offer.stream, offer.key_id))
            self._report_refusal(offer.root, offer.stream, offer.key_id, BY_DROP[error.reason])

    def ended(self, now: Instant, root: NodeIndex, stream: StreamId) -> None:
        """The root's stream has ended; what it sealed before may be on its way. It may have no other end of its key."""
        key, limit = (root, stream), after(now, KEY_OVERLAP)
        leaves_at = self._unwanted.deadline(key)
        if key in self._trees and stream != BROADCAST_STREAM and (leaves_at is None or leaves_at > limit):
            self._unwanted.set(key, limit)
            self._ended.add(key)

    def refused(self, command: AcceptKey, reason: CommandRefusalReason) -> None:
        """The data plane has not taken a key. The root, without acknowledgement, sends copies and offers the key again.

        An offer that is not there (UNKNOWN) was judged before, for it was repeated meanwhile; where no other of the
        tree was accepted, its root has begun anew since.
        """
        key = (command.root, command.stream)
        if key not in self._trees:
            return
        if reason is CommandRefusalReason.TABLE_FULL:
            self._report_refusal(*key, command.key_id, KeyRefusalReason.TABLE_FULL)
        self._accepted[key] -= 1
        if reason is not CommandRefusalReason.UNKNOWN or self._accepted[key] <= 0:
            self._leave(self._trees[key])

    def judge(self, root: NodeIndex) -> None:
        """The root has another certificate: this node leaves the trees that it may not send on any more."""
        for tree in [self._trees[key] for key in self._of_root.of(root)]:
            if tree.flow is not None and not self._may_send(root, tree.flow):
                self._drops.count("sender_not_permitted")
                self._leave(tree)

    def forget(self, root: NodeIndex) -> None:
        """The root is gone; the data plane forgets its trees by itself."""
        self.shared_key_roots.forget(root)
        for key in list(self._of_root.of(root)):
            self._drop(self._trees[key])
        self._followed = {name: followed for name, followed in self._followed.items() if name[0] != root}

    def _take(self, now: Instant, offer: KeyOffered, flow: Flow | None) -> None:
        if (flow is BROADCAST) != (offer.stream == BROADCAST_STREAM):
            raise MalformedError("key_context_malformed")
        if flow is not None and not self._may_send(offer.root, flow):
            raise MalformedError("sender_not_permitted")
        if flow is not None and not self._wants(flow):
            raise MalformedError("key_not_wanted")
        if flow is not None and is_of_any(flow, self._authenticated):
            self.shared_key_roots.offered(now, offer.root, flow)
            raise MalformedError("key_of_authenticated_group")
        tree = DownstreamTree(offer.root, offer.stream, flow)
        self._replace_older(now, tree)
        self._put(now, tree)
        self._accepted[tree.key] += 1
        taken = emit_control(KeyAcknowledgement(offer.stream, offer.key_id))
        of_key = None if flow is None else flow.of_key
        self.commands.append(AcceptKey(offer.root, offer.stream, offer.key_id, of_key, taken))

    def _report_refusal(self, root: NodeIndex, stream: StreamId, key_id: KeyId, reason: KeyRefusalReason) -> None:
        self.commands.append(SendControl(root, emit_control(KeyRefusal(stream, key_id, reason))))

    def _replace_older(self, now: Instant, tree: DownstreamTree) -> None:
        """A root has one tree per flow: a newer one follows the older. MalformedError when there are too many."""
        known, before = self._trees.get(tree.key), self._tree_of.get((tree.root, tree.flow))
        if before is not None and before.stream > tree.stream:
            raise MalformedError("key_not_wanted")
        if known is None and before is None:
            self._require_free_slot(tree.root)
        if before is not None and before != tree:
            self._follow(now, before)
        for old in (known, before):
            if old is not None and old != tree and old.key in self._trees:
                self._leave(old)

    def _require_free_slot(self, root: NodeIndex) -> None:
        """A place for a root's tree: a full table drops the newest one of a root that has more. MalformedError."""
        if self._of_root.count(root) >= MAX_DOWNSTREAM_TREES_PER_ROOT:
            raise MalformedError("downstream_tree_table_full")
        if len(self._trees) >= MAX_DOWNSTREAM_TREES:
            found = self._of_root.to_evict(root)
            if found is None:
                raise MalformedError("downstream_tree_table_full")
            self._drops.count("downstream_tree_table_full")
            self._leave(self._trees[found[1]])

    def _follow(self, now: Instant, old: DownstreamTree) -> None:
        """Keep the tree that another one follows for a while: what was sealed for it may come after the new key."""
        self._drop(old)
        self._end_followed(old.root, old.flow)
        while self._followed and len(self._trees) + len(self._followed) >= MAX_DOWNSTREAM_TREES - 1:
            self._end_followed(*next(iter(self._followed)))
        self._followed[old.root, old.flow] = (old, after(now, KEY_OVERLAP))

    def _end_followed(self, root: NodeIndex, flow: Flow | None) -> None:
        old, _ = self._followed.pop((root, flow), (None, None))
        if old is not None:
            self.commands.append(LeaveStream(old.root, old.stream))

    def _put(self, now: Instant, tree: DownstreamTree) -> None:
        followed, _ = self._followed.get((tree.root, tree.flow), (None, None))
        if followed == tree:  # its follower has gone
            del self._followed[tree.root, tree.flow]
        self._trees[tree.key] = self._tree_of[(tree.root, tree.flow)] = tree
        self._of_root.put(tree.root, tree.key)
        if tree.group is not None:
            self._of_group.setdefault(tree.group, {})[tree.key] = tree
        self._unwanted.cancel(tree.key)
        self._silent_from.pop(tree.key, None)
        self._silent_from[tree.key] = now

    def _wants(self, flow: Flow) -> bool:
        if self._prefixes and self._is_of_own_prefix(flow):
            return True
        if flow.prefix_length is not None:
            return False
        wanted = self._wanted.get((flow.vlan, flow.group), NO_SOURCE)
        if flow.source is None:
            return wanted.mode is FilterMode.EXCLUDE
        return wanted.accepts(flow.source)

    def _is_of_own_prefix(self, flow: Flow) -> bool:
        prefix = flow.prefix or ip_network(flow.group)
        return any(vlan == flow.vlan and prefix_holds(own, prefix) for vlan, own in self._prefixes)

    def _leave(self, tree: DownstreamTree) -> None:
        self._drop(tree)
        self.commands.append(LeaveStream(tree.root, tree.stream))

    def _drop(self, tree: DownstreamTree) -> None:
        del self._trees[tree.key], self._tree_of[(tree.root, tree.flow)], self._silent_from[tree.key]
        del self._accepted[tree.key]
        self._unwanted.cancel(tree.key)
        self._ended.discard(tree.key)
        self._of_root.remove(tree.root, tree.key)
        if tree.group is not None:
            of_group = self._of_group[tree.group]
            of_group.pop(tree.key, None)
            if not of_group:
                del self._of_group[tree.group]
