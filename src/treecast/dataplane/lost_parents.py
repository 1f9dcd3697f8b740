"""Relays that their children on a root's trees take for dead: what a child reports counts, but not alone nor often.

A relay is lost when most of its children report it. A child names one parent in a minute: who lies makes one
relay none, and only where it is most of its children.
"""

from __future__ import annotations

from collections.abc import Collection

from treecast.base.ids import NodeIndex
from treecast.base.time import Duration, Instant, after

ONE_PARENT_IN: Duration = 60.0
JUST_NAMED: Duration = 3.0
DOUBTED_AGAIN: Duration = 0.9
DOUBTED_FOR: Duration = 10.0
"""A branch that comes into use in between has begun to get something when its child reports that again."""


class LostParents:
    """Which parent each child has named. One entry for each node that is linked."""

    def __init__(self) -> None:
        self._named: dict[NodeIndex, tuple[Instant, NodeIndex]] = {}
        """The end of a child's report, and the parent that it is of."""
        self._doubts: dict[NodeIndex, tuple[Instant, NodeIndex]] = {}
        """The time since which a child has had nothing from a parent."""

    def report(self, now: Instant, child: NodeIndex, parent: NodeIndex, children: Collection[NodeIndex]) -> bool:
        """A child, one of these, reports that their parent is silent. Whether most of them do."""
        until, named = self._named.get(child, (now, parent))
        if named != parent and now < until:
            return False
        self._named[child] = (until if now < until else after(now, ONE_PARENT_IN), parent)
        agreeing = sum(self.names(now, one, parent) for one in children)
        return 2 * agreeing > len(children)

    def has_just_named(self, now: Instant, child: NodeIndex) -> bool:
        """Whether the child has named a parent of its own."""
        until, named = self._named.get(child, (now, child))
        return named != child and until - now > ONE_PARENT_IN - JUST_NAMED

    def doubt(self, now: Instant, child: NodeIndex, parent: NodeIndex) -> bool:
        """A child has had nothing from the parent yet. Whether it reported that before, and long enough ago."""
        since, doubted = self._doubts.get(child, (now, parent))
        if doubted != parent or now - since > DOUBTED_FOR:
            since = now
        self._doubts[child] = (since, parent)
        return now - since >= DOUBTED_AGAIN

    def names(self, now: Instant, child: NodeIndex, parent: NodeIndex) -> bool:
        """Whether the child has named this parent, and that counts."""
        until, named = self._named.get(child, (now, child))
        return named == parent and now < until

    def forget(self, node: NodeIndex) -> None:
        """The node's link is gone."""
        self._named.pop(node, None)
        self._doubts.pop(node, None)
