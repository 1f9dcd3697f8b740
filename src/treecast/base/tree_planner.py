"""Planners of trees choose the parent of each node; whom they leave out is a child of the root."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from treecast.base.ids import NodeIndex


class TreePlanner(Protocol):
    """Plans one tree. ``relays``: nodes that may send on what they do not subscribe to, linked with the root."""

    def __call__(
        self, root: NodeIndex, members: Collection[NodeIndex], relays: Collection[NodeIndex]
    ) -> Mapping[NodeIndex, NodeIndex]: ...


def star(
    root: NodeIndex, members: Collection[NodeIndex], relays: Collection[NodeIndex]
) -> Mapping[NodeIndex, NodeIndex]:
    """Each member is a child of the root."""
    return {}
