"""Sizes of what ``links`` keeps of other nodes: for tests, and to find a leak."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.ids import NodeIndex


@dataclass(frozen=True, slots=True)
class LinksFootprint:
    """``pending``: handshakes that others began, by index and by INIT; ``attempts``: the learned nodes that this one
    shakes hands with; ``sought``: all learned nodes; ``peers``: nodes with a session; ``sessions``: of all of them.
    """

    pending: tuple[int, int]
    attempts: tuple[NodeIndex, ...]
    sought: tuple[NodeIndex, ...]
    peers: tuple[NodeIndex, ...]
    sessions: int
