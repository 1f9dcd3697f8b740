"""States of trees that roots have offered, until the node accepts or refuses them, by number: as in the data plane."""

from __future__ import annotations

from dataclasses import dataclass, field

from treecast.base.ids import NodeIndex, StreamId, TreeEpoch
from treecast.sim.datagrams import TreeState

_PendingTree = tuple[NodeIndex, StreamId, TreeEpoch]


@dataclass(slots=True)
class PendingStates:
    """The newest of each tree is last."""

    of_trees: dict[_PendingTree, dict[int, TreeState]] = field(default_factory=dict)
    newest: int = 0

    def add(self, root: NodeIndex, state: TreeState) -> int:
        """Its number: that of the tree's newest, where that says the same, or another one."""
        of_tree = self.of_trees.setdefault((root, state.stream, state.epoch), {})
        last = next(reversed(of_tree), 0)
        if of_tree.get(last) != state:
            self.newest += 1
            last = self.newest
        of_tree[last] = state
        return last

    def take(self, root: NodeIndex, stream: StreamId, epoch: TreeEpoch, number: int) -> TreeState:
        """The state, which is gone then, with older ones of its tree; KeyError where it is not there."""
        key = (root, stream, epoch)
        of_tree = self.of_trees.get(key, {})
        later = {of: state for of, state in of_tree.items() if of > number}
        if later:
            self.of_trees[key] = later
        else:
            self.of_trees.pop(key, None)
        return of_tree[number]

    def discard(self, root: NodeIndex, stream: StreamId, epoch: TreeEpoch, number: int) -> None:
        """The same with one that may be gone."""
        if number in self.of_trees.get((root, stream, epoch), {}):
            self.take(root, stream, epoch, number)

    def forget(self, root: NodeIndex) -> None:
        """All states of a root."""
        self.of_trees = {key: of_tree for key, of_tree in self.of_trees.items() if key[0] != root}
