"""Groups in advertisements: the content of GROUPS, one chunk of those that an origin wants.

Bytes <-> typed records; which chunk counts is ``topology``'s. Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from treecast.base.addresses import IPAddress, is_packed_unicast, packed_to_address
from treecast.base.errors import MalformedError
from treecast.base.flows import GroupKey
from treecast.base.membership import ANY_SOURCE, NO_SOURCE, FilterMode, SourceFilter
from treecast.wire.control import U8, U16
from treecast.wire.one_line import address, in_vlan, line, listed, sources

IPV4_BYTES, IPV6_BYTES = 4, 16
MAX_SOURCES = 56
MAX_GROUPS_BYTES = 1072
"""The longest content of GROUPS: with all around it the longest advertisement. A group with MAX_SOURCES takes 1,034."""
MAX_GROUPS_PER_CHUNK = 106
"""The shortest take 10 bytes."""
GROUP_EXCLUDES, GROUP_MOVED = 1, 2
"""Flags of a group in a chunk; others are of later versions."""

PackedAddress = Annotated[bytes, Meta(min_length=4, max_length=16)]


class ListedGroup(msgspec.Struct, frozen=True, array_like=True):
    """One group in a chunk, with the sources that the origin wants of it or excludes."""

    vlan: U16
    group: PackedAddress
    flags: U8
    sources: Annotated[tuple[PackedAddress, ...], Meta(max_length=MAX_SOURCES)]

    @classmethod
    def of(cls, key: GroupKey, wanted: SourceFilter) -> ListedGroup:
        flags = GROUP_EXCLUDES if wanted.mode is FilterMode.EXCLUDE else 0
        return cls(key[0], key[1].packed, flags, tuple(sorted(source.packed for source in wanted.sources)))

    def as_moved(self) -> ListedGroup:
        """The listing in the chunk that it has left."""
        return ListedGroup(self.vlan, self.group, self.flags | GROUP_MOVED, self.sources)

    @property
    def is_moved(self) -> bool:
        """Whether this counts only where no other chunk lists the group."""
        return bool(self.flags & GROUP_MOVED)

    @property
    def key(self) -> GroupKey:
        return self.vlan, unpacked(self.group)

    @property
    def order(self) -> tuple[int, int, bytes]:
        """Its place in a chunk."""
        return self.vlan, len(self.group), self.group

    def __str__(self) -> str:
        return f"group {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        mode = "EXCLUDE" if self.flags & GROUP_EXCLUDES else "INCLUDE"
        wanted = sources(mode, map(address, self.sources))
        return line(address(self.group), in_vlan(self.vlan), wanted, "moved" if self.is_moved else "")

    def source_filter(self) -> SourceFilter:
        mode = FilterMode.EXCLUDE if self.flags & GROUP_EXCLUDES else FilterMode.INCLUDE
        if not self.sources:
            return ANY_SOURCE if mode is FilterMode.EXCLUDE else NO_SOURCE  # one for all groups
        return SourceFilter(mode, frozenset(unpacked(packed) for packed in self.sources))


class GroupsContent(msgspec.Struct, frozen=True, array_like=True):
    """One chunk of the groups that an origin wants, in ascending order."""

    groups: Annotated[tuple[ListedGroup, ...], Meta(min_length=1, max_length=MAX_GROUPS_PER_CHUNK)]

    def __str__(self) -> str:
        return f"GROUPS content {self.text()}"

    def text(self) -> str:
        """The line without its kind."""
        return listed(self.groups, 60, ListedGroup.text) or "no group"


_groups_decoder = msgspec.msgpack.Decoder(GroupsContent)


def parse_groups(content: bytes) -> GroupsContent:
    """The content of GROUPS; MalformedError("advertisement_malformed")."""
    if len(content) > MAX_GROUPS_BYTES:
        raise MalformedError("advertisement_malformed")
    try:
        chunk = _groups_decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError("advertisement_malformed") from error
    order = [one.order for one in chunk.groups]
    are_ascending = all(one < other for one, other in pairwise(order))
    if not are_ascending or not all(map(_is_listable, chunk.groups)):
        raise MalformedError("advertisement_malformed")
    return chunk


def _is_listable(one: ListedGroup) -> bool:
    """Whether it is a multicast group with unicast sources of its family."""
    first, size = one.group[0], len(one.group)
    is_group = first & 0xF0 == 0xE0 if size == IPV4_BYTES else first == 0xFF and size == IPV6_BYTES
    return is_group and all(len(source) == size and is_packed_unicast(source) for source in one.sources)


def chunk_key(number: int) -> bytes:
    """The key of a GROUPS chunk."""
    return number.to_bytes(2, "big")


def parse_chunk_key(key: bytes) -> int:
    return int.from_bytes(key, "big")


def unpacked(packed: bytes) -> IPAddress:
    """MalformedError("advertisement_malformed") unless it has 4 or 16 bytes."""
    try:
        return packed_to_address(packed)
    except ValueError as error:
        raise MalformedError("advertisement_malformed") from error
