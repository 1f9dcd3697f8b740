"""Links that all nodes of a network choose: one graph, within bounds, whatever nodes there are, and few that change."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.base.ids import NodeIndex
from treecast.base.link_reasons import LinkReason
from treecast.base.time import Instant
from treecast.topology.chosen_links import MESH_NODES, ChosenLinks

NOW = Instant(1.0)
IDS = st.sets(st.binary(min_size=16, max_size=16), min_size=2, max_size=80)
MANY = st.sets(st.binary(min_size=16, max_size=16), min_size=MESH_NODES + 2, max_size=60)
MOSTS = st.integers(4, 12)
Network = dict[NodeIndex, ChosenLinks]


def network(ids: Collection[bytes], most: int) -> Network:
    """Each node knows all, and has chosen."""
    indexed = {NodeIndex(number): node_id for number, node_id in enumerate(sorted(ids), 1)}
    made = {node: ChosenLinks(node, node_id, most) for node, node_id in indexed.items()}
    for links in made.values():
        for node, node_id in indexed.items():
            links.learn(node, node_id)
    review(made)
    return made


def review(made: Network) -> None:
    for links in made.values():
        links.review(NOW, {}, (), dict)


def linked(made: Network) -> dict[NodeIndex, set[NodeIndex]]:
    """The links that come of it, each accepted by the other end, or not."""
    graph: dict[NodeIndex, set[NodeIndex]] = {node: set() for node in made}
    by_reason = [(reason, node, other) for node in made for other, reason in made[node].chosen.items()]
    for _, node, other in sorted(by_reason, key=lambda one: one[0] is LinkReason.RING):  # the ring's come last
        if (
            made[other].accepts(node, graph[other], graph[other], is_listed=True)
            and len(graph[node]) < made[node].accepts_most
        ):
            graph[node].add(other)
            graph[other].add(node)
    return graph


def reached(graph: dict[NodeIndex, set[NodeIndex]]) -> set[NodeIndex]:
    found, waiting = {NodeIndex(1)}, [NodeIndex(1)]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@settings(max_examples=60, deadline=None)
@given(IDS, MOSTS)
def test_every_set_of_nodes_gives_one_graph_within_bounds(ids: set[bytes], most: int) -> None:
    made = network(ids, most)
    graph = linked(made)
    assert reached(graph) == set(made)
    for node, links in made.items():
        assert node not in links.chosen
        assert len(links.chosen) == len(made) - 1 if len(made) <= MESH_NODES else len(links.chosen) <= most
        assert len(graph[node]) <= max(links.accepts_most, 0)


@settings(max_examples=40, deadline=None)
@given(MANY, MOSTS, st.data())
def test_the_same_nodes_give_the_same_links_in_whatever_order_they_came(
    ids: set[bytes], most: int, data: st.DataObject
) -> None:
    made = network(ids, most)
    order = data.draw(st.permutations(sorted(ids)))
    indexed = {node_id: NodeIndex(number) for number, node_id in enumerate(sorted(ids), 1)}
    again = ChosenLinks(NodeIndex(1), sorted(ids)[0], most)
    for node_id in order:
        again.learn(indexed[node_id], node_id)
    again.review(NOW, {}, (), dict)
    assert again.chosen == made[NodeIndex(1)].chosen


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 60), st.integers(0, 2**32), st.integers(6, 10))
def test_a_node_that_leaves_changes_few_links_and_gives_them_back_when_it_comes(
    count: int, seed: int, most: int
) -> None:
    ids = [seed.to_bytes(8, "big") + number.to_bytes(8, "big") for number in range(count)]
    made = network(ids, most)
    gone = NodeIndex(count)
    made.pop(gone)
    before = {node: set(links.chosen) for node, links in made.items()}
    for links in made.values():
        links.forget(gone)
    review(made)
    after = {node: set(links.chosen) for node, links in made.items()}
    changed = sum(len(after[node] - before[node]) for node in made)
    had_it = sum(gone in chosen for chosen in before.values())
    assert changed <= had_it + 8, "those that were its own, and a few of the far ones whose part has grown"
