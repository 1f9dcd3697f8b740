"""Sizes of what ``broadcast`` keeps: of other nodes for tests, and to find a leak; its tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_ORIGINS, MAX_RECORDS_PER_ORIGIN
from treecast.base.tables import TableUse
from treecast.broadcast.consulted_neighbours import ConsultedNeighbours
from treecast.broadcast.link_state import LinkStateDatabase
from treecast.broadcast.own_groups import OwnGroups
from treecast.broadcast.store import Store
from treecast.wire.advertisement import KINDS

FEW = 64
"""Nine tenths of a quota of so few groups are no news: what is beyond is one."""


@dataclass(frozen=True, slots=True)
class BroadcastFootprint:
    """``origins``: nodes whose advertisements are held, this one among them; ``advertisements``: how many of each;
    ``withdrawn``: keys of theirs that are remembered as withdrawn; ``link_states``: nodes whose links are held;
    ``judged``: nodes whose consulted neighbours are; ``unsent``: records that neighbours have not acknowledged, and
    acknowledgements that are due; ``unknown_kinds``: advertisements of kinds of a later version.
    """

    origins: tuple[NodeIndex, ...]
    advertisements: tuple[int, ...]
    withdrawn: int
    neighbours: tuple[NodeIndex, ...]
    link_states: tuple[NodeIndex, ...]
    judged: tuple[NodeIndex, ...]
    unsent: int
    unknown_kinds: int


def footprint_of(
    store: Store,
    link_state: LinkStateDatabase,
    consulted: ConsultedNeighbours,
    neighbours: Sequence[NodeIndex],
    unsent: int,
) -> BroadcastFootprint:
    """Walks all origins."""
    origins = store.origins()
    return BroadcastFootprint(
        tuple(index for index, _ in origins),
        tuple(len(origin.records) for _, origin in origins),
        sum(len(origin.withdrawn_until) for _, origin in origins),
        tuple(neighbours),
        tuple(link_state.held()),
        tuple(consulted.origins()),
        unsent,
        sum(kind not in KINDS for _, origin in origins for kind, _ in origin.records),
    )


def tables_of(store: Store, me: NodeIndex, groups: OwnGroups) -> Iterator[TableUse]:
    """How full the tables are that people can do something about."""
    own = store.get(me)
    advice = "let this node's hosts join fewer groups, or split its LAN between nodes"
    yield TableUse("advertisements of this node", len(own.records) if own else 0, MAX_RECORDS_PER_ORIGIN, advice)
    if groups.quota.groups > FEW:
        yield TableUse("advertised groups of this node", len(groups), groups.quota.groups, advice)
    yield TableUse("nodes known", len(store), MAX_ORIGINS, "split the network")
