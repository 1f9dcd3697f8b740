"""Sizes of what ``broadcast`` keeps of other nodes: for tests, and to find a leak."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import NodeIndex


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
