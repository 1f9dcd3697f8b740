"""Members that leave a tree again and again: each time its root makes keys anew, and its other members get them.

It costs them one change of keys a second at most (``key_times.ROTATION_INTERVAL``); whose doing it is, is for people.
One that leaves too often by itself is noted as such; of those that take turns, all of which come back, one problem has
the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treecast.base.bounded_table import BoundedTable
from treecast.base.counters import KEYS_MADE_ANEW, Drops
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.last_minute import LastMinute
from treecast.base.limits import MAX_RESTLESS_MEMBERS, MAX_RESTLESS_TREES
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.dataplane.root_tree import RootTree

USUAL = 10
"""Leaves of one tree by one node within a minute: programs that start again, somebody who looks through all groups."""
RETURNS = 3
"""Leaves of one tree by one node within a minute, so many that it has come back twice, as no audience does."""
USUAL_TOGETHER = 15
"""Seconds of a minute in which members leave one tree that come back, each no more often than is usual."""
_NAMED = 8


class _Tree:
    """Leaves of one tree by members that come back."""

    __slots__ = ("is_named", "leaves")

    def __init__(self) -> None:
        self.leaves = LastMinute()
        self.is_named = False
        """Named until none left for a minute, or none has come back twice within one."""

    def look(self, now: Instant) -> bool:
        """Whether anything is left of the last minute."""
        self.leaves.expire(now)
        self.is_named = self.is_named or self.leaves.seconds > USUAL_TOGETHER
        return self.leaves.total > 0


class RestlessMembers:
    """How often each node has left each tree within the last minute. Of too many the one of longest ago makes room."""

    def __init__(self, drops: Drops) -> None:
        """``drops``: where more than the usual is noted as its node's, for ``daemon.refused_nodes``."""
        self._drops = drops
        self._left: BoundedTable[tuple[Flow | None, NodeIndex], LastMinute] = BoundedTable(MAX_RESTLESS_MEMBERS)
        self._trees: BoundedTable[Flow | None, _Tree] = BoundedTable(MAX_RESTLESS_TREES)

    def left(self, now: Instant, tree: RootTree, *nodes: NodeIndex) -> None:
        """Members left the tree. Where it has handed out no key, none is made anew."""
        if not tree.hands_out_keys:
            return
        for node in sorted(nodes):
            times = self._left.get((tree.flow, node)) or LastMinute()
            self._left.put((tree.flow, node), times)
            times.add(now, 1)
            if times.total > USUAL:
                self._drops.note_of(node, KEYS_MADE_ANEW, times.total if times.total == USUAL + 1 else 1)
            elif times.total >= RETURNS:
                self._left_with_others(now, tree.flow)

    def _left_with_others(self, now: Instant, flow: Flow | None) -> None:
        tree = self._trees.get(flow) or _Tree()
        tree.leaves.add(now, 1)
        self._trees.put(flow, tree)

    def problems(self, now: Instant, name: Callable[[NodeIndex], str]) -> Iterator[Problem]:
        """One for each tree that members leave by turns. ``name``: of a node, with its address."""
        for flow in [flow for flow, tree in self._trees.items() if not tree.look(now)]:
            del self._trees[flow]
        for flow, tree in self._trees.items():
            members = self._who_leave(now, flow) if tree.is_named else []
            if members:
                what = "broadcast" if flow is None else _name(flow)
                yield Problem("keys_made_anew", what, _sentence(what, tree.leaves.seconds, members, name))

    def _who_leave(self, now: Instant, flow: Flow | None) -> list[tuple[int, NodeIndex]]:
        """Members that come back to the flow's tree, and how often each has left; first who did most."""
        found = []
        for (of, node), times in self._left.items():
            if of == flow:
                times.expire(now)
                if RETURNS <= times.total <= USUAL:
                    found.append((times.total, node))
        return sorted(found, key=lambda entry: (-entry[0], entry[1]))


def _name(flow: Flow) -> str:
    source = f" from {flow.source}" if flow.source is not None else ""
    vlan = f" in VLAN {flow.vlan}" if flow.vlan else ""
    return f"group {flow.prefix or flow.group}{source}{vlan}"


def _sentence(what: str, seconds: int, members: list[tuple[int, NodeIndex]], name: Callable[[NodeIndex], str]) -> str:
    who = ", ".join(f"{name(node)} {times} times" for times, node in members[:_NAMED])
    more = f", and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    return (
        f"members of the tree of {what} leave it by turns and come back, in {seconds} seconds of the last minute, and "
        f"keys were made anew for each: {who}{more}: look there for programs that join and leave all the time, or find "
        "out what runs there, and where they are members that lie, run treecast node revoke NAME for each"
    )
