"""Trees of this node for which there was no room here or in the data plane: their members, for when they are tried."""

from __future__ import annotations

from collections.abc import Collection

from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.retries import Retries
from treecast.base.time import Instant


class RefusedTrees:
    """The caller bounds it by the table of trees."""

    def __init__(self) -> None:
        self.retries: Retries[Flow | None] = Retries()
        self._members: dict[Flow | None, tuple[NodeIndex, ...]] = {}

    def __contains__(self, flow: Flow | None) -> bool:
        return flow in self._members

    def __len__(self) -> int:
        return len(self._members)

    def put(self, now: Instant, flow: Flow | None, members: Collection[NodeIndex]) -> None:
        """The flow's tree, of these members, was refused."""
        self._members[flow] = tuple(members)
        self.retries.add(now, flow)

    def want(self, flow: Flow | None, members: Collection[NodeIndex] | None) -> None:
        """A tree that was refused is to have these members when it is tried again; None: it is not to be."""
        if members is None:
            del self._members[flow]
            self.retries.discard(flow)
        else:
            self._members[flow] = tuple(members)

    def forget(self, peer: NodeIndex) -> None:
        """The link to a member is gone."""
        for flow, members in self._members.items():
            self._members[flow] = tuple(node for node in members if node != peer)

    def take(self, now: Instant) -> list[tuple[Flow | None, tuple[NodeIndex, ...]]]:
        """The trees to try now; the caller puts again what is refused again."""
        return [(flow, self._members.pop(flow)) for flow in self.retries.take(now)]
