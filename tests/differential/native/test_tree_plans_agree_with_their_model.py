"""Random networks: the trees that are planned for them, against plain Python that looks at all there is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.adapters import tree_plans
from treecast.base.ids import NodeIndex
from treecast.base.planned_tree import EligibleNode, LinkPlanner, TreeRequest
from treecast.sim import link_graph as model

MOST_NODES = 14
FEW_CLASSES = st.tuples(st.sampled_from([0, 1, 2, 14, 40, 255]), st.sampled_from([0, 0, 3, 255]))  # many are the same
ALMOST_ALL = st.sampled_from([True, True, True, False])
Listing = tuple[NodeIndex, int, list[tuple[int, int, int]]]


@st.composite
def requests(draw: st.DrawFn) -> TreeRequest:
    """Node indices are no row: plans do not depend on them but by their order."""
    nodes = sorted(draw(st.sets(st.integers(1, 40), min_size=2, max_size=MOST_NODES)))
    copies = st.integers(0, 300)
    places = [
        EligibleNode(NodeIndex(node), draw(st.integers(0, 3)), draw(copies), draw(st.booleans())) for node in nodes
    ]
    return TreeRequest(NodeIndex(draw(st.sampled_from(nodes))), places)


@st.composite
def listings(draw: st.DrawFn) -> list[Listing]:
    """Each node's LINKS: chunks that are replaced, links of one end, nodes that list themselves or one twice."""
    ends = st.integers(1, 40)
    links: list[tuple[int, int, int, int]] = [
        (one, other, rtt, loss)
        for (one, other), (rtt, loss) in draw(st.lists(st.tuples(st.tuples(ends, ends), FEW_CLASSES), max_size=60))
    ]
    listed: list[Listing] = []
    for one in range(1, 41):
        mine = [(b if a == one else a, rtt, loss) for a, b, rtt, loss in links if one in (a, b)]
        if draw(ALMOST_ALL) and mine:
            listed.append((NodeIndex(one), draw(st.integers(0, 1)), mine))
    one_more = st.tuples(ends, st.just(3), st.just(0))
    extra: st.SearchStrategy[Listing] = st.tuples(
        ends.map(NodeIndex), st.integers(0, 1), st.lists(one_more, max_size=2)
    )
    return listed + draw(st.lists(extra, max_size=3))


def told(planner: LinkPlanner, listed: list[Listing]) -> LinkPlanner:
    for listing in listed:
        planner.set_links(*listing)
    return planner


@settings(max_examples=400, deadline=None)
@given(listings(), requests())
def test_a_plan_is_that_of_the_model(listed: list[Listing], request: TreeRequest) -> None:
    planned = told(tree_plans.LinkGraph(), listed).plan(request)
    assert planned == told(model.LinkGraph(), listed).plan(request)


@settings(max_examples=400, deadline=None)
@given(listings(), requests(), requests())
def test_a_tree_that_is_kept_is_that_of_the_model(listed: list[Listing], before: TreeRequest, now: TreeRequest) -> None:
    one, other = told(tree_plans.LinkGraph(), listed), told(model.LinkGraph(), listed)
    again = replace(now, kept=one.plan(before).parents)
    assert one.plan(again) == other.plan(again)


@settings(max_examples=400, deadline=None)
@given(listings(), requests(), requests())
def test_two_trees_that_share_a_stream_are_those_of_the_model(
    listed: list[Listing], before: TreeRequest, now: TreeRequest
) -> None:
    one, other = told(tree_plans.LinkGraph(), listed), told(model.LinkGraph(), listed)
    first, second = one.plan_pair(before)
    assert (first, second) == other.plan_pair(before)
    kept = (first.parents, second.parents)
    assert one.plan_pair(now, kept) == other.plan_pair(now, kept)


def test_all_that_is_listed_no_more_is_forgotten() -> None:
    graph = tree_plans.LinkGraph()
    graph.set_links(NodeIndex(1), 0, [(2, 1, 0), (3, 1, 0)])
    graph.set_links(NodeIndex(1), 4, [(5, 1, 0)])
    assert len(graph) == 3
    graph.set_links(NodeIndex(1), 0, [])
    graph.set_links(NodeIndex(1), 4, [])
    assert len(graph) == 0


def test_a_request_without_its_root_or_out_of_order_is_none() -> None:
    one, two = (EligibleNode(NodeIndex(node), 1, 0, True) for node in (1, 2))
    for root, places in ((3, [one, two]), (1, [two, one]), (1, [one, one])):
        with pytest.raises(ValueError, match="ascending"):
            tree_plans.LinkGraph().plan(TreeRequest(NodeIndex(root), places))
        with pytest.raises(ValueError, match="ascending"):
            tree_plans.LinkGraph().plan_pair(TreeRequest(NodeIndex(root), places))
