"""A tree as it should be: what ``topology`` decides and ``dataplane`` installs."""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.topology.group_plan import NOBODY


@dataclass(frozen=True, slots=True)
class WantedTree:
    """``members`` None: there should be none; empty: its frames are to be dropped.

    ``lost``: nodes whose link was lost since the tree was wanted last: it has them no more, or anew.
    """

    flow: Flow | None
    members: tuple[NodeIndex, ...] | None
    lost: frozenset[NodeIndex] = NOBODY
