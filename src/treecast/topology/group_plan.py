"""The members of one group's trees: its linked subscribers, by source. Changes by what one of them wants.

A source has a tree of its own only where its members differ from those of any source: by who excludes it, who else
gets any source, and by who includes it, who else gets none. It keeps that for a while when they differ no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from treecast.base.addresses import IPAddress
from treecast.base.ids import NodeIndex
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Duration, Instant, after

KEPT_FOR: Duration = 30.0
"""A source's own tree outlives those for whom it was made: who comes and goes has none made anew, but leaves and joins
one, whose key changes once a second at most."""

NOBODY: frozenset[NodeIndex] = frozenset()
Source = IPAddress | None
"""None: any source without a tree of its own."""
MembersOfSource = tuple[Source, tuple[NodeIndex, ...] | None]
"""The members of a source's tree, sorted; None: it has none any more."""


class GroupPlan:
    """One group's."""

    def __init__(self, losses: int = 0) -> None:
        self.losses = losses
        """The number of the last loss of a link that ``changes`` has followed."""
        self._wanted: dict[NodeIndex, SourceFilter] = {}
        self._any_source: set[NodeIndex] = set()
        self._differing: dict[IPAddress, set[NodeIndex]] = {}
        """The nodes that exclude a source, or include it: none does both."""
        self._given: dict[Source, tuple[NodeIndex, ...]] = {}
        """The trees as ``changes`` returned them."""
        self._kept: dict[IPAddress, Instant] = {}
        """Sources whose trees have the members of any source's, and until when they are kept."""
        self._changed: dict[Source, None] = {}
        """The dict serves as a set: an empty set takes three times its room, and most plans have nothing here."""
        self._all_changed = False

    @property
    def is_empty(self) -> bool:
        """Whether it has no members, and had none when ``changes`` was called."""
        return not self._wanted and not self._given

    def wanted(self, node: NodeIndex) -> SourceFilter | None:
        """The filter of a linked subscriber; None of others."""
        return self._wanted.get(node)

    def put(self, node: NodeIndex, wanted: SourceFilter | None) -> None:
        """The filter of a linked subscriber; None: the node is no subscriber, or has no link."""
        before = self._wanted.pop(node, NO_SOURCE)
        if wanted is not None:
            self._wanted[node] = wanted
        after = NO_SOURCE if wanted is None else wanted
        if before.mode is not after.mode:
            (self._any_source.add if after.mode is FilterMode.EXCLUDE else self._any_source.discard)(node)
            self._all_changed = True
        for source in before.sources - after.sources:
            differing = self._differing[source]
            differing.discard(node)
            if not differing:
                del self._differing[source]
        for source in after.sources - before.sources:
            self._differing.setdefault(source, set()).add(node)
        self._changed.update(dict.fromkeys(before.sources ^ after.sources))
        self._changed[None] = None  # the first subscriber makes this tree, and the last one ends it

    def lost(self, losses: Mapping[NodeIndex, int]) -> frozenset[NodeIndex]:
        """Subscribers whose link has been lost since ``changes`` was called. ``losses``: the number of each one's."""
        return frozenset(node for node in self._wanted.keys() & losses.keys() if losses[node] > self.losses)

    def clear(self) -> None:
        """Nobody joins the group any more."""
        self._wanted.clear()
        self._any_source.clear()
        self._differing.clear()
        self._all_changed = True

    def next_end(self) -> Instant | None:
        """The time at which a source's tree is kept no longer."""
        return min(self._kept.values(), default=None)

    def look_again(self) -> None:
        """A tree may be kept no longer."""
        self._changed.update(dict.fromkeys(self._kept))

    def changes(self, now: Instant, lost: AbstractSet[NodeIndex] = NOBODY) -> list[MembersOfSource]:
        """The trees that differ from what this returned before: sources that have one of their own from now on, any
        source, sources that had. So do trees with nodes that were ``lost``: their links, and places, are others.
        """
        sources = {None, *self._differing, *self._given} if self._all_changed or lost else self._changed
        changes: list[MembersOfSource] = []
        for source in sorted(sources, key=self._order):
            found = self._members(now, source)
            members = None if found is None else tuple(sorted(found))
            if members == self._given.get(source) and lost.isdisjoint(members or ()):
                continue
            if members is None:
                del self._given[source]
            else:
                self._given[source] = members
            changes.append((source, members))
        self._changed, self._all_changed = {}, False
        return changes

    def _members(self, now: Instant, source: Source) -> AbstractSet[NodeIndex] | None:
        if source is None:
            return self._any_source if self._wanted else None
        differing = self._differing.get(source)
        if differing is not None:
            self._kept.pop(source, None)
            return self._any_source ^ differing
        if self._any_source and source in self._given and now < self._kept.setdefault(source, after(now, KEPT_FOR)):
            return self._any_source
        self._kept.pop(source, None)
        return None

    def _order(self, source: Source) -> tuple[int, int]:
        if source is None:
            return (1, 0)
        return (0 if source in self._differing else 2, int(source))
