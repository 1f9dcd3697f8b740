"""The graph simulator: spreading, deaths and shortest paths without engines."""

from __future__ import annotations

from random import Random

import pytest

from treecast.sim import graphs
from treecast.sim.locations import Locations

NODES = 200


@pytest.fixture(scope="module")
def cities() -> graphs.Delay:
    locations = Locations(Random(1))
    drawn = [locations.draw() for _ in range(NODES)]
    return lambda one, other: drawn[one].delay(drawn[other])


def chain(length: int, loss: float = 0.0) -> dict[int, dict[int, graphs.Link]]:
    links = [(node, node + step) for node in range(length) for step in (-1, 1) if 0 <= node + step < length]
    return {
        node: {other: graphs.Link(0.01, loss) for source, other in links if source == node} for node in range(length)
    }


def test_an_advertisement_spreads_over_a_chain_at_the_speed_of_its_links() -> None:
    spread = graphs.spread(chain(5), 0, Random(1))
    assert spread.reached_at == pytest.approx({node: 0.01 * node for node in range(5)})
    assert spread.messages == spread.acknowledgements == 4
    assert spread.reached_share_after(0.5, 5) == pytest.approx(0.02)


def test_what_is_lost_is_repeated_until_it_is_acknowledged() -> None:
    spread = graphs.spread(chain(5, loss=0.5), 0, Random(1), limit=60.0)
    assert set(spread.reached_at) == set(range(5))
    assert spread.messages > 4


def test_without_repeats_a_loss_is_final() -> None:
    spread = graphs.spread(chain(5, loss=1.0), 0, Random(1), first_repeat=None)
    assert (set(spread.reached_at), spread.messages) == ({0}, 1)
    assert spread.reached_share_after(0.5, 5) is None


def test_a_death_cuts_a_chain_and_not_a_graph_of_near_and_far_links(cities: graphs.Delay) -> None:
    assert set(graphs.spread(chain(5), 0, Random(1), dead=[2]).reached_at) == {0, 1}
    graph = graphs.near_and_far(NODES, cities, Random(2))
    left = graphs.without(graph, range(1, 5))
    assert graphs.reachable(left, 0) == {0, *range(5, NODES)}
    assert set(graphs.spread(graph, 0, Random(3), dead=range(1, 5)).reached_at) == set(left)


def test_near_and_far_links_stay_few_and_go_both_ways(cities: graphs.Delay) -> None:
    graph = graphs.near_and_far(NODES, cities, Random(2))
    assert all(node in graph[other] for node, links in graph.items() for other in links)
    degrees = [len(links) for links in graph.values()]
    assert min(degrees) >= 9
    assert sum(degrees) / NODES < 20


def test_a_tree_costs_one_message_a_node_and_all_links_many(cities: graphs.Delay) -> None:
    graph = graphs.near_and_far(NODES, cities, Random(2))
    parents, delays = graphs.shortest(graph, 0)
    tree = graphs.along(graph, parents.items())
    over_tree, over_all = (graphs.spread(own, 0, Random(3), first_repeat=1.0) for own in (tree, graph))
    assert over_tree.messages == NODES - 1
    assert over_all.messages > 5 * NODES
    assert over_tree.reached_at == pytest.approx(delays)


def test_a_full_mesh_reaches_each_node_on_its_own_link(cities: graphs.Delay) -> None:
    graph = graphs.full_mesh(10, cities)
    assert all(len(links) == 9 for links in graph.values())
    assert set(graphs.spread(graph, 3, Random(1)).reached_at) == set(range(10))


def test_the_same_seed_gives_the_same_spread(cities: graphs.Delay) -> None:
    runs = [graphs.spread(graphs.near_and_far(NODES, cities, Random(2), loss=0.02), 0, Random(3)) for _ in range(2)]
    assert runs[0] == runs[1]
