"""Plans within bounds: who has how many children over all trees, and when a tree is planned anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.base.ids import BROADCAST_STREAM, KeyId, NodeIndex, StreamId, TreeEpoch
from treecast.base.parent_failures import ParentFailure
from treecast.base.planned_tree import PlannedTree, TreeRequest
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.base.time import Instant
from treecast.base.tree_modes import TreeMode
from treecast.dataplane.bounded_planning import FULL_PLAN_INTERVAL, BoundedPlanning
from treecast.dataplane.children_bounds import (
    CHILDREN_OF_A_RELAY,
    CHILDREN_OF_UNKNOWN_UPLINK,
    REFUSED_FOR,
    ChildrenBounds,
)
from treecast.dataplane.sender_key import SENDER_KEY, TREE_STATE, RootEvent, SenderKey
from treecast.dataplane.tree_plan import STAR, LostPlace, TreePlan, plan_of
from treecast.sim.link_graph import LinkGraph

ROOT = NodeIndex(1)
ONE, TWO = StreamId(1), StreamId(2)
EPOCH = TreeEpoch(5)


@dataclass
class Tree:
    stream: StreamId
    members: set[NodeIndex]
    mode: TreeMode = TreeMode.USUAL
    mute: set[NodeIndex] = field(default_factory=set)
    keys: tuple[SenderKey, ...] = ()
    grafts: int = 0


class Counted(LinkGraph):
    """A planner that counts plans from nothing."""

    fresh = 0

    def plan(self, request: TreeRequest) -> PlannedTree:
        self.fresh += request.kept is None
        return super().plan(request)


class Root:
    """A root with a bound of two children, in a full mesh; delays are all different."""

    def __init__(self, nodes: int, most: int = 2, seed: int = 1) -> None:
        self.now = Instant(0.0)
        self.said: dict[NodeIndex, Relaying] = {}
        self.bounds = ChildrenBounds(ROOT, Relaying(max_children=most), lambda node: self.said.get(node, UNBOUNDED))
        self.planner = Counted()
        self.planning = BoundedPlanning(ROOT, self.planner, self.bounds)
        self.nodes = [NodeIndex(node) for node in range(2, nodes + 2)]
        self.set_delays(seed)
        for node in self.nodes:
            self.said[node] = Relaying(max_children=most)
            self.planning.set_relay(node, may_relay=True)

    def set_delays(self, seed: int) -> None:
        rng = Random(seed)
        links: dict[NodeIndex, list[tuple[int, int, int]]] = {}
        for one, other in combinations([ROOT, *self.nodes], 2):
            rtt = rng.randint(5, 30)
            links.setdefault(one, []).append((other, rtt, 0))
            links.setdefault(other, []).append((one, rtt, 0))
        for node, listed in links.items():
            self.planning.set_links(node, 0, listed)

    def plan(self, *nodes: NodeIndex, stream: StreamId = ONE) -> TreePlan:
        return self.planning.plan(self.now, Tree(stream, set(nodes)))


def children_of_root(plan: TreePlan, members: set[NodeIndex]) -> int:
    return len(plan.branches) + len(members - plan.branch_of.keys())


def test_no_node_has_more_children_than_its_bound_and_all_members_are_reached() -> None:
    root = Root(9)
    plan = root.plan(*root.nodes)
    assert children_of_root(plan, set(root.nodes)) == 2
    assert max(map(len, plan.children.values())) <= 2
    assert {*plan.branch_of} == set(root.nodes)


def test_a_few_members_are_children_of_the_root_and_so_is_everybody_of_broadcast() -> None:
    root = Root(2)
    assert root.plan(*root.nodes) == STAR
    assert Root(9).plan(*root.nodes, stream=BROADCAST_STREAM) == STAR
    assert root.planning.own_children() == 2


def test_the_children_of_a_second_tree_come_out_of_the_same_bounds() -> None:
    root = Root(9, most=4)
    plans = [root.plan(*root.nodes[:8], stream=stream) for stream in (ONE, TWO)]
    for node in root.nodes:
        assert sum(len(plan.children.get(node, ())) for plan in plans) <= 4
    assert children_of_root(plans[1], set(root.nodes[:8])) == 1, (
        "the root sends each stream once, whatever else it sends"
    )
    root.planning.forget(ONE)
    assert root.planning.own_children() == 1
    root.bounds.relayed = lambda: 3
    assert root.bounds.most(ROOT, TWO) == 1


def test_children_by_the_key_in_use_count_until_the_next_one_is_in_use() -> None:
    root = Root(9)
    before = root.plan(*root.nodes)
    key = SenderKey(KeyId(1), TreeEpoch(1), RootEvent.TREE_CREATED)
    key.follow(before)
    tree = Tree(ONE, set(), keys=(key,))
    assert root.planning.plan(root.now, tree) == STAR
    assert {node: root.bounds.of_all_trees(node) for node in before.children} == {
        node: len(below) for node, below in before.children.items()
    }
    key.follow(STAR)
    assert root.planning.plan(root.now, tree) == STAR
    assert not any(map(root.bounds.of_all_trees, root.nodes))


def test_bounds_follow_what_nodes_say_of_themselves() -> None:
    root = Root(3)
    node = root.nodes[0]
    for said, most in (
        (UNBOUNDED, CHILDREN_OF_UNKNOWN_UPLINK),
        (Relaying(max_children=9), 9),
        (Relaying(max_children=200), CHILDREN_OF_A_RELAY),
        (Relaying(relays=False, max_children=0), 0),
    ):
        root.said[node] = said
        assert root.bounds.most(node, ONE) == most


def test_who_joins_takes_a_free_place_and_who_leaves_frees_one_and_nobody_else_moves() -> None:
    root = Root(9)
    first = root.plan(*root.nodes[:7])
    more = root.plan(*root.nodes[:8])
    assert {node: parent for node, parent in more.parents.items() if node in first.branch_of} == first.parents
    assert root.planner.fresh == 1
    assert root.plan(*root.nodes[:7]) == first
    assert root.planner.fresh == 1


def test_a_tree_is_held_against_a_fresh_plan_10_s_after_the_last_one_and_only_where_links_have_changed() -> None:
    root = Root(9)
    before = root.plan(*root.nodes)
    assert root.planning.due(root.now) == []
    assert root.planning.next_deadline() is None
    root.set_delays(2)
    assert root.planning.due(root.now) == []
    assert root.plan(*root.nodes) is before
    deadline = root.planning.next_deadline()
    assert deadline == FULL_PLAN_INTERVAL
    root.now = Instant(FULL_PLAN_INTERVAL)
    assert root.planning.due(root.now) == [ONE]
    assert root.plan(*root.nodes) != before, "its delays were much worse"
    assert root.planning.next_deadline() is None


def test_a_tree_that_is_little_worse_than_a_fresh_plan_stays() -> None:
    root = Root(9)
    before = root.plan(*root.nodes)
    root.planning.changed()
    root.now = Instant(FULL_PLAN_INTERVAL)
    assert root.planning.due(root.now) == [ONE]
    assert root.plan(*root.nodes) == before
    assert root.planner.fresh == 2


def test_a_node_that_refuses_children_has_no_more_than_it_takes_for_a_minute() -> None:
    root = Root(9)
    plan = root.plan(*root.nodes)
    relay = next(node for node, below in plan.children.items() if len(below) == 2)
    assert not root.planning.refuse(root.now, ONE, relay, 2), "that is what it has"
    assert not root.planning.refuse(root.now, TWO, relay, 0), "there is no such tree"
    assert root.planning.refuse(root.now, ONE, relay, 0)
    again = root.plan(*root.nodes)
    assert relay not in again.children
    assert children_of_root(again, set(root.nodes)) == 2
    assert root.bounds.most(relay, TWO) == 0
    assert root.planning.next_deadline() == REFUSED_FOR
    assert root.planning.due(Instant(REFUSED_FOR - 0.1)) == []
    assert root.planning.due(Instant(REFUSED_FOR)) == [ONE], "held against a fresh plan, in which it may have them"
    assert root.bounds.most(relay, TWO) == 2
    assert root.planning.next_deadline() is None


def test_a_relay_whose_link_ends_has_nobody_below_it_at_once() -> None:
    root = Root(9)
    plan = root.plan(*root.nodes)
    relay = next(iter(plan.children))
    assert root.planning.set_relay(relay, may_relay=False)
    assert relay not in root.plan(*root.nodes).children


def test_members_without_a_place_are_a_problem_that_says_what_to_do() -> None:
    root = Root(9)
    for node in root.nodes:
        root.planning.set_relay(node, may_relay=False)
    assert children_of_root(root.plan(*root.nodes), set(root.nodes)) == 9
    (problem,) = root.planning.problems()
    assert problem.kind == "no_place_on_trees"
    assert problem.text.startswith("7 receivers of streams of this node have no place")
    root.plan(*root.nodes[:-1])
    (problem,) = root.planning.problems()
    assert problem.text.startswith("6 receivers")
    root.planning.forget(ONE)
    assert list(root.planning.problems()) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_bounds_hold_over_all_trees_together_whatever_comes_and_goes(data: st.DataObject) -> None:
    root = Root(10, most=data.draw(st.integers(1, 4)))
    most = {node: data.draw(st.integers(0, 4)) for node in root.nodes}
    root.said |= {node: Relaying(relays=number > 0, max_children=number) for node, number in most.items()}
    trees: dict[StreamId, tuple[set[NodeIndex], TreePlan]] = {}
    for _ in range(data.draw(st.integers(1, 8))):
        stream = data.draw(st.sampled_from([ONE, TWO, StreamId(3)]))
        members = data.draw(st.sets(st.sampled_from(root.nodes)))
        if data.draw(st.booleans()):
            root.set_delays(data.draw(st.integers(0, 5)))
        root.now = Instant(root.now + data.draw(st.sampled_from([0.0, FULL_PLAN_INTERVAL])))
        root.planning.due(root.now)
        trees[stream] = members, root.plan(*members, stream=stream)
        for node in root.nodes:
            assert sum(len(plan.children.get(node, ())) for _, plan in trees.values()) <= most[node]
        for wanted, plan in trees.values():
            for node in plan.branch_of:
                way = [node]
                while way[-1] in plan.parents:
                    assert len(way) <= len(root.nodes), "in a circle"
                    way.append(plan.parents[way[-1]])
            assert not plan.relays & wanted


class Lost(Root):
    """A root with a tree in use, of which a relay's children say that they do without it."""

    def __init__(self, *, in_use: bool = True) -> None:
        super().__init__(9)
        self.tree = Tree(ONE, set(self.nodes))
        self.key = SenderKey(KeyId(1), EPOCH, RootEvent.TREE_CREATED)
        self.key.follow(self.planning.plan(self.now, self.tree))
        self.tree.keys = (self.key,)
        self.relay, self.below = max(self.key.plan.children.items(), key=lambda item: len(item[1]))
        if in_use:
            for node in self.nodes:
                self.key.acknowledge(node, SENDER_KEY)
                self.key.acknowledge(node, TREE_STATE)
        assert all(self.key.serves(node) == in_use for node in self.below)

    def say(self, node: NodeIndex, failure: ParentFailure, *, epoch: TreeEpoch = EPOCH, relay: int = 0) -> bool:
        parent = NodeIndex(relay or self.relay)
        return self.planning.parent_lost(self.now, self.tree, LostPlace(ONE, epoch, node, parent, failure))

    def named(self) -> list[str]:
        return [problem.subject for problem in self.planning.withholding.problems(self.now, ROOT, str)]

    def children_later(self, seconds: float) -> tuple[NodeIndex, ...]:
        self.now = Instant(self.now + seconds)
        self.planning.changed()
        self.planning.due(self.now)
        return self.planning.plan(self.now, self.tree).children.get(self.relay, ())


@pytest.mark.parametrize("failure", [ParentFailure.SILENT, ParentFailure.WITHHOLDS])
def test_a_relay_that_its_children_do_without_has_none_for_a_minute(failure: ParentFailure) -> None:
    root = Lost()
    assert len(root.below) == 2
    assert not root.say(root.below[0], failure), "one of two"
    assert not root.say(root.below[1], failure, epoch=TreeEpoch(EPOCH + 1))
    other = next(node for node in root.key.plan.children if node != root.relay)
    assert not root.say(root.below[1], failure, relay=other), "that is not its parent"
    assert root.children_later(0.0) == root.below
    assert root.say(root.below[1], failure)
    assert root.planning.replans == 1
    assert root.children_later(0.0) == ()
    assert root.named() == ([] if failure is ParentFailure.SILENT else [f"{root.relay} of {ROOT}"])
    assert root.children_later(59.0) == ()
    assert root.named() == [f"{root.relay} of {ROOT}"] or failure is ParentFailure.WITHHOLDS
    assert root.children_later(60.0) != ()


def test_a_relay_that_was_silent_for_a_moment_is_not_named_where_one_that_named_it_says_so() -> None:
    for who, is_named in ((0, False), (None, True)):
        root = Lost()
        assert [root.say(node, ParentFailure.SILENT) for node in root.below] == [False, True]
        stranger = next(node for node in root.nodes if node not in root.below)
        assert not root.say(stranger if who is None else root.below[who], ParentFailure.RETURNED)
        assert root.planning.replans == 1
        root.now = Instant(root.now + 20.0)
        assert bool(root.named()) == is_named


def test_a_relay_that_has_returned_has_children_again_after_five_seconds_once_in_ten_minutes() -> None:
    root = Lost()
    for again_after, later in ((5.0, 100.0), (60.0, 500.0), (5.0, 0.0)):
        assert [root.say(node, ParentFailure.SILENT) for node in root.below] == [False, True]
        root.say(root.below[0], ParentFailure.RETURNED)
        assert root.children_later(again_after - 0.1) == ()
        assert root.children_later(FULL_PLAN_INTERVAL) != ()
        root.now = Instant(root.now + later)
        root.planning.due(root.now)


def test_that_nothing_has_come_yet_counts_on_the_tree_in_use_and_when_it_is_said_again() -> None:
    root = Lost()
    nothing = ParentFailure.SENDS_NOTHING
    assert not any(root.say(node, nothing) for node in root.below)
    root.now = Instant(root.now + 1.0)
    assert not root.say(root.below[0], nothing), "one of two"
    assert root.say(root.below[1], nothing)
    assert root.named() == [f"{root.relay} of {ROOT}"]
    unused = Lost(in_use=False)
    for _ in range(5):
        assert not any(unused.say(node, nothing) for node in unused.below)
        unused.now = Instant(unused.now + 1.0)
    assert unused.planning.replans == 0


def test_a_relay_that_has_just_said_the_same_of_its_own_parent_is_not_named_for_what_it_did_not_get() -> None:
    root = Lost()
    low = root.below[0]
    root.key.follow(plan_of(ROOT, root.nodes, (), {low: root.relay, root.below[1]: low}))
    assert root.say(low, ParentFailure.WITHHOLDS)
    assert not root.say(root.below[1], ParentFailure.WITHHOLDS, relay=low)
    assert root.named() == [f"{root.relay} of {ROOT}"]
