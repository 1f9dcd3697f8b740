"""The multicast table: group -> the nodes that subscribe to it, with their source filters."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import itemgetter

from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, SourceFilter
from treecast.base.time import Instant
from treecast.topology.group_prefixes import GroupPrefixes
from treecast.topology.plan_work import FIRST, GroupPosition, position, positions

_GroupEntry = tuple[GroupPosition, GroupKey]


class MulticastTable:
    """Memberships that the other nodes advertise. Bounded by Broadcast's bounds on what an origin may advertise."""

    def __init__(self) -> None:
        self._subscribers: dict[GroupKey, dict[NodeIndex, tuple[SourceFilter, Instant]]] = {}
        """The filters, and since when each node subscribes."""
        self._groups_of: dict[NodeIndex, list[_GroupEntry]] = {}
        """The groups of each node that has some, in order."""
        self._in_order: list[_GroupEntry] = []
        """All that nodes subscribe to, and those that are kept."""
        self._kept: set[GroupKey] = set()
        self.prefixes = GroupPrefixes()

    def put(self, now: Instant, node: NodeIndex, group: GroupKey, wanted: SourceFilter | None) -> None:
        """A node's filter for a group; None, or a filter that wants nothing, takes it out."""
        if wanted is None or wanted.wants_nothing:
            self._take_out(node, group)
            return
        entry = (position(group), group)
        if not self._is_in_order(group):
            insort(self._in_order, entry, key=_position_of)
        subscribers = self._subscribers.setdefault(group, {})
        if node not in subscribers:
            insort(self._groups_of.setdefault(node, []), entry, key=_position_of)
        _, since = subscribers.get(node, (wanted, now))
        subscribers[node] = (wanted, since)

    def _take_out(self, node: NodeIndex, group: GroupKey) -> None:
        subscribers = self._subscribers.get(group, {})
        if subscribers.pop(node, None) is None:
            return
        own = self._groups_of[node]
        del own[_index(own, position(group))]
        if not own:
            del self._groups_of[node]
        if not subscribers:
            del self._subscribers[group]
            self._forget_order(group)

    def keep(self, group: GroupKey) -> None:
        """A group that nodes get by prefixes has its place in the order for now, though nobody joins it any more."""
        if not self._is_in_order(group):
            insort(self._in_order, (position(group), group), key=_position_of)
        self._kept.add(group)

    def unkeep(self, group: GroupKey) -> None:
        """The same is over, if it was so."""
        if group in self._kept:
            self._kept.discard(group)
            self._forget_order(group)

    @property
    def kept_count(self) -> int:
        """How many groups are kept."""
        return len(self._kept)

    def _is_in_order(self, group: GroupKey) -> bool:
        return group in self._subscribers or group in self._kept

    def _forget_order(self, group: GroupKey) -> None:
        if not self._is_in_order(group):
            del self._in_order[_index(self._in_order, position(group))]

    def subscribers(self, group: GroupKey) -> list[tuple[NodeIndex, SourceFilter]]:
        """The nodes that want the group, those of prefixes among them, by node index."""
        by_prefix = dict.fromkeys(self.prefixes.subscribers(group), ANY_SOURCE)
        joined = {node: wanted for node, (wanted, _) in self._subscribers.get(group, {}).items()}
        return sorted({**joined, **by_prefix}.items(), key=lambda item: item[0])

    def filter(self, node: NodeIndex, group: GroupKey) -> SourceFilter | None:
        """A node's filter of a group, by itself or by a prefix."""
        if self.prefixes.gets(node, group):
            return ANY_SOURCE
        joined = self._subscribers.get(group, {}).get(node)
        return None if joined is None else joined[0]

    def is_joined(self, group: GroupKey) -> bool:
        """Whether a node subscribes to this very group."""
        return group in self._subscribers

    def groups_in(self, prefix: PrefixKey) -> list[GroupKey]:
        """The groups of a prefix that nodes subscribe to by themselves, in order."""
        return [group for group in self.groups_between(*positions(prefix)) if self.is_joined(group)]

    def groups_between(self, first: GroupPosition, last: GroupPosition) -> Iterator[GroupKey]:
        """The groups from one position on up to another, in order, those that are kept among them."""
        for index in range(_index(self._in_order, first), len(self._in_order)):
            where, group = self._in_order[index]
            if where > last:
                return
            yield group

    def groups_from(self, node: NodeIndex, first: GroupPosition) -> Iterator[GroupKey]:
        """The groups that a node subscribes to by themselves from a position on, in order."""
        own = self._groups_of.get(node, [])
        for index in range(_index(own, first), len(own)):
            yield own[index][1]

    def since(self, node: NodeIndex, group: GroupKey) -> Instant | None:
        """The time at which its subscription was first learned."""
        joined = self._subscribers.get(group, {}).get(node)
        return None if joined is None else joined[1]

    def groups_of(self, node: NodeIndex) -> list[GroupKey]:
        return list(self.groups_from(node, FIRST))

    def has_groups(self, node: NodeIndex) -> bool:
        """Whether a node subscribes to any group by itself."""
        return node in self._groups_of

    def with_most(self) -> tuple[NodeIndex, int] | None:
        """The node that subscribes to most groups, and to how many. Walks all nodes, none of their groups."""
        counts = ((len(groups), -node) for node, groups in self._groups_of.items())
        most, node = max(counts, default=(0, 0))
        return (NodeIndex(-node), most) if most else None

    @property
    def group_count(self) -> int:
        """How many groups nodes subscribe to."""
        return len(self._subscribers)

    def unsorted_groups(self) -> list[GroupKey]:
        """The groups that nodes subscribe to, in no order that means anything."""
        return list(self._subscribers)

    def groups(self) -> list[GroupKey]:
        return sorted(self._subscribers, key=group_sort_key)


_position_of = itemgetter(0)


def _index(entries: list[_GroupEntry], where: GroupPosition) -> int:
    """The position of the first group that is there or after it."""
    return bisect_left(entries, where, key=_position_of)


def group_sort_key(group: GroupKey) -> tuple[int, int, int]:
    vlan, address = group
    return (vlan, address.version, int(address))
