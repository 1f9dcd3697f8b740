"""Prefixes of groups that whole nodes subscribe to, for routers there that need sources without joining (RFC 4541).

A group of several prefixes goes to the subscribers of all of them. Found by one look per length that is in use.
"""

from __future__ import annotations

from treecast.base.addresses import IPAddress
from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_GROUP_PREFIXES, MAX_GROUP_PREFIXES_PER_NODE

_Family = tuple[int, int]
"""VLAN and IP version."""


class GroupPrefixes:
    """Group prefixes that the other nodes advertise."""

    def __init__(self) -> None:
        self._subscribers: dict[PrefixKey, set[NodeIndex]] = {}
        self._prefixes_of: dict[NodeIndex, set[PrefixKey]] = {}
        self._by_length: dict[_Family, dict[int, dict[int, PrefixKey]]] = {}

    def put(self, node: NodeIndex, key: PrefixKey) -> bool:
        """A node subscribes; False when the table is full."""
        subscribers = self._subscribers.get(key)
        own = self._prefixes_of.get(node, set())
        if key in own:
            return True
        is_full = subscribers is None and len(self._subscribers) >= MAX_GROUP_PREFIXES
        if is_full or len(own) >= MAX_GROUP_PREFIXES_PER_NODE:
            return False
        if subscribers is None:
            self._subscribers[key] = subscribers = set()
            family, length, bits = _position(key)
            self._by_length.setdefault(family, {}).setdefault(length, {})[bits] = key
        subscribers.add(node)
        self._prefixes_of.setdefault(node, set()).add(key)
        return True

    def remove(self, node: NodeIndex, key: PrefixKey) -> None:
        """The node subscribes no more, if it did."""
        own = self._prefixes_of.get(node, set())
        if key not in own:
            return
        own.discard(key)
        if not own:
            del self._prefixes_of[node]
        subscribers = self._subscribers[key]
        subscribers.discard(node)
        if subscribers:
            return
        del self._subscribers[key]
        family, length, bits = _position(key)
        del self._by_length[family][length][bits]
        if not self._by_length[family][length]:
            del self._by_length[family][length]

    def prefixes(self) -> list[PrefixKey]:
        return sorted(self._subscribers, key=prefix_sort_key)

    def prefixes_of(self, node: NodeIndex) -> list[PrefixKey]:
        return sorted(self._prefixes_of.get(node, ()), key=prefix_sort_key)

    def has(self, node: NodeIndex, key: PrefixKey) -> bool:
        """Whether the node subscribes to this very prefix."""
        return key in self._prefixes_of.get(node, ())

    def gets(self, node: NodeIndex, group: GroupKey) -> bool:
        """Whether a prefix that the node subscribes to contains the group."""
        prefixes = self._prefixes_of.get(node)
        return prefixes is not None and any(contains(key, group) for key in prefixes)

    def subscribers(self, group: GroupKey) -> set[NodeIndex]:
        """The subscribers of all prefixes that contain the group."""
        vlan, address = group
        return self._found(vlan, address, address.max_prefixlen)

    def subscribers_of(self, key: PrefixKey) -> set[NodeIndex]:
        """The subscribers of the prefix and of all that contain it."""
        vlan, prefix = key
        return self._found(vlan, prefix.network_address, prefix.prefixlen)

    def _found(self, vlan: int, address: IPAddress, longest: int) -> set[NodeIndex]:
        nodes: set[NodeIndex] = set()
        for length, keys in self._by_length.get((vlan, address.version), {}).items():
            key = keys.get(int(address) >> (address.max_prefixlen - length)) if length <= longest else None
            if key is not None:
                nodes |= self._subscribers[key]
        return nodes


def contains(key: PrefixKey, group: GroupKey) -> bool:
    (vlan, prefix), (of_vlan, address) = key, group
    return vlan == of_vlan and address.version == prefix.version and address in prefix


def prefix_sort_key(key: PrefixKey) -> tuple[int, int, int, int]:
    vlan, prefix = key
    return (vlan, prefix.version, int(prefix.network_address), prefix.prefixlen)


def _position(key: PrefixKey) -> tuple[_Family, int, int]:
    vlan, prefix = key
    bits = int(prefix.network_address) >> (prefix.max_prefixlen - prefix.prefixlen)
    return (vlan, prefix.version), prefix.prefixlen, bits
