"""A root's plans of its trees over measured links, with a bound on each node's children.

Decides when a tree is planned anew, and which of two plans it follows: who joins takes the best free place, who leaves
frees one, and a tree that has become much worse than a fresh plan gives way to that. Where places are short the root
sends to the rest itself. Planning itself is the planner's (``base.planned_tree``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from treecast.base.ids import BROADCAST_STREAM, NodeIndex, StreamId
from treecast.base.parent_failures import ParentFailure
from treecast.base.plan_causes import OneTreeReason, PlanCause, PlanDecision, RefusedRelay
from treecast.base.planned_tree import EligibleNode, LinkPlanner, PlannedPair, PlannedTree, TreeRequest
from treecast.base.problems import Problem
from treecast.base.time import Duration, Instant, after, earliest
from treecast.base.tree_modes import TreeMode
from treecast.base.tree_planner import star
from treecast.dataplane.children_bounds import ChildrenBounds
from treecast.dataplane.lost_parents import LostParents
from treecast.dataplane.stragglers import Stragglers
from treecast.dataplane.tree_plan import (
    STAR,
    LostPlace,
    PlannedFor,
    TreePlan,
    TreePlanning,
    most_at_once,
    plan_of,
    plan_of_two,
)

FULL_PLAN_INTERVAL: Duration = 10.0
WORSE_PERCENT = 115
"""A tree whose members' mean delay is beyond that of a fresh plan by so much gives way to it."""
COPY_US = 100
"""A copy takes so long to leave a node."""
RETRY_INTERVAL: Duration = 2.0
"""A tree with members that have no place is planned again so soon."""
REVIEW_INTERVAL: Duration = 0.2
REVIEWED_AT_ONCE = 4
"""A plan of 1,000 nodes takes some milliseconds: these are a few percent of a core, however many trees there are."""


@dataclass(slots=True)
class _Held:
    """A tree as it was planned last. ``full_at``: when from nothing, too."""

    answering: frozenset[NodeIndex]
    planned: PlannedTree
    plan: TreePlan
    full_at: Instant
    changed_at: Instant
    cause: PlanCause
    pair: PlannedPair | None = None
    """The two trees of a protected stream; ``planned`` is the first."""
    why_one: OneTreeReason | None = None
    stale_because: PlanCause | None = None
    is_settled: bool = False
    """The key in use is this plan's: nobody has children by an older one."""

    @property
    def lacks_places(self) -> bool:
        return bool(self.planned.missed) or self.why_one is not None

    @property
    def review_at(self) -> Instant:
        return after(self.full_at, RETRY_INTERVAL if self.lacks_places else FULL_PLAN_INTERVAL)


class BoundedPlanning(TreePlanning):
    """Plans within bounds. The broadcast tree stays a star, and counts in no bound; one that is replicated stays one,
    and counts.
    """

    def __init__(self, me: NodeIndex, planner: LinkPlanner, bounds: ChildrenBounds) -> None:
        super().__init__(me, star)
        self.bounds = bounds
        self._link_planner = planner
        self._held: dict[StreamId, _Held] = {}
        self._lost_parents = LostParents()
        self._to_review: dict[StreamId, None] = {}
        self._next_review: Instant | None = None
        self._missed = 0
        """Members without a place, over all trees."""
        self._stragglers = Stragglers()

    def decision(self, stream: StreamId) -> PlanDecision | None:
        """The plan of a tree, and why it is."""
        held = self._held.get(stream)
        return None if held is None else PlanDecision(held.changed_at, held.cause, held.planned.missed, held.why_one)

    def refused_relays(self, now: Instant) -> list[RefusedRelay]:
        """Nodes that are given fewer children than they advertise, for now."""
        return self.bounds.refused(now)

    def own_children(self) -> int:
        """The children of this node on its own trees."""
        return self.bounds.of_all_trees(self.me)

    def set_links(self, node: NodeIndex, chunk: int, links: Sequence[tuple[int, int, int]]) -> None:
        """A chunk of the node's LINKS lists these from now on."""
        self._link_planner.set_links(node, chunk, links)
        self.changed()

    def changed(self) -> None:
        """Links or bounds are others: trees are held against a fresh plan, each when its time has come."""
        if len(self._to_review) < len(self._held):
            self._to_review |= dict.fromkeys(self._held)
            self._next_review = None

    def set_relay(self, node: NodeIndex, *, may_relay: bool) -> bool:
        """A linked node may relay, or may no more. Whether plans are to be looked at at once."""
        if may_relay == (node in self._relays):
            return False
        super().set_relay(node, may_relay=may_relay)
        if may_relay:
            self.changed()
        else:
            self.bounds.forget(node)
            self._lost_parents.forget(node)
        found = False
        for held in self._held.values():
            if held.lacks_places if may_relay else node in held.plan.children:
                found, held.stale_because = True, PlanCause.RELAYS
        return found

    def refuse(self, now: Instant, stream: StreamId, node: NodeIndex, most: int) -> bool:
        """A node takes so many children on the stream's tree, and no more. Whether that is fewer than planned."""
        held = self._held.get(stream)
        if held is None or most_at_once(held.plan, node) <= most:
            return False
        self.bounds.refuse(now, node, most)
        held.stale_because = PlanCause.REFUSED
        return True

    def parent_lost(self, now: Instant, tree: PlannedFor, place: LostPlace) -> bool:
        """A node does without its parent. Where most of the parent's children do, it has none for a while."""
        _, epoch, node, parent, reason = place
        if reason == ParentFailure.RETURNED:
            if self._lost_parents.names(now, node, parent):
                self.withholding.returned(now, parent, self.me)
                self.bounds.readmit(now, parent)
            return False
        held = self._held.get(tree.stream)
        key = next((key for key in tree.keys if key.epoch == epoch), None)
        if held is None or key is None or key.plan.parents.get(node) != parent:
            return False
        if reason == ParentFailure.SENDS_NOTHING:
            in_use = key is tree.keys[0] and key.serves(node)  # else it is not to come by this tree
            if not in_use or not self._lost_parents.doubt(now, node, parent):
                return False
        tree.grafts += reason != ParentFailure.SENDS_NOTHING
        if self._lost_parents.has_just_named(now, parent):
            return False  # what the parent has not, it cannot send on
        if not self._lost_parents.report(now, node, parent, key.plan.watching(parent)):
            return False
        silent = reason not in (ParentFailure.WITHHOLDS, ParentFailure.SENDS_NOTHING)
        self.withholding.found(now, parent, self.me, silent=silent)
        if parent not in held.plan.children:
            return False
        self.bounds.refuse(now, parent, 0)
        held.stale_because = PlanCause.PARENT_LOST
        self.replans += 1
        return True

    def forget(self, stream: StreamId) -> None:
        """There is no such tree any more."""
        self.bounds.use(stream, {})
        held = self._held.pop(stream, None)
        if held is not None:
            self._missed -= held.planned.missed
            self._stragglers.forget(stream)
            self._to_review.pop(stream, None)

    def plan(self, now: Instant, tree: PlannedFor) -> TreePlan:
        """The tree as it is to be, without those that do not answer."""
        stream, mute = tree.stream, tree.mute
        if stream == BROADCAST_STREAM:
            return STAR
        answering = tree.members - mute if mute else tree.members
        if tree.mode is TreeMode.REPLICATED:
            self.bounds.use(stream, {self.me: len(answering)})
            return STAR
        held = self._held.get(stream)
        if held is not None and held.pair is not None:
            self._leave_out_stragglers(now, tree, held)
        if held is not None and held.stale_because is None and held.answering == answering:
            self._count_children(tree, held)
            return held.plan
        made = self._made(now, tree, answering, held)
        self._missed += made.planned.missed - (held.planned.missed if held else 0)
        if held is not None and held.plan == made.plan:
            made.changed_at, made.cause = held.changed_at, held.cause
        self._held[stream] = made
        self._count_children(tree, made)
        if made.lacks_places:
            self._to_review[stream] = self._next_review = None
        return made.plan

    def _made(self, now: Instant, tree: PlannedFor, answering: Set[NodeIndex], held: _Held | None) -> _Held:
        """The tree of these members as it is to be: two, where it is to be protected, can, and needs relays at all."""
        members, relays, stream = frozenset(answering), self._relays - tree.mute, tree.stream
        cause = PlanCause.FIRST if held is None else held.stale_because or PlanCause.MEMBERS
        why_one: OneTreeReason | None = None
        if tree.mode is TreeMode.PROTECTED:
            alone = self._link_planner.plan(TreeRequest(self.me, self._eligible(stream, members, frozenset())))
            if not alone.missed:
                return _Held(members, alone, STAR, now, now, cause)
            pair, full_at = self._planned_pair(now, stream, members, relays, held)
            if pair is not None:
                one, other = pair
                plan = plan_of_two(self.me, members, one.parents, other.parents)
                return _Held(members, one, plan, full_at, now, cause, pair)
            why_one = OneTreeReason.PLACES if self.bounds.most(self.me, stream) > 1 else OneTreeReason.BOUND
        planned, full_at = self._planned(now, self._eligible(stream, members, relays), held)
        wanted = {node: parent for node, parent in planned.parents.items() if parent != self.me}
        plan = plan_of(self.me, members, relays, wanted, planned.backups)
        return _Held(members, planned, plan, full_at, now, cause, None, why_one)

    def _leave_out_stragglers(self, now: Instant, tree: PlannedFor, held: _Held) -> None:
        """Both trees wait for all their nodes: who keeps the others waiting for long gets copies instead."""
        key = next((key for key in tree.keys[:1] if key.plan == held.plan), None)
        late = self._stragglers.of(now, tree.stream, key.awaited() if key is not None else ())
        for node in late:
            self.bounds.refuse(now, node, 0)
            held.stale_because = PlanCause.REFUSED

    def _count_children(self, tree: PlannedFor, held: _Held) -> None:
        """Nodes have the children of the tree's next key beside those of the key in use, while there are two."""
        if held.is_settled:
            return
        children: dict[NodeIndex, int] = {}
        plans = [held.plan, *(key.plan for key in tree.keys)]
        for plan in plans:
            of_root = plan.copies_of_root(held.answering)
            for node, count in ((self.me, of_root), *((node, len(below)) for node, below in plan.children.items())):
                children[node] = max(children.get(node, 0), count)
        self.bounds.use(tree.stream, children)
        held.is_settled = all(plan == held.plan for plan in plans)

    def _eligible(self, stream: StreamId, answering: Set[NodeIndex], relays: Set[NodeIndex]) -> list[EligibleNode]:
        return [
            EligibleNode(
                node,
                self.bounds.most(node, stream) if node in relays or node == self.me else 0,
                COPY_US,
                node in answering,
            )
            for node in sorted({self.me, *answering, *relays})
        ]

    def _planned(self, now: Instant, nodes: list[EligibleNode], held: _Held | None) -> tuple[PlannedTree, Instant]:
        """The tree that there is, changed as little as can be, unless a fresh plan reaches more members, or reaches
        them much sooner and the last one is long ago; and when the last fresh one was.
        """
        if held is None or held.pair is not None:
            return self._link_planner.plan(TreeRequest(self.me, nodes)), now
        kept = self._link_planner.plan(TreeRequest(self.me, nodes, held.planned.parents))
        if not kept.missed and now < held.review_at:
            return kept, held.full_at
        fresh = self._link_planner.plan(TreeRequest(self.me, nodes))
        is_worse = kept.missed == fresh.missed and kept.mean_us * 100 > fresh.mean_us * WORSE_PERCENT
        return (fresh if kept.missed > fresh.missed or is_worse else kept), now

    def _planned_pair(
        self, now: Instant, stream: StreamId, members: Set[NodeIndex], relays: Set[NodeIndex], held: _Held | None
    ) -> tuple[PlannedPair | None, Instant]:
        """The same of two trees; None where there is no place on each for all. Who is given no children for a while
        is on neither: the root sends to it itself, so that the others need not wait for it.
        """
        refused = {one.node for one in self.bounds.refused(now) if not one.most}
        request = TreeRequest(self.me, self._eligible(stream, members - refused, relays))
        fewest: int | None = None

        def of_all(pair: PlannedPair) -> bool:
            nonlocal fewest
            one, other = pair
            if not one.missed and not other.missed:
                return True
            if any((node in one.parents) != (node in other.parents) for node in members):
                return False
            fewest = self._link_planner.plan(request).missed if fewest is None else fewest
            return one.missed <= fewest

        kept: PlannedPair | None = None
        if held is not None and held.pair is not None:
            parents = held.pair[0].parents, held.pair[1].parents
            kept = self._link_planner.plan_pair(request, parents)
            kept = kept if of_all(kept) else None
            if kept is not None and now < held.review_at:
                return kept, held.full_at
        fresh = self._link_planner.plan_pair(request)
        if not of_all(fresh):
            return kept, now
        is_worse = kept is None or _mean_us(kept) * 100 > _mean_us(fresh) * WORSE_PERCENT
        return (fresh if is_worse else kept), now

    def due(self, now: Instant) -> list[StreamId]:
        """The trees that are to be planned again, a few at a time."""
        if self.bounds.end_refusals(now):
            self.changed()
        ready = self._stragglers.due(now)
        if not self._to_review or (self._next_review is not None and now < self._next_review):
            return ready
        soonest = after(now, FULL_PLAN_INTERVAL)
        for stream in list(self._to_review):
            held = self._held[stream]
            if held.review_at > now:
                soonest = min(soonest, held.review_at)
            elif len(ready) < REVIEWED_AT_ONCE:
                ready.append(stream)
                held.stale_because = PlanCause.REVIEW
                del self._to_review[stream]
            else:
                soonest = after(now, REVIEW_INTERVAL)
                break
        self._next_review = soonest
        return ready

    def next_deadline(self) -> Instant | None:
        """The time at which ``due`` has something."""
        review = (self._next_review or Instant(0.0)) if self._to_review else None
        return earliest(review, self.bounds.next_end(), self._stragglers.next_deadline())

    def problems(self) -> Iterator[Problem]:
        """Members for which no node has a place left."""
        if self._missed:
            yield Problem(
                "no_place_on_trees",
                "trees",
                f"{self._missed} receivers of streams of this node have no place below other nodes: it sends to them "
                "itself, beyond its bound: give more nodes the role relay, or a higher --max-children",
            )
        unprotected = [held.why_one for held in self._held.values() if held.why_one is not None]
        if unprotected:
            yield Problem(
                "not_protected",
                "trees",
                f"{len(unprotected)} streams that --protect names go by one tree, and who is below a relay that dies "
                f"waits for its backup: {unprotected[0].value}: give more nodes the role relay, or a higher "
                "--max-children",
            )


def _mean_us(pair: PlannedPair) -> int:
    one, other = pair
    return one.mean_us + other.mean_us
