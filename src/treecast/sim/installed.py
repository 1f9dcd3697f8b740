"""The model's tables of trees, as the real data plane shows them (``base.installed_trees``)."""

from __future__ import annotations

from collections.abc import Sequence

from treecast.base.ids import NodeIndex, StreamId, TreeEpoch
from treecast.base.installed_trees import InstalledPlace, InstalledRoot, InstalledStream, Volume
from treecast.sim.datagrams import TreeState
from treecast.sim.forwarder import ModelForwarder


class InstalledTables:
    """The tables of one node's forwarder. Frames of the model have no length."""

    def __init__(self, forwarder: ModelForwarder) -> None:
        self._forwarder = forwarder

    def installed_stream(self, root: NodeIndex, stream: StreamId) -> InstalledStream | None:
        """A stream of another root; None: nothing of it is installed."""
        found = self._forwarder.streams.get((root, stream))
        if found is None:
            return None
        places = [self._place(root, stream, epoch, state) for epoch, state in sorted(found.trees.items())]
        return InstalledStream((found.came, 0), places)

    def installed_root(self, stream: StreamId) -> InstalledRoot | None:
        """A tree of this node's."""
        tree = self._forwarder.trees.get(stream)
        if tree is None:
            return None
        routed = tuple(node for node in tree.next_hops if node in self._forwarder.node_routes)
        next_hops = tuple(node for node in tree.next_hops if node not in routed)
        return InstalledRoot(tree.epoch, tree.key_id, next_hops, tree.replicate + routed, tree.beyond)

    def sent_by_streams(self, streams: Sequence[StreamId]) -> dict[StreamId, Volume]:
        """The frames that took these streams' trees."""
        trees = self._forwarder.trees
        return {stream: (trees[stream].taken, 0) for stream in streams if stream in trees}

    def _place(self, root: NodeIndex, stream: StreamId, epoch: TreeEpoch, state: TreeState) -> InstalledPlace:
        name, forwarder = (root, stream, epoch), self._forwarder
        next_hops = forwarder.next_hops(name, state)
        since_s = forwarder.underlay.now - forwarder.placed_at.get(name, forwarder.underlay.now)
        return InstalledPlace(
            epoch, state.key_id, state.parent, state.backup, next_hops, forwarder.graft_of(name), since_s
        )
