"""The multicast table: group -> the nodes that subscribe to it, with their source filters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter

from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, SourceFilter
from treecast.base.time import Instant
from treecast.topology.group_prefixes import GroupPrefixes
from treecast.topology.prefix_work import GroupPosition, position, positions


class MulticastTable:
    """Memberships that the other nodes advertise. Bounded by Broadcast's bounds on what an origin may advertise."""

    def __init__(self) -> None:
        self._subscribers: dict[GroupKey, dict[NodeIndex, tuple[SourceFilter, Instant]]] = {}
        """The filters, and since when each node subscribes."""
        self._groups_of: dict[NodeIndex, set[GroupKey]] = {}
        self._in_order: list[tuple[GroupPosition, GroupKey]] = []
        self.prefixes = GroupPrefixes()

    def put(self, now: Instant, node: NodeIndex, group: GroupKey, wanted: SourceFilter | None) -> None:
        """A node's filter for a group; None, or a filter that wants nothing, takes it out."""
        if wanted is None or wanted.wants_nothing:
            subscribers = self._subscribers.get(group, {})
            subscribers.pop(node, None)
            if not subscribers and self._subscribers.pop(group, None) is not None:
                del self._in_order[self._index(position(group))]
            self._groups_of.get(node, set()).discard(group)
            return
        if group not in self._subscribers:
            self._in_order.insert(self._index(position(group)), (position(group), group))
        subscribers = self._subscribers.setdefault(group, {})
        _, since = subscribers.get(node, (wanted, now))
        subscribers[node] = (wanted, since)
        self._groups_of.setdefault(node, set()).add(group)

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
        return list(self.groups_between(*positions(prefix)))

    def groups_between(self, first: GroupPosition, last: GroupPosition) -> Iterator[GroupKey]:
        """The groups from one position on up to another, in order."""
        for index in range(self._index(first), len(self._in_order)):
            where, group = self._in_order[index]
            if where > last:
                return
            yield group

    def _index(self, where: GroupPosition) -> int:
        """The position of the first group that is there or after it."""
        return bisect_left(self._in_order, where, key=_position_of)

    def since(self, node: NodeIndex, group: GroupKey) -> Instant | None:
        """The time at which its subscription was first learned."""
        joined = self._subscribers.get(group, {}).get(node)
        return None if joined is None else joined[1]

    def groups_of(self, node: NodeIndex) -> list[GroupKey]:
        return sorted(self._groups_of.get(node, set()), key=group_sort_key)

    def with_most(self) -> tuple[NodeIndex, int] | None:
        """The node that subscribes to most groups, and to how many. Walks all nodes, none of their groups."""
        counts = ((len(groups), -node) for node, groups in self._groups_of.items() if groups)
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


def group_sort_key(group: GroupKey) -> tuple[int, int, int]:
    vlan, address = group
    return (vlan, address.version, int(address))
