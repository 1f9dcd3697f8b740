"""Ended listings: what chunks of an earlier run of a node listed, which is to end by turns (``plan_work``)."""

from __future__ import annotations

from treecast.base.ids import NodeIndex
from treecast.wire.advertised_groups import GroupsContent


class EndedListings:
    """The ended listings of all nodes: no more of each than Broadcast held, for one ends with each that it lists."""

    def __init__(self) -> None:
        self._chunks: dict[NodeIndex, dict[int, GroupsContent]] = {}

    def __contains__(self, node: NodeIndex) -> bool:
        """Whether something of the node is to end."""
        return node in self._chunks

    def put(self, node: NodeIndex, chunk: int, listed: GroupsContent) -> None:
        """The groups that a chunk listed are to end."""
        self._chunks.setdefault(node, {})[chunk] = listed

    def take(self, node: NodeIndex, chunk: int) -> GroupsContent | None:
        """The node lists the chunk again: what that listed before."""
        chunks = self._chunks.get(node, {})
        listed = chunks.pop(chunk, None)
        if node in self._chunks and not chunks:
            del self._chunks[node]
        return listed

    def next(self, node: NodeIndex) -> tuple[int, GroupsContent] | None:
        """Take the chunk of the node that is to end first."""
        chunk = next(iter(self._chunks.get(node, ())), None)
        listed = None if chunk is None else self.take(node, chunk)
        return None if chunk is None or listed is None else (chunk, listed)
