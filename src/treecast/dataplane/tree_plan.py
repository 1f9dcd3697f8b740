"""Plans of trees: who sends a tree's datagrams on to whom. By ``base.tree_planner``'s star, unless the node has a bound
on its children: then ``bounded_planning`` plans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple, Protocol

from treecast.base.ids import NodeIndex, StreamId, TreeEpoch
from treecast.base.limits import MAX_TREE_CHILDREN
from treecast.base.plan_causes import PlanDecision, RefusedRelay
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeMode
from treecast.base.tree_planner import TreePlanner, star
from treecast.dataplane.withholding_relays import WithholdingRelays


@dataclass(frozen=True, slots=True)
class TreePlan:
    """Where nodes are that are not alone below the root. A branch is a child of the root with all below it.

    ``parents``: of all nodes whose parent is not the root. ``children``: of all nodes but the root, ascending.
    """

    parents: Mapping[NodeIndex, NodeIndex] = field(default_factory=dict)
    children: Mapping[NodeIndex, tuple[NodeIndex, ...]] = field(default_factory=dict)
    branch_of: Mapping[NodeIndex, NodeIndex] = field(default_factory=dict)
    """The branch of each node that is in one, by its top."""
    branches: Mapping[NodeIndex, tuple[NodeIndex, ...]] = field(default_factory=dict)
    relays: frozenset[NodeIndex] = frozenset()
    """Nodes in branches that do not subscribe."""
    backups: Mapping[NodeIndex, NodeIndex] = field(default_factory=dict, compare=False)
    """The node that sends to each when its parent is silent; where there is a second parent, that. Other backups alone
    make no other tree.
    """
    backup_children: Mapping[NodeIndex, tuple[NodeIndex, ...]] = field(default_factory=dict, compare=False)
    """The nodes to which each is the backup, ascending."""
    second_parents: Mapping[NodeIndex, NodeIndex] = field(default_factory=dict)
    """The parent of each node on the other one of two trees, which sends all of it, too; it may be the root."""
    root_children: tuple[NodeIndex, ...] = ()
    """The nodes that the root sends to, of two trees. All nodes on these are one branch, by its first node: both trees
    serve them, or none does."""

    @property
    def relaying(self) -> frozenset[NodeIndex]:
        """Nodes that send on, or may have to, or are no subscribers: who leaves is released from its place."""
        return self.relays.union(self.children, self.backup_children)

    def first_hops(self, top: NodeIndex) -> tuple[NodeIndex, ...]:
        """The nodes of a branch that the root sends to."""
        return self.root_children or (top,)

    def watching(self, node: NodeIndex) -> tuple[NodeIndex, ...]:
        """The children of a node that report when it is silent: of two parents a child watches one."""
        return tuple(child for child in self.children.get(node, ()) if self.parents.get(child) == node)

    def copies_of_root(self, members: Collection[NodeIndex]) -> int:
        """The nodes that the root sends to, when these are the members."""
        below = len(self.root_children) if self.root_children else len(self.branches)
        return below + sum(node not in self.branch_of for node in members)


STAR = TreePlan()


def most_at_once(plan: TreePlan, node: NodeIndex) -> int:
    """The children that the node's bound must allow: the first of those whose parent is silent goes beyond it."""
    return children_at_once(plan.children.get(node, ()), plan.backup_children.get(node, ()))


def children_at_once(children: Collection[NodeIndex], backup_children: Collection[NodeIndex]) -> int:
    """The same by the node's place."""
    return len(children) + max(len(backup_children) - 1, 0)


def plan_of(
    root: NodeIndex,
    members: Collection[NodeIndex],
    relays: Collection[NodeIndex],
    wanted: Mapping[NodeIndex, NodeIndex],
    backups: Mapping[NodeIndex, NodeIndex] = MappingProxyType({}),
) -> TreePlan:
    """A planner's answer, as far as it can be: nodes of this tree, in no circle, with so many children as may be.

    A node of which it cannot be, and what would be below it, is a child of the root; a relay with nobody below is none.
    """
    if not wanted:
        return STAR
    above = {node: _way_up(root, node, members, relays, wanted) for node in sorted(members)}
    children: dict[NodeIndex, set[NodeIndex]] = {}
    for node in sorted(above):
        chain = [node, *above[node]]
        new = [(low, high) for low, high in pairwise(chain) if low not in children.get(high, ())]
        if any(len(children.get(high, ())) >= MAX_TREE_CHILDREN for _, high in new):
            continue
        for low, high in new:
            children.setdefault(high, set()).add(low)
    parents = {low: high for high, lows in children.items() for low in lows}
    branch_of: dict[NodeIndex, NodeIndex] = {}
    branches: dict[NodeIndex, list[NodeIndex]] = {}
    for node in sorted({*parents, *children}):
        top = node
        while top in parents:
            top = parents[top]
        branch_of[node] = top
        branches.setdefault(top, []).append(node)
    known = {
        node: backup
        for node, backup in sorted(backups.items())
        if node in parents and backup != parents[node] and (backup in branch_of or backup in members)
        if backups.get(backup) != node and parents.get(backup) != node
    }
    backup_children: dict[NodeIndex, list[NodeIndex]] = {}
    for node, backup in known.items():
        backup_children.setdefault(backup, []).append(node)
    return TreePlan(
        dict(sorted(parents.items())),
        {node: tuple(sorted(lows)) for node, lows in sorted(children.items())},
        branch_of,
        {top: tuple(nodes) for top, nodes in branches.items()},
        frozenset(branch_of).difference(members),
        known,
        {backup: tuple(nodes) for backup, nodes in backup_children.items()},
    )


def plan_of_two(
    root: NodeIndex,
    members: Collection[NodeIndex],
    first: Mapping[NodeIndex, NodeIndex],
    second: Mapping[NodeIndex, NodeIndex],
) -> TreePlan:
    """A plan of two trees with disjoint interiors. Of its parents a node watches one that is not the root; of two such
    ones the one that fewer watch, so that some child reports of nearly every relay that it is silent.
    """
    nodes = tuple(sorted({*first, *second}))
    parents: dict[NodeIndex, NodeIndex] = {}
    seconds: dict[NodeIndex, NodeIndex] = {}
    children: dict[NodeIndex, list[NodeIndex]] = {}
    watching: Counter[NodeIndex] = Counter()
    for node in nodes:
        above = {tree[node] for tree in (first, second) if node in tree}
        for parent in above:
            children.setdefault(parent, []).append(node)
        relays = above - {root}
        if relays:
            parents[node] = watched = min(relays, key=lambda relay: (watching[relay], relay))
            watching[watched] += 1
            seconds.update((node, other) for other in above - {watched})
    root_children = tuple(children.pop(root, ()))
    if not parents:
        return STAR
    return TreePlan(
        parents,
        {node: tuple(below) for node, below in sorted(children.items())},
        dict.fromkeys(nodes, nodes[0]),
        {nodes[0]: nodes},
        frozenset(nodes).difference(members),
        seconds,
        second_parents=seconds,
        root_children=root_children,
    )


def _way_up(
    root: NodeIndex,
    node: NodeIndex,
    members: Collection[NodeIndex],
    relays: Collection[NodeIndex],
    wanted: Mapping[NodeIndex, NodeIndex],
) -> list[NodeIndex]:
    """The nodes between this one and the root, the nearest first; none where the way does not lead there."""
    way: list[NodeIndex] = []
    at = wanted.get(node, root)
    while at != root:
        if at == node or at in way or (at not in relays and at not in members):
            return []
        way.append(at)
        at = wanted.get(at, root)
    return way


class WithPlan(Protocol):
    """A key, with the tree that was made with it."""

    @property
    def plan(self) -> TreePlan: ...

    @property
    def epoch(self) -> TreeEpoch: ...

    def serves(self, node: NodeIndex) -> bool:
        """Whether what goes down the tree is to reach the node."""

    def awaited(self) -> Collection[NodeIndex]:
        """The nodes of two trees that these wait for."""


class LostPlace(NamedTuple):
    """A node does without its parent on the tree of this epoch. ``reason``: see ``base.parent_failures``."""

    stream: StreamId
    epoch: TreeEpoch
    node: NodeIndex
    parent: NodeIndex
    reason: int


class PlannedFor(Protocol):
    """A tree that is planned: who is to be on it, and who of these does not answer."""

    stream: StreamId
    mode: TreeMode
    members: set[NodeIndex]
    mute: set[NodeIndex]
    grafts: int

    @property
    def keys(self) -> Sequence[WithPlan]:
        """The key in use and the next one, each with its tree."""


class TreePlanning:
    """A root's plans of its trees, over the linked nodes that may relay. It knows no links and no bounds."""

    def __init__(self, me: NodeIndex, planner: TreePlanner) -> None:
        self.me = me
        self._planner = planner
        self._relays: set[NodeIndex] = set()
        self.withholding = WithholdingRelays()
        self.replans = 0
        """Trees planned anew as most children of a relay did without it."""

    def set_relay(self, node: NodeIndex, *, may_relay: bool) -> bool:
        """A linked node may relay trees to which it does not subscribe, or not. Whether plans may change by it."""
        if may_relay == (node in self._relays):
            return False
        (self._relays.add if may_relay else self._relays.discard)(node)
        return self._planner is not star

    def set_links(self, node: NodeIndex, chunk: int, links: Sequence[tuple[int, int, int]]) -> None:
        """A chunk of the node's LINKS lists these from now on: node, class of the round trip, class of the loss."""

    def changed(self) -> None:
        """The word of nodes on their children is another."""

    def refuse(self, now: Instant, stream: StreamId, node: NodeIndex, most: int) -> bool:
        """A node takes so many children on a tree, and no more. Whether that changes the plan."""
        return False

    def parent_lost(self, now: Instant, tree: PlannedFor, place: LostPlace) -> bool:
        """A node reports that it does without its parent on a tree. Whether that changes the plan."""
        return False

    def forget(self, stream: StreamId) -> None:
        """There is no such tree any more."""

    def own_children(self) -> int:
        """The children of this node that count in its bound."""
        return 0

    def decision(self, stream: StreamId) -> PlanDecision | None:
        """The plan of a tree within bounds, and why it is; None: there is none, the root sends to all itself."""
        return None

    def refused_relays(self, now: Instant) -> list[RefusedRelay]:
        """Nodes that are given fewer children than they advertise, for now."""
        return []

    def due(self, now: Instant) -> list[StreamId]:
        """The trees that are to be planned again."""
        return []

    def next_deadline(self) -> Instant | None:
        """The time at which ``due`` has something."""
        return None

    def problems(self) -> Iterator[Problem]:
        """Problems of plans that need a person."""
        return iter(())

    def plan(self, now: Instant, tree: PlannedFor) -> TreePlan:
        """The tree of these members as it is to be, without those that do not answer."""
        if tree.mode is TreeMode.REPLICATED:
            return STAR
        answering = tree.members - tree.mute if tree.mute else tree.members
        wanted = self._planner(self.me, answering, self._relays)
        return plan_of(self.me, answering, self._relays - tree.mute, wanted) if wanted else STAR
