"""Links on demand, whatever traffic there is, links that come up or not, and links that others begin."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.base.ids import NodeIndex
from treecast.base.on_demand import OnDemandConfig
from treecast.base.time import Instant
from treecast.topology.on_demand_links import CountedTraffic, OnDemandLinks

NODES = [NodeIndex(number) for number in range(1, 15)]
LASTS = 60.0
RATES_BPS = st.sampled_from((0, 0, 50_000, 300_000, 2_000_000, 80_000_000))
PHASES = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.dictionaries(st.sampled_from(NODES), RATES_BPS, max_size=len(NODES)),
        st.sets(st.sampled_from(NODES), max_size=4),
        st.sets(st.sampled_from(NODES), max_size=4),
    ),
    max_size=12,
)
"""Seconds, the rates from then on, nodes that do not answer, and nodes that begin a link."""


@settings(max_examples=150, deadline=None)
@given(PHASES, st.integers(0, 8), st.integers(1, 4))
def test_there_are_never_more_than_the_bound_and_each_lasts_its_time_but_those_that_others_have_begun(
    phases: list[tuple[int, dict[NodeIndex, int], set[NodeIndex], set[NodeIndex]]], most: int, relays: int
) -> None:
    links = OnDemandLinks(OnDemandConfig(below_for=LASTS, links=most))
    now, linked, carried, by_others = 1.0, set[NodeIndex](), dict.fromkeys(NODES, 0), set[NodeIndex]()
    came_up: dict[NodeIndex, float] = {}
    for seconds, rates, dead, begun in phases:
        by_others |= begun
        for _ in range(seconds):
            now += 1.0
            for node, bps in rates.items():
                carried[node] += bps // 8
            counted = [CountedTraffic(node, carried[node]) for node in NODES]
            links.review(Instant(now), counted, linked, (), lambda _: relays)
            ended = linked - links.wanted
            assert all(now - came_up[node] >= LASTS for node in ended - by_others)
            for node in begun:
                links.admit(Instant(now), node)
            assert len(links.wanted) <= most
            linked = {node for node in links.wanted if node not in dead}
            came_up = {node: came_up.get(node, now) for node in links.wanted if node in linked or node in came_up}
            for node in NODES:
                demand = links.demand(node)
                assert demand is None or demand.rate_bps >= 0
