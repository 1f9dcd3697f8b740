"""Trees with bounds on each node's children, planned over the links that nodes advertise: request and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from treecast.base.ids import NodeIndex


class EligibleNode(NamedTuple):
    """A node that may be on a tree. Who does not want the datagrams relays where that is worth it."""

    node: NodeIndex
    most_children: int
    copy_us: int
    """A copy takes so long to leave."""
    is_member: bool


@dataclass(frozen=True, slots=True)
class TreeRequest:
    """``nodes``: ascending, each node once, the root among them. ``kept``: the parents of the tree that there is
    already, which is changed as little as can be; None: a tree is planned from nothing.
    """

    root: NodeIndex
    nodes: Sequence[EligibleNode]
    kept: Mapping[NodeIndex, NodeIndex] | None = None


@dataclass(frozen=True, slots=True)
class PlannedTree:
    """``parents``: of all nodes on it but the root. ``mean_us``: the members' delay; ``missed``: members not on it.
    ``backups``: of nodes that have one, who sends to them when their parent is gone.
    """

    parents: Mapping[NodeIndex, NodeIndex]
    mean_us: int
    missed: int
    backups: Mapping[NodeIndex, NodeIndex] = field(default_factory=dict)


PlannedPair = tuple[PlannedTree, PlannedTree]
PairParents = tuple[Mapping[NodeIndex, NodeIndex], Mapping[NodeIndex, NodeIndex]]


class LinkPlanner(Protocol):
    """Plans trees over the links that it is given."""

    def set_links(self, node: NodeIndex, chunk: int, links: Sequence[tuple[int, int, int]]) -> None:
        """A chunk of the node's LINKS lists these from now on: node, class of the round trip, class of the loss."""

    def plan(self, request: TreeRequest) -> PlannedTree:
        """The tree within its bounds that reaches members soon."""

    def plan_pair(self, request: TreeRequest, kept: PairParents | None = None) -> PlannedPair:
        """Two such trees of which each node, but the root, has children on one alone, and no backups. The root's bound
        is split. ``kept`` (the request's counts for nothing): of the trees that there are already.
        """
