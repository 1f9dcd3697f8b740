"""Group listings: which chunks of an origin's GROUPS advertisements list a group, and what that comes to.

Decides which listing counts where several do (``docs/protocol.md`` section 7). Bounded by what Broadcast accepts of an
origin.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from treecast.base.flows import GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import SourceFilter
from treecast.wire.advertised_groups import GroupsContent, ListedGroup


class _Listing(NamedTuple):
    """Ordered as they count: the lowest first."""

    is_moved: bool
    chunk: int
    wanted: SourceFilter


_rank = itemgetter(0, 1)


class GroupListings:
    """The listings of all other nodes. A chunk touches only the groups that it lists otherwise than before."""

    def __init__(self) -> None:
        self._listed: dict[NodeIndex, dict[GroupKey, tuple[_Listing, ...]]] = {}

    def replace(
        self, node: NodeIndex, chunk: int, before: GroupsContent | None, after: GroupsContent | None
    ) -> list[tuple[GroupKey, SourceFilter | None]]:
        """The chunk lists other groups now; returns those of which the node wants something else, in their order."""
        old, new = _entries(before), _entries(after)
        newly = {entry.order: entry for entry in new - old}
        listed = self._listed.setdefault(node, {})
        changed: list[tuple[GroupKey, SourceFilter | None]] = []
        for order, either in sorted({**{entry.order: entry for entry in old - new}, **newly}.items()):
            group, entry = either.key, newly.get(order)
            were = listed.get(group, ())
            listings = tuple(listing for listing in were if listing.chunk != chunk)
            if entry is not None:
                listings = (*listings, _Listing(entry.is_moved, chunk, entry.source_filter()))
            if listings:
                listed[group] = listings
            else:
                listed.pop(group, None)
            if _wanted(listings) != _wanted(were):
                changed.append((group, _wanted(listings)))
        if not listed:
            del self._listed[node]
        return changed


def _entries(content: GroupsContent | None) -> frozenset[ListedGroup]:
    return frozenset(content.groups) if content is not None else frozenset()


def _wanted(listings: tuple[_Listing, ...]) -> SourceFilter | None:
    return min(listings, key=_rank).wanted if listings else None
