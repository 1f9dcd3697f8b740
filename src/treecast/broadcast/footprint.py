"""Sizes of what ``broadcast`` keeps of other nodes: for tests, and to find a leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from treecast.base.ids import NodeIndex
from treecast.broadcast.consulted_neighbours import ConsultedNeighbours
from treecast.broadcast.link_state import LinkState
from treecast.broadcast.store import Store
from treecast.wire.advertisement import KINDS


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
    link_state: LinkState,
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
