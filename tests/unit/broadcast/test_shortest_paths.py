"""By which neighbour a node without a link is reached, as both ends of each link advertise."""

from __future__ import annotations

from collections.abc import Mapping, Set

from treecast.base.ids import NodeIndex
from treecast.broadcast.link_state import LinkState, ListedBy
from treecast.broadcast.shortest_paths import LONGEST_PATH, SEARCHED_NODES, ShortestPaths
from treecast.broadcast.store import Store

ME = 1


class Listed(LinkState):
    """Links as they are given, and how often they were read."""

    def __init__(self, links: Mapping[int, Set[int]]) -> None:
        super().__init__(Store())
        self.links = links
        self.reads = 0

    def of(self, index: NodeIndex) -> frozenset[int]:
        self.reads += 1
        return frozenset(self.links.get(index, ()))


def paths(links: Mapping[int, Set[int]], me: int = ME) -> tuple[ShortestPaths, Listed]:
    """The links that each node lists, this one's among them: they are its neighbours."""
    neighbours = [NodeIndex(node) for node in sorted(links[me])]
    listed_by, listed = ListedBy(), Listed(links)
    for neighbour in neighbours:
        listed_by.link_up(neighbour, links.get(neighbour, frozenset()))
    return ShortestPaths(NodeIndex(me), listed, listed_by, neighbours), listed


def both_ways(*pairs: tuple[int, int]) -> dict[int, set[int]]:
    links: dict[int, set[int]] = {ME: set()}
    for one, other in pairs:
        links.setdefault(one, set()).add(other)
        links.setdefault(other, set()).add(one)
    return links


def test_the_next_hop_is_the_first_node_of_the_shortest_path() -> None:
    found, _ = paths(both_ways((1, 2), (2, 9), (1, 3), (3, 4), (4, 9)))
    assert found.next_hop(NodeIndex(9)) == 2
    assert found.next_hop(NodeIndex(4)) == 3
    assert found.next_hop(NodeIndex(77)) is None


def test_a_link_counts_that_both_ends_advertise() -> None:
    links = both_ways((1, 2), (1, 3), (3, 9))
    links[2].add(9)
    assert paths(links)[0].next_hop(NodeIndex(9)) == 3, "2 says so alone"
    links[9].discard(3)
    links[9].add(2)
    links[2].discard(9)
    assert paths(links)[0].next_hop(NodeIndex(9)) is None, "9 says so alone"
    links = both_ways((1, 2), (2, 4), (4, 9))
    links[4].discard(9)
    assert paths(links)[0].next_hop(NodeIndex(9)) is None


def test_both_ends_choose_the_same_of_several_and_other_pairs_another() -> None:
    between = (2, 3, 4, 5)
    ends = range(10, 30)
    links = both_ways(*((node, one) for node in (ME, *ends) for one in between))
    ours = [paths(links)[0].next_hop(NodeIndex(end)) for end in ends]
    theirs = [paths(links, end)[0].next_hop(NodeIndex(ME)) for end in ends]
    assert ours == theirs
    assert set(ours) == set(between)


def test_no_path_is_longer_than_a_datagram_may_go() -> None:
    row = both_ways(*((node, node + 1) for node in range(1, 20)))
    found, _ = paths(row)
    assert found.next_hop(NodeIndex(1 + LONGEST_PATH)) == 2
    assert found.next_hop(NodeIndex(2 + LONGEST_PATH)) is None


def test_a_node_that_nobody_has_a_link_with_costs_one_look_in_a_full_mesh() -> None:
    nodes = range(1, 1001)
    links = {node: set(nodes) - {node} for node in nodes}
    links[5000] = set(nodes)
    found, listed = paths(links)
    assert found.next_hop(NodeIndex(5000)) is None
    assert listed.reads <= LONGEST_PATH


def test_a_search_in_a_large_network_ends() -> None:
    hubs = both_ways((1, 2), *((9, node) for node in range(100, 2000)))
    found, listed = paths(hubs)
    assert found.next_hop(NodeIndex(9)) is None
    assert listed.reads < 2 * SEARCHED_NODES + 2000
