"""``treecast up`` with trees that are planned by hand: all members below one node.

The program takes that node's index, then ``up`` and the directory. It starts the daemon itself; only its planner is
another than the usual one.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from treecast.base.addresses import ALL_GROUPS
from treecast.base.ids import NodeIndex
from treecast.daemon.options import UpOptions
from treecast.daemon.run import run


class Below:
    """A plan of two levels: the root, one node below it, and everybody else below that one."""

    def __init__(self, middle: NodeIndex) -> None:
        self._middle = middle

    def __call__(
        self, root: NodeIndex, members: Collection[NodeIndex], relays: Collection[NodeIndex]
    ) -> Mapping[NodeIndex, NodeIndex]:
        return {node: self._middle for node in members if node != self._middle}


def main() -> None:
    """Run the node until a signal ends it."""
    middle, _, directory = sys.argv[1:4]
    planner = Below(NodeIndex(int(middle)))
    run(UpOptions(Path(directory), (), (), "treecast0", ALL_GROUPS, "info", planner=planner))


if __name__ == "__main__":
    main()
