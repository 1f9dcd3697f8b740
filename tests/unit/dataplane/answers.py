"""Answers of a node to the root of a tree."""

from __future__ import annotations

from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Instant
from treecast.dataplane.root_trees import RootTrees


def take(trees: RootTrees, now: Instant, node: NodeIndex, stream: StreamId, key_id: int) -> None:
    """The node acknowledges a sender key, and the tree that was made with it, whose epoch has the same number."""
    trees.key_acknowledgement(now, node, stream, KeyId(key_id))
    trees.tree_acknowledgement(now, node, stream, TreeEpoch(key_id))
