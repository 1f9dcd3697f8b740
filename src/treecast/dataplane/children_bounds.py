"""Bounds on children: how many a node may have on one more tree, by its own word and by what the root's trees take.

Decides for one root. What a relay does for other roots it knows itself: it refuses what is too much (``tree_states``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from treecast.base.ids import NodeIndex, StreamId
from treecast.base.plan_causes import RefusedRelay
from treecast.base.relaying import Relaying
from treecast.base.time import Duration, Instant, after
from treecast.base.timers import Timers

CHILDREN_OF_UNKNOWN_UPLINK = 4
"""Children of a node that advertises no uplink, over all trees of one root."""
CHILDREN_OF_A_RELAY = 16
"""No relay has more on one tree, whatever it advertises: who lies loses what is below it, and no more than this."""
REFUSED_FOR: Duration = 60.0
READMITTED_AFTER: Duration = 5.0
"""A relay that was silent for a moment has children again so soon: a busy machine is no dead one."""
READMITTED_ONCE_IN: Duration = 600.0


class ChildrenBounds:
    """The bounds of all nodes, for one root's trees. ``advertised``: by a node, of itself."""

    def __init__(self, me: NodeIndex, own: Relaying, advertised: Callable[[NodeIndex], Relaying]) -> None:
        self._me = me
        self._own = own
        self._advertised = advertised
        self.relayed: Callable[[], int] = lambda: 0
        """Children of this node on the trees of other roots."""
        self._in_all: Counter[NodeIndex] = Counter()
        self._on_tree: dict[StreamId, Mapping[NodeIndex, int]] = {}
        self._refused: dict[NodeIndex, int] = {}
        """Nodes that have refused children for a while, and how many they would take."""
        self._ends: Timers[NodeIndex] = Timers()
        """The time at which each refusal is over."""
        self._readmitted: dict[NodeIndex, Instant] = {}
        """Relays that were readmitted early, and until when that does not happen again."""

    def use(self, stream: StreamId, children: Mapping[NodeIndex, int]) -> None:
        """The stream's tree gives nodes so many children from now on; none to all others."""
        self._in_all.subtract(self._on_tree.pop(stream, {}))
        if children:
            self._on_tree[stream] = children
            self._in_all.update(children)
        self._in_all += Counter()  # nodes without children are none of it

    def of_all_trees(self, node: NodeIndex) -> int:
        """The children of a node on all trees of this root."""
        return self._in_all[node]

    def refuse(self, now: Instant, node: NodeIndex, most: int) -> None:
        """A node takes no more than so many children on a tree of this root, for a while."""
        self._refused[node] = most
        self._ends.set(node, after(now, REFUSED_FOR))

    def readmit(self, now: Instant, node: NodeIndex) -> None:
        """The relay that was lost is there again: it may have children soon, the first time in a while."""
        until, soon = self._ends.deadline(node) or now, after(now, READMITTED_AFTER)
        if until > soon and now >= self._readmitted.get(node, now):
            self._ends.set(node, soon)
            self._readmitted[node] = after(now, READMITTED_ONCE_IN)

    def forget(self, node: NodeIndex) -> None:
        """The node's link is gone."""
        self._refused.pop(node, None)
        self._ends.cancel(node)
        self._readmitted.pop(node, None)

    def refused(self, now: Instant) -> list[RefusedRelay]:
        """Nodes that get fewer children than they advertise, for now."""
        return [
            RefusedRelay(node, most, self._ends.deadline(node) or now) for node, most in sorted(self._refused.items())
        ]

    def end_refusals(self, now: Instant) -> bool:
        """Nodes that refused children may have them again when their time has come. Whether there are any."""
        over = self._ends.due(now)
        for node in over:
            del self._refused[node]
        return bool(over)

    def next_end(self) -> Instant | None:
        """The time at which ``end_refusals`` has any."""
        return self._ends.next()

    def most(self, node: NodeIndex, stream: StreamId) -> int:
        """The most children of the node on the stream's tree. The root sends each stream once at least."""
        elsewhere = self._in_all[node] - self._on_tree.get(stream, {}).get(node, 0)
        if node == self._me:
            return max(_bound(self._own) - elsewhere - self.relayed(), 1)
        most = min(_bound(self._advertised(node)) - elsewhere, CHILDREN_OF_A_RELAY)
        return max(min(most, self._refused.get(node, most)), 0)


def _bound(relaying: Relaying) -> int:
    return CHILDREN_OF_UNKNOWN_UPLINK if relaying.max_children is None else relaying.max_children
