"""Members that leave a tree again and again: each time its root makes keys anew, and its other members get them.

It costs them one change of keys a second at most (``key_times.ROTATION_INTERVAL``); whose doing it is, is for people.
"""

from __future__ import annotations

from treecast.base.bounded_table import BoundedTable
from treecast.base.counters import KEYS_MADE_ANEW, Drops
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import LastMinute
from treecast.base.limits import MAX_RESTLESS_MEMBERS
from treecast.base.time import Instant

USUAL = 10
"""Leaves of one tree by one node within a minute: programs that start again, somebody who looks through all groups."""


class RestlessMembers:
    """How often each node has left each tree within the last minute. Of too many the one of longest ago makes room."""

    def __init__(self, drops: Drops) -> None:
        """``drops``: where more than the usual is noted as its node's, for ``daemon.refused_nodes``."""
        self._drops = drops
        self._left: BoundedTable[tuple[Flow | None, NodeIndex], LastMinute] = BoundedTable(MAX_RESTLESS_MEMBERS)

    def left(self, now: Instant, flow: Flow | None, *nodes: NodeIndex) -> None:
        """Members left the flow's tree."""
        for node in sorted(nodes):
            times = self._left.get((flow, node)) or LastMinute()
            self._left.put((flow, node), times)
            times.add(now, 1)
            if times.total > USUAL:
                self._drops.note_of(node, KEYS_MADE_ANEW, times.total if times.total == USUAL + 1 else 1)
