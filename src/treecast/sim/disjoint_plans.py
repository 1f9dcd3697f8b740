"""Two trees with disjoint interiors in plain Python, what ``crates/plan/src/disjoint.rs`` is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from treecast.sim.tree_plans import PlanRequest, Tree, improve, keep, plan

NO_WAY = 2**64 - 1

KeptPair = tuple[Mapping[int, int], Mapping[int, int]]


def plan_pair(request: PlanRequest, kept: KeptPair | None) -> tuple[Tree, Tree]:
    """Both trees, from nothing or changed as little as can be."""
    one, other = _halves(request, kept)
    if kept is not None:
        return keep(one, kept[0]), keep(other, kept[1])
    trees = plan(one), plan(other)
    for tree in trees:
        improve(tree, len(request.links))
    return trees


def _halves(request: PlanRequest, kept: KeptPair | None) -> tuple[PlanRequest, PlanRequest]:
    """The request with the bounds of each of the trees."""
    of_root = request.capacity[request.root]
    halves = [{request.root: (of_root + 1) // 2}, {request.root: of_root // 2}]
    before = [set(parents.values()) for parents in kept or ({}, {})]
    dealt = [0, 0]
    for node in sorted(_by_quality(request), key=lambda node: not any(node in half for half in before)):
        half = 0 if node in before[0] else 1 if node in before[1] else int(dealt[1] < dealt[0])
        halves[half][node] = request.capacity[node]
        dealt[half] += request.capacity[node]
    return _bounded(request, halves[0]), _bounded(request, halves[1])


def _bounded(request: PlanRequest, half: Mapping[int, int]) -> PlanRequest:
    capacity = [half.get(node, 0) for node in range(len(request.links))]
    return replace(request, relays=[relay for relay in request.relays if capacity[relay]], capacity=capacity)


def _by_quality(request: PlanRequest) -> list[int]:
    """The nodes that can relay, the best first."""
    nodes = [node for node in {*request.members, *request.relays} if request.can_relay(node)]
    near, distances_us = request.links[request.root], _distances_us(request)
    return sorted(
        nodes, key=lambda node: (node not in near, -request.capacity[node], distances_us.get(node, NO_WAY), node)
    )


def _distances_us(request: PlanRequest) -> dict[int, int]:
    """The delay of the shortest way from the root to each node, by nodes that can relay."""
    distances_us = {request.root: 0}
    for _ in request.links:
        for node, links in enumerate(request.links):
            for other, link_us in links.items() if node in distances_us and request.can_relay(node) else ():
                found_us = distances_us[node] + link_us
                distances_us[other] = min(distances_us.get(other, found_us), found_us)
    return distances_us
