"""One tree whose root this node is: its members, its keys, and what the data plane was given of them.

Members and who of them holds which key change by what joins, leaves and answers. Of a star nothing here is made anew
from all of them but when another key comes into use; of a branch, when all its nodes have answered.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from treecast.base.commands import SetTreeMembers
from treecast.base.flows import Flow, GroupKey
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Duration, Instant, after
from treecast.base.tree_modes import TreeMode
from treecast.dataplane.key_times import KEY_OVERLAP, KEY_REST, ROTATION_LIMIT
from treecast.dataplane.mute_members import Silence
from treecast.dataplane.sender_key import Records, RootEvent, SenderKey
from treecast.dataplane.tree_plan import TreePlan


@dataclass(slots=True)
class RootTree:
    stream: StreamId
    flow: Flow | None
    key: SenderKey
    """The key in use, with its tree."""
    key_rested: Instant
    key_due: Instant
    mode: TreeMode = TreeMode.USUAL
    used: bool = False
    epochs: int = 1
    """Trees that it has had so far, one for each key."""
    replans: int = 0
    """Trees of these that were another one than the tree before."""
    grafts: int = 0
    """Reports of nodes on it that they do without their parent."""
    replace_key: bool = False
    """Somebody who has left may have the newest key, it has sealed enough, or the tree is to be another one."""
    has_left: bool = False
    """Somebody has left in this turn who may have the newest key."""
    replace_by: Instant | None = None
    """The time at which a key that nobody has who has left is to be in use."""
    succeeded: tuple[KeyId, Instant] | None = None
    """The key before the one in use, and when that took its place."""
    next_key: SenderKey | None = None
    next_key_limit: Instant | None = None
    next_rotation: Instant | None = None
    """The earliest time at which the key after the next one may be made."""
    lagging: set[NodeIndex] = field(default_factory=set)
    """The nodes that the next key waits for: those that hold the key in use, and those of branches."""
    members: set[NodeIndex] = field(default_factory=set)
    intervals: dict[NodeIndex, Duration] = field(default_factory=dict)
    """Nodes whose answer to the newest key's offer is awaited: the time from its next repetition to the one after."""
    silence: Silence = field(default_factory=Silence)
    mute: set[NodeIndex] = field(default_factory=set)
    """Members that get nothing until they acknowledge a key; and relays that are none until their link comes anew."""
    changed: bool = False
    """Members or holders differ from what the data plane was given."""
    _next_hops: list[NodeIndex] = field(default_factory=list)
    """Nodes that the tree serves and that this node sends to, sorted."""
    _beyond: list[NodeIndex] = field(default_factory=list)
    """Nodes that the tree serves by these, sorted."""
    _replicate: list[NodeIndex] = field(default_factory=list)
    """The other members that are not mute, sorted."""
    _given: tuple[NodeIndex, ...] = ()
    """The next hops that the data plane has."""

    @property
    def group(self) -> GroupKey | None:
        """The group whose frames take it; None: frames to all, or to groups of a prefix."""
        return (self.flow.vlan, self.flow.group) if self.flow is not None and self.flow.prefix_length is None else None

    @property
    def newest_key(self) -> SenderKey:
        return self.key if self.next_key is None else self.next_key

    @property
    def keys(self) -> tuple[SenderKey, ...]:
        """The key in use, and the next one where there is one."""
        return (self.key,) if self.next_key is None else (self.key, self.next_key)

    @property
    def hands_out_keys(self) -> bool:
        """Whether it hands out keys: it does from its first frame on, and never of an authenticated group."""
        return self.used and self.mode is not TreeMode.AUTHENTICATED

    @property
    def renewal(self) -> Instant | None:
        """The latest time at which its key is replaced, or the next one comes into use. None: nobody is given one."""
        if not self.hands_out_keys:
            return None
        if self.next_key is not None:
            return self.next_key_limit
        return self.key_rested if self.replace_key else self.key_due

    def before(self, now: Instant) -> tuple[KeyId, int]:
        """The key before the newest one, and for how many ms members may take what comes under that."""
        succeeded = self.succeeded if self.next_key_limit is None else (self.key.key_id, self.next_key_limit)
        if succeeded is None:
            return KeyId(0), 0
        key_id, at = succeeded
        return key_id, max(0, int(1000 * (at + KEY_OVERLAP - now)))

    def is_on_tree(self, node: NodeIndex) -> bool:
        """Whether the node is offered what goes with the newest key."""
        return node in self.members or node in self.newest_key.plan.relays

    def has_relay(self, node: NodeIndex) -> bool:
        """Whether the node relays the tree of the key in use or of the next one."""
        return node in self.key.plan.relays or node in self.newest_key.plan.relays

    def join(self, node: NodeIndex) -> None:
        """A node that is no member becomes one. In a branch it may get what it is to get as copies by the tree, too."""
        self._end_branches(node)
        self.members.add(node)
        insort(self._replicate, node)
        self.changed = True

    def leave(self, node: NodeIndex) -> None:
        """A member is one no more."""
        self.members.discard(node)
        if node in self.mute:
            self.mute.discard(node)
        elif node in self.key.plan.branch_of:
            pass  # the lists are made anew below
        else:
            _remove(self._next_hops if node in self.key.holders else self._replicate, node)
        self.intervals.pop(node, None)
        self.lagging.discard(node)
        if self.newest_key.leave(node):
            self.replace_key = self.has_left = True
        if self.next_key is not None:
            self.key.leave(node)
        if node in self.key.plan.branch_of:
            self._sort()
        self.changed = True

    def unlink(self, node: NodeIndex) -> None:
        """A node's link has ended: what it sent on reaches nobody."""
        self.silence.end(node)
        keys = [key for key in self.keys if node in key.plan.branch_of]
        if node in self.members:
            self.leave(node)
        else:
            self.mute.discard(node)
            self.intervals.pop(node, None)
            self.lagging.discard(node)
        for key in keys:
            if node in key.plan.children:
                key.lose_relay(node)
                self.replace_key = True
        if keys:
            self._sort()
            self.changed = True

    def unlink_members(self, lost: Collection[NodeIndex]) -> None:
        """The same of those that are members."""
        for node in self.members.intersection(lost):
            self.unlink(node)

    def acknowledge(self, node: NodeIndex, key: SenderKey, record: Records) -> bool:
        """A node has taken a record of the key in use or of the next one. Whether it needs no other of that key."""
        if not key.acknowledge(node, record):
            return False
        self.silence.end(node)
        if node in self.mute:
            self.mute.discard(node)
            if node in self.members:
                insort(self._replicate, node)
            self.changed = True
        if key is self.key:
            self._serve(node)
        if key is self.newest_key:
            self.intervals.pop(node, None)
            self.lagging.discard(node)
        elif self.is_on_tree(node) and node not in self.newest_key.holders:
            self.lagging.add(node)
        return True

    def _serve(self, node: NodeIndex) -> None:
        """A node has all that it needs to be served by the tree."""
        if node in self.key.plan.branch_of:
            if self.key.serves(node):
                self._sort()
                self.changed = True
        elif _holds(self._replicate, node):
            _remove(self._replicate, node)
            insort(self._next_hops, node)
            self.changed = True

    def becomes_mute(self, node: NodeIndex) -> None:
        """A node has neither acknowledged all that it needs nor gets the tree datagram."""
        self.mute.add(node)
        if node in self.members:
            _remove(self._replicate, node)
        self.changed = True

    def pending_until(self, now: Instant) -> Instant | None:
        """The time at which the key that is pending comes into use at the latest. Where somebody has left who may have
        that, too, the one after it can be made when ROTATION_INTERVAL is over.
        """
        if self.has_left:
            self.has_left = False
            self.replace_by = self.replace_by or after(now, ROTATION_LIMIT)
            if self.next_key_limit is not None and self.next_rotation is not None:
                self.next_key_limit = min(self.next_key_limit, max(now, after(self.next_rotation, -KEY_REST)))
        return self.next_key_limit

    def limit_of_next(self, now: Instant) -> Instant:
        """The time at which a key that is made now comes into use at the latest."""
        limit = after(now, ROTATION_LIMIT)
        return limit if self.replace_by is None else max(now, min(limit, self.replace_by))

    def begin_next_key(self, key_id: KeyId, epoch: TreeEpoch, limit: Instant, plan: TreePlan) -> None:
        self.replace_key, self.has_left, self.replace_by = False, False, None
        self.next_key, self.next_key_limit = SenderKey(key_id, epoch, RootEvent.REPLACEMENT_DUE), limit
        self.next_key.follow(plan)
        self.epochs += 1
        self.replans += plan != self.key.plan
        self.lagging = {node for node in self.key.holders if self.is_on_tree(node)}
        self.lagging.update(node for node in plan.branch_of if node not in self.mute)

    def use_next_key(self, now: Instant, rested: Instant, due: Instant) -> SetTreeMembers | None:
        """The next key comes into use. The command that must come before, for next hops that do not hold it."""
        next_key = self.next_key
        if next_key is None:
            return None
        command = None
        if self.key.plan.branches or next_key.plan.branches or not next_key.holders.issuperset(self._given):
            both = self.key.holders & next_key.holders
            self._place(both.difference(self.key.plan.branch_of, next_key.plan.branch_of), ())
            command = self.members_command()
        next_key.becomes(RootEvent.OVERDUE if self.lagging else RootEvent.TAKEN)
        self.key.becomes(RootEvent.SUCCEEDED)
        self.succeeded = (self.key.key_id, now)
        self.key, self.next_key, self.next_key_limit = next_key, None, None
        self.key_rested, self.key_due = rested, due
        self.lagging.clear()
        self._sort()
        self.changed |= command is not None or len(self._given) != len(self._next_hops)
        return command

    def members_command(self) -> SetTreeMembers:
        """Nodes that the tree serves are next hops or beyond; the other members get copies, the mute ones nothing."""
        self.changed = False
        self._given = tuple(self._next_hops)
        return SetTreeMembers(self.stream, self._given, tuple(self._replicate), tuple(self._beyond))

    def _end_branches(self, node: NodeIndex) -> None:
        for key in self.keys:
            key.end_branch(node)
        if node in self.key.plan.branch_of:
            self._sort()

    def _sort(self) -> None:
        """The nodes that the key in use and its tree serve, and the rest."""
        plan = self.key.plan
        alone = {node for node in self.key.holders if node not in plan.branch_of}
        served = [top for top in plan.branches if self.key.serves(top)]
        first = {node for top in served for node in plan.first_hops(top)}
        self._place(alone | first, {node for top in served for node in plan.branches[top]} - first)

    def _place(self, next_hops: Iterable[NodeIndex], beyond: Iterable[NodeIndex]) -> None:
        self._next_hops, self._beyond = sorted(next_hops), sorted(beyond)
        self._replicate = sorted(self.members.difference(self._next_hops, self._beyond, self.mute))


def _holds(nodes: list[NodeIndex], node: NodeIndex) -> bool:
    at = bisect_left(nodes, node)
    return at < len(nodes) and nodes[at] == node


def _remove(nodes: list[NodeIndex], node: NodeIndex) -> None:
    del nodes[bisect_left(nodes, node)]
