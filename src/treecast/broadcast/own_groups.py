"""GROUPS advertisements: the groups that this node wants, in chunks.

Decides which chunk lists which group. A group stays in its chunk, so that one that comes or goes changes one
advertisement; groups that come together fill one chunk after the other. Format: ``docs/protocol.md`` section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.counters import Drops
from treecast.base.flows import GroupKey
from treecast.base.membership import ANY_SOURCE, SourceFilter
from treecast.base.time import Instant, after
from treecast.broadcast.quotas import DEFAULT_QUOTA, Usage
from treecast.broadcast.store import WITHDRAWN_LIFETIME
from treecast.wire.advertised_groups import MAX_GROUPS_BYTES, GroupsContent, ListedGroup, chunk_key
from treecast.wire.advertisement import emit

MAX_LISTED_BYTES = MAX_GROUPS_BYTES - 4
"""The bytes of all groups of a chunk: the array and the list take the rest."""
OPEN_BYTES = 256
"""Groups that come alone go to chunks that list no more than this: the rest is for more sources of those in it, and one
join costs an advertisement of 100 to 370 bytes. Groups that come together fill whole chunks."""


@dataclass(slots=True)
class _Sources:
    """How many all chunks list together."""

    count: int = 0


@dataclass(slots=True)
class _Chunk:
    """``is_taken``: by one group that has outgrown another chunk, until it is wanted no more."""

    sources: _Sources
    listed: dict[GroupKey, ListedGroup] = field(default_factory=dict)
    size_bytes: int = 0
    is_taken: bool = False
    moved_until: dict[GroupKey, Instant] = field(default_factory=dict)
    """Groups that have left for a chunk of their own, and until when they are still listed, in order of time."""

    def put(self, key: GroupKey, entry: ListedGroup) -> None:
        before = self.listed.get(key)
        self.size_bytes += len(emit(entry)) - (len(emit(before)) if before is not None else 0)
        self.sources.count += len(entry.sources) - (len(before.sources) if before is not None else 0)
        self.listed[key] = entry

    def remove(self, key: GroupKey) -> None:
        entry = self.listed.pop(key, None)
        if entry is not None:
            self.size_bytes -= len(emit(entry))
            self.sources.count -= len(entry.sources)
        self.moved_until.pop(key, None)
        if not self.listed:
            self.is_taken = False

    def fits(self, entry: ListedGroup, instead_of: ListedGroup | None = None) -> bool:
        freed = len(emit(instead_of)) if instead_of is not None else 0
        return self.size_bytes - freed + len(emit(entry)) <= MAX_LISTED_BYTES

    @property
    def is_open(self) -> bool:
        return not self.is_taken and self.size_bytes <= OPEN_BYTES

    def forget_moved(self, now: Instant) -> list[GroupKey]:
        """List those no more whose new chunk has long reached everybody; returns them."""
        over = [key for key, until in self.moved_until.items() if until <= now]
        for key in over:
            self.remove(key)
        return over

    def content(self) -> GroupsContent | None:
        listed = sorted(self.listed.values(), key=lambda entry: entry.order)
        return GroupsContent(tuple(listed)) if listed else None


class OwnGroups:
    """Publishes a node's groups, in chunks."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._wanted: dict[GroupKey, SourceFilter] = {}
        """Groups that have changed since the last call of ``take_changed``."""
        self._chunks: list[_Chunk] = []
        self._chunk_of: dict[GroupKey, int] = {}
        self._left: dict[GroupKey, int] = {}
        """The chunk that still lists a group as moved, of groups that have a chunk of their own."""
        self._open: set[int] = set()
        self._changed: set[int] = set()
        self._waiting: dict[GroupKey, SourceFilter] = {}
        """Groups above the quota: listed when there is room. Bounded by what hosts may join (docs/multicast.md)."""
        self._sources = _Sources()
        self._coming_sources = 0
        """Sources of groups that are about to be listed."""
        self.quota: Usage = DEFAULT_QUOTA
        self.refused = ""
        """The field of the quota that the groups of the last ``take_changed`` had no room in."""

    def __len__(self) -> int:
        """Groups in all chunks together, as other nodes count them."""
        return len(self._chunk_of) + len(self._left)

    @property
    def has_changed(self) -> bool:
        """Whether ``take_changed`` has something."""
        return bool(self._wanted)

    def put(self, group: GroupKey, wanted: SourceFilter) -> None:
        """List what is wanted of the group, or list it no more when that is nothing."""
        self._wanted[group] = wanted

    def take_changed(self, now: Instant) -> list[tuple[bytes, GroupsContent | None]]:
        """Key and content of each chunk that changed since the last call; None for one that lists nothing any more."""
        if not self._wanted and not (self._waiting and len(self) < self.quota.groups):
            return []
        self._wanted = {**self._waiting, **self._wanted}
        self._waiting.clear()
        self.refused = ""
        coming: list[tuple[GroupKey, ListedGroup]] = []
        for key, wanted in sorted(self._wanted.items(), key=lambda item: (item[0][0], item[0][1].packed)):
            entry = self._entry(key, wanted)
            if wanted.wants_nothing:
                self._remove(key)
            elif key in self._chunk_of:
                self._change(now, key, entry)
            elif len(self) + len(coming) < self.quota.groups:
                coming.append((key, entry))
                self._coming_sources += len(entry.sources)
            else:
                self._waiting[key] = wanted
                self._drops.count("advertisement_over_quota")
                self.refused = "groups"
        self._wanted.clear()
        self._coming_sources = 0
        self._place(coming)
        changed = sorted(self._changed)
        for number in changed:
            for key in self._chunks[number].forget_moved(now):
                del self._left[key]
            self._note(number)
        self._changed.clear()
        return [(chunk_key(number), self._chunks[number].content()) for number in changed]

    def _entry(self, key: GroupKey, wanted: SourceFilter) -> ListedGroup:
        """The group's listing: of any source where there is no room for its sources."""
        entry = ListedGroup.of(key, wanted)
        number = self._chunk_of.get(key)
        listed = 0 if number is None else len(self._chunks[number].listed[key].sources)
        others = self._sources.count + self._coming_sources - listed
        if not entry.sources or others + len(entry.sources) <= self.quota.sources:
            return entry
        self._drops.count("advertisement_over_quota")
        self.refused = "sources"
        return ListedGroup.of(key, ANY_SOURCE)

    def _remove(self, key: GroupKey) -> None:
        for number in (self._chunk_of.pop(key, None), self._left.pop(key, None)):
            if number is not None:
                self._chunks[number].remove(key)
                self._note(number)

    def _change(self, now: Instant, key: GroupKey, entry: ListedGroup) -> None:
        number = self._chunk_of[key]
        chunk = self._chunks[number]
        current = chunk.listed[key]
        if entry == current:
            return
        if chunk.fits(entry, instead_of=current):
            chunk.put(key, entry)
        else:
            self._move(now, key, entry)
        self._note(number)

    def _move(self, now: Instant, key: GroupKey, entry: ListedGroup) -> None:
        """Moves the group to a chunk of its own, which it never outgrows. The present one still lists it as moved."""
        number = self._chunk_of[key]
        chunk = self._chunks[number]
        left = chunk.listed[key]
        with_both = self._sources.count + len(entry.sources)
        if len(self) < self.quota.groups and with_both <= self.quota.sources:
            chunk.put(key, left.as_moved())
            chunk.moved_until[key] = after(now, WITHDRAWN_LIFETIME)
            self._left[key] = number
        else:
            chunk.remove(key)
        own = next((n for n in sorted(self._open) if not self._chunks[n].listed), None)
        own = self._opened() if own is None else own
        self._chunks[own].is_taken = True
        self._list(own, key, entry)

    def _place(self, coming: list[tuple[GroupKey, ListedGroup]]) -> None:
        number: int | None = None
        for key, entry in coming:
            if number is None or not self._chunks[number].fits(entry):
                number = self._with_capacity(entry)
            self._list(number, key, entry)

    def _with_capacity(self, entry: ListedGroup) -> int:
        """An open chunk, one that is published anyway before others; a new one where there is none."""
        fitting = (number for number in self._open if self._chunks[number].fits(entry))
        number = min(fitting, key=lambda number: (number not in self._changed, number), default=None)
        return self._opened() if number is None else number

    def _opened(self) -> int:
        self._chunks.append(_Chunk(self._sources))
        return len(self._chunks) - 1

    def _list(self, number: int, key: GroupKey, entry: ListedGroup) -> None:
        self._chunk_of[key] = number
        self._chunks[number].put(key, entry)
        self._note(number)

    def _note(self, number: int) -> None:
        """The chunk is to be published."""
        self._changed.add(number)
        if self._chunks[number].is_open:
            self._open.add(number)
        else:
            self._open.discard(number)
