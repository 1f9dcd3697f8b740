"""Decisions about trees that people may ask for: what a plan is, why it is, and who is given no children."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from treecast.base.ids import NodeIndex
from treecast.base.time import Instant


class PlanCause(Enum):
    """The reason for which a tree within bounds was planned anew, in words."""

    FIRST = "it is its first plan"
    MEMBERS = "a member has come, gone, or fallen silent"
    RELAYS = "a relay has come or gone"
    REFUSED = "a relay takes fewer children than it was given"
    PARENT_LOST = "most children of a relay do without it"
    REVIEW = "links or bounds have changed, and a fresh plan is better"


class OneTreeReason(Enum):
    """The reason for which a stream that is to be protected goes by one tree, in words."""

    BOUND = "this node sends it to one node only, and two trees need two"
    PLACES = "relays have not places enough for all members on each of two trees"


@dataclass(frozen=True, slots=True)
class PlanDecision:
    """A plan as it is since ``changed_at``. ``missed``: members without a place, to which the root sends beyond its
    bound. ``why_one``: the stream is to be protected, and is not.
    """

    changed_at: Instant
    cause: PlanCause
    missed: int
    why_one: OneTreeReason | None = None


@dataclass(frozen=True, slots=True)
class RefusedRelay:
    """A node is given ``most`` children at most on any tree of this root, until then."""

    node: NodeIndex
    most: int
    until: Instant
