"""The trees of other roots that this node is on: which keys it takes, and when it leaves.

Decides by what the local hosts want now. Read ``docs/protocol.md`` section 6 first.
"""

from __future__ import annotations

from dataclasses import dataclass

from treecast.base.commands import AcceptKey, Command, RefuseKey, RemoveMemberTree, SendControl
from treecast.base.counters import Drops
from treecast.base.errors import MalformedError
from treecast.base.events import KeyOffered
from treecast.base.flows import BROADCAST, Flow, GroupKey
from treecast.base.ids import BROADCAST_TREE, NodeIndex, TreeEpoch, TreeId
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Duration, Instant, after, earliest
from treecast.wire.control import KeyTaken, emit_control
from treecast.wire.key_context import parse_context

MAX_MEMBER_TREES = 65_536

LINGER: Duration = 10.0
"""A tree's keys outlive the last wish for it: who leaves and joins again at once may look to the root as if nothing
had happened, and then the root offers no key. By the end of this time it has heard of the leave."""


@dataclass(frozen=True, slots=True)
class MemberTree:
    root: NodeIndex
    tree_id: TreeId
    epoch: TreeEpoch
    flow: Flow | None


class MemberTrees:
    """Methods append to ``commands``; the caller empties it."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._trees: dict[tuple[NodeIndex, TreeId], MemberTree] = {}
        self._wanted: dict[GroupKey, SourceFilter] = {}
        self._unwanted_until: dict[tuple[NodeIndex, TreeId], Instant] = {}
        self.commands: list[Command] = []

    def want(self, now: Instant, group: GroupKey, wanted: SourceFilter) -> None:
        """What the local hosts want of a group from now on."""
        if wanted.wants_nothing:
            self._wanted.pop(group, None)
        else:
            self._wanted[group] = wanted
        for key, tree in self._trees.items():
            if tree.flow is None or (tree.flow.vlan, tree.flow.group) != group:
                continue
            if self._wants(tree.flow):
                self._unwanted_until.pop(key, None)
            else:
                self._unwanted_until.setdefault(key, after(now, LINGER))

    def advance(self, now: Instant) -> None:
        """Leave the trees that nobody here has wanted for a while."""
        for key in [key for key, until in self._unwanted_until.items() if until <= now]:
            self._leave(self._trees[key])

    def next_deadline(self) -> Instant | None:
        return earliest(*self._unwanted_until.values())

    def offered(self, offer: KeyOffered) -> None:
        """A root offers the key of one of its trees."""
        try:
            flow = parse_context(offer.context)
            self._take(offer, flow)
        except MalformedError as error:
            self._drops.count(error.reason)
            self.commands.append(RefuseKey(offer.root, offer.tree_id, offer.epoch, offer.key_id))

    def forget(self, root: NodeIndex) -> None:
        """The root is gone; the data plane forgets its trees by itself."""
        for key in [key for key in self._trees if key[0] == root]:
            del self._trees[key]
            self._unwanted_until.pop(key, None)

    def flow_of(self, root: NodeIndex, tree_id: TreeId) -> Flow | None:
        tree = self._trees.get((root, tree_id))
        return tree.flow if tree else None

    def _take(self, offer: KeyOffered, flow: Flow | None) -> None:
        if (flow is BROADCAST) != (offer.tree_id == BROADCAST_TREE):
            raise MalformedError("key_context_malformed")
        if flow is not None and not self._wants(flow):
            raise MalformedError("key_not_wanted")
        known = self._trees.get((offer.root, offer.tree_id))
        if known is None and len(self._trees) >= MAX_MEMBER_TREES:
            raise MalformedError("member_tree_table_full")
        if known is not None and known.epoch != offer.epoch:
            self._leave(known)
        self._unwanted_until.pop((offer.root, offer.tree_id), None)
        self._trees[(offer.root, offer.tree_id)] = MemberTree(offer.root, offer.tree_id, offer.epoch, flow)
        self.commands.append(AcceptKey(offer.root, offer.tree_id, offer.epoch, offer.key_id))
        taken = KeyTaken(offer.tree_id, offer.epoch, offer.key_id)
        self.commands.append(SendControl(offer.root, emit_control(taken)))

    def _wants(self, flow: Flow) -> bool:
        wanted = self._wanted.get((flow.vlan, flow.group), NO_SOURCE)
        if flow.source is None:
            return wanted.mode is FilterMode.EXCLUDE
        return wanted.accepts(flow.source)

    def _leave(self, tree: MemberTree) -> None:
        del self._trees[(tree.root, tree.tree_id)]
        self._unwanted_until.pop((tree.root, tree.tree_id), None)
        self.commands.append(RemoveMemberTree(tree.root, tree.tree_id, tree.epoch))
