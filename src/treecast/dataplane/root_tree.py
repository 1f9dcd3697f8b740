"""One tree whose root this node is: its members, its keys, and what the data plane was given of them.

Members and who of them holds which key change by what joins, leaves and answers. Nothing here is made anew from all of
them but when another key comes into use.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from treecast.base.commands import SetTreeMembers
from treecast.base.flows import Flow
from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Duration, Instant
from treecast.dataplane.mute_members import Silence
from treecast.dataplane.sender_key import RootEvent, SenderKey


@dataclass(slots=True)
class RootTree:
    stream: StreamId
    epoch: TreeEpoch
    flow: Flow | None
    key: SenderKey
    """The key in use."""
    key_rested: Instant
    key_due: Instant
    used: bool = False
    replace_key: bool = False
    """Somebody who has left may have the newest key, or it has sealed enough."""
    next_key: SenderKey | None = None
    next_key_limit: Instant | None = None
    next_rotation: Instant | None = None
    """When the key after the next one may be made at the earliest."""
    lagging: set[NodeIndex] = field(default_factory=set)
    """The members that hold the key in use and not the next one, while there is one."""
    members: set[NodeIndex] = field(default_factory=set)
    intervals: dict[NodeIndex, Duration] = field(default_factory=dict)
    """Members whose answer to the newest key's offer is awaited: the time from its next repetition to the one after."""
    silence: Silence = field(default_factory=Silence)
    mute: set[NodeIndex] = field(default_factory=set)
    """Members that get nothing until they acknowledge a key."""
    changed: bool = False
    """Members or holders differ from what the data plane was given."""
    _next_hops: list[NodeIndex] = field(default_factory=list)
    """Members that hold the key in use, sorted."""
    _replicate: list[NodeIndex] = field(default_factory=list)
    """The other members that are not mute, sorted."""
    _given: tuple[NodeIndex, ...] = ()
    """The next hops that the data plane has."""

    @property
    def newest_key(self) -> SenderKey:
        return self.key if self.next_key is None else self.next_key

    @property
    def renewal(self) -> Instant | None:
        """When its key is to be replaced, or the next one comes into use at the latest. None: not before it is used."""
        if not self.used:
            return None
        if self.next_key is not None:
            return self.next_key_limit
        return self.key_rested if self.replace_key else self.key_due

    def join(self, node: NodeIndex) -> None:
        """A node that is no member becomes one."""
        self.members.add(node)
        insort(self._replicate, node)
        self.changed = True

    def leave(self, node: NodeIndex) -> None:
        """A member is one no more."""
        self.members.discard(node)
        if node in self.mute:
            self.mute.discard(node)
        else:
            _remove(self._next_hops if node in self.key.holders else self._replicate, node)
        self.intervals.pop(node, None)
        self.lagging.discard(node)
        self.replace_key |= self.newest_key.leave(node)
        if self.next_key is not None:
            self.key.leave(node)
        self.changed = True

    def acknowledge(self, node: NodeIndex, key_id: KeyId) -> None:
        """A member holds the key in use or the next one."""
        self.silence.end(node)
        if node in self.mute:
            self.mute.discard(node)
            insort(self._replicate, node)
            self.changed = True
        if key_id == self.key.key_id and node not in self.key.holders:
            _remove(self._replicate, node)
            insort(self._next_hops, node)
            self.changed = True
        for key in (self.key, self.next_key):
            if key is not None and key.key_id == key_id:
                key.acknowledge(node)
        if key_id == self.newest_key.key_id:
            self.intervals.pop(node, None)
            self.lagging.discard(node)
        elif node not in self.newest_key.holders:
            self.lagging.add(node)

    def becomes_mute(self, node: NodeIndex) -> None:
        """A member that has neither acknowledged a key nor gets the tree datagram is mute."""
        self.mute.add(node)
        _remove(self._replicate, node)
        self.changed = True

    def begin_next_key(self, key_id: KeyId, limit: Instant) -> None:
        self.replace_key = False
        self.next_key, self.next_key_limit = SenderKey(key_id, RootEvent.REPLACEMENT_DUE), limit
        self.lagging = set(self.key.holders)

    def use_next_key(self, rested: Instant, due: Instant) -> SetTreeMembers | None:
        """The next key comes into use. The command that must come before, for next hops that do not hold it."""
        next_key = self.next_key
        if next_key is None:
            return None
        command = None
        if not next_key.holders.issuperset(self._given):
            self._sort(self.key.holders & next_key.holders)
            command = self.members_command()
        next_key.becomes(RootEvent.OVERDUE if self.lagging else RootEvent.TAKEN)
        self.key.becomes(RootEvent.SUCCEEDED)
        self.key, self.next_key, self.next_key_limit = next_key, None, None
        self.key_rested, self.key_due = rested, due
        self.lagging.clear()
        self._sort(next_key.holders)
        self.changed |= len(self._given) != len(self._next_hops)
        return command

    def members_command(self) -> SetTreeMembers:
        """Members that hold the key in use are next hops; the others get copies, the mute ones nothing."""
        self.changed = False
        self._given = tuple(self._next_hops)
        return SetTreeMembers(self.stream, self._given, tuple(self._replicate))

    def _sort(self, holders: set[NodeIndex]) -> None:
        self._next_hops, self._replicate = sorted(holders), sorted(self.members - holders - self.mute)


def _remove(nodes: list[NodeIndex], node: NodeIndex) -> None:
    del nodes[bisect_left(nodes, node)]
