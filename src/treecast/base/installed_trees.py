"""Trees as they are installed in the data plane, for those who trace them. Read at each query, and not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from treecast.base.ids import KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.time import Duration

Volume = tuple[int, int]
"""Packets and bytes."""


@dataclass(frozen=True, slots=True)
class InstalledPlace:
    """This node's place on another root's tree. ``next_hops``: those that have grafted here among them; ``graft``: 0:
    this node has not, 1: it has, and nothing has come from its parent since, 2: its parent sends, too.
    """

    epoch: TreeEpoch
    key_id: KeyId
    parent: NodeIndex
    backup: NodeIndex
    next_hops: tuple[NodeIndex, ...]
    graft: int
    since_s: Duration


@dataclass(frozen=True, slots=True)
class InstalledStream:
    """A stream of another root: what has come of it, and the places on its trees, the lower epoch first."""

    received: Volume
    places: Sequence[InstalledPlace]


@dataclass(frozen=True, slots=True)
class InstalledRoot:
    """A tree of this node: who gets it, by the tree from here or from others, or as copies."""

    epoch: TreeEpoch
    key_id: KeyId
    next_hops: tuple[NodeIndex, ...]
    copied: tuple[NodeIndex, ...]
    beyond: tuple[NodeIndex, ...]


class InstalledTrees(Protocol):
    """The data plane's tables of trees."""

    def installed_stream(self, root: NodeIndex, stream: StreamId) -> InstalledStream | None:
        """A stream of another root; None: nothing of it is installed."""

    def installed_root(self, stream: StreamId) -> InstalledRoot | None:
        """A tree of this node's."""

    def sent_by_streams(self, streams: Sequence[StreamId]) -> dict[StreamId, Volume]:
        """The frames that hosts of this node sent to these streams' groups, once each, however many nodes get them."""


class NothingInstalled:
    """The tables where there is no data plane."""

    def installed_stream(self, root: NodeIndex, stream: StreamId) -> InstalledStream | None:
        """None."""
        return None

    def installed_root(self, stream: StreamId) -> InstalledRoot | None:
        """None."""
        return None

    def sent_by_streams(self, streams: Sequence[StreamId]) -> dict[StreamId, Volume]:
        """None."""
        return {}
