"""Attended trees: those that a link that comes or goes is to be followed on at once.

These are trees that frames have taken, for their keys are out, and those of broadcast and of prefixes, which are few.
How many groups another node subscribes to makes none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from treecast.base.flows import GroupKey
from treecast.base.ids import StreamId
from treecast.dataplane.root_tree import RootTree


class AttendedTrees:
    """A root's."""

    def __init__(self) -> None:
        self._trees: dict[StreamId, RootTree] = {}
        self._groups: dict[GroupKey, int] = {}
        self.groups: Mapping[GroupKey, int] = self._groups
        """The groups with trees that frames have taken, and how many of each, as they are at each moment."""

    def __iter__(self) -> Iterator[RootTree]:
        return iter(self._trees.values())

    @property
    def streams(self) -> tuple[StreamId, ...]:
        return tuple(self._trees)

    def created(self, tree: RootTree) -> None:
        if tree.group is None:
            self._trees[tree.stream] = tree

    def used(self, tree: RootTree) -> None:
        """The first frame has taken it."""
        self._trees[tree.stream] = tree
        if tree.group is not None:
            self._groups[tree.group] = self._groups.get(tree.group, 0) + 1

    def removed(self, tree: RootTree) -> None:
        self._trees.pop(tree.stream, None)
        if tree.used and tree.group is not None:
            self._groups[tree.group] -= 1
            if not self._groups[tree.group]:
                del self._groups[tree.group]
