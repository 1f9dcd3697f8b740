"""The neighbour by which a node without a link is reached, as both ends of each link advertise."""

from __future__ import annotations

from collections.abc import Mapping, Set
from random import Random

from treecast.base.ids import NodeIndex
from treecast.broadcast.link_state import LinkStateDatabase, ListedBy
from treecast.broadcast.own_links import OwnLinks
from treecast.broadcast.shortest_paths import ENOUGH_NODES, LONGEST_PATH, SEARCHED_NODES, ShortestPaths
from treecast.broadcast.store import Store
from treecast.wire.advertised_links import HIGHEST_LOSS_CLASS, LONGEST_RTT_CLASS, rtt_class
from treecast.wire.link_delays import delay_us

ME = 1
Measured = dict[tuple[int, int], tuple[int, int]]
"""The classes that one node advertises of its link with another."""


class Listed(LinkStateDatabase):
    """Links as they are given, and how often they were read."""

    def __init__(self, links: Mapping[int, Set[int]], measured: Measured) -> None:
        super().__init__(Store())
        self.links = links
        self.measured = measured
        self.reads = 0

    def classes(self, index: NodeIndex) -> Mapping[int, tuple[int, int]]:
        self.reads += 1
        return {peer: self.measured.get((index, peer), (0, 0)) for peer in self.links.get(index, ())}


class Own(OwnLinks):
    def __init__(self, me: int, measured: Measured) -> None:
        super().__init__()
        self._me = me
        self._measured = measured

    def classes(self, peer: NodeIndex) -> tuple[int, int]:
        return self._measured.get((self._me, peer), (0, 0))


def paths(
    links: Mapping[int, Set[int]], me: int = ME, measured: Measured | None = None
) -> tuple[ShortestPaths, Listed]:
    """The links that each node lists, this one's among them: they are its neighbours."""
    neighbours = [NodeIndex(node) for node in sorted(links[me])]
    listed_by, listed = ListedBy(), Listed(links, measured or {})
    for neighbour in neighbours:
        listed_by.link_up(neighbour, links.get(neighbour, frozenset()))
    return ShortestPaths(NodeIndex(me), listed, listed_by, neighbours, Own(me, measured or {})), listed


def at_both_ends(rtts_ms: Mapping[tuple[int, int], float]) -> Measured:
    ends = {(pair, rtt) for pair, rtt in rtts_ms.items()} | {(pair[::-1], rtt) for pair, rtt in rtts_ms.items()}
    return {(one, other): (rtt_class(rtt), 0) for (one, other), rtt in ends}


def both_ways(*pairs: tuple[int, int]) -> dict[int, set[int]]:
    links: dict[int, set[int]] = {ME: set()}
    for one, other in pairs:
        links.setdefault(one, set()).add(other)
        links.setdefault(other, set()).add(one)
    return links


def test_the_next_hop_is_the_first_node_of_the_shortest_path() -> None:
    found, _ = paths(both_ways((1, 2), (2, 9), (1, 3), (3, 4), (4, 9)))
    assert found.next_hop(NodeIndex(9), ()) == 2
    assert found.next_hop(NodeIndex(4), ()) == 3
    assert found.next_hop(NodeIndex(77), ()) is None


def test_the_nodes_between_are_those_of_the_shortest_path() -> None:
    found, _ = paths(both_ways((1, 2), (2, 9), (1, 3), (3, 4), (4, 5), (5, 6)))
    assert [found.relays(NodeIndex(node)) for node in (9, 4, 5, 6)] == [1, 1, 2, 3]
    assert found.relays(NodeIndex(77)) == 1, "nobody knows"
    assert paths({ME: set()})[0].relays(NodeIndex(77)) == 1


def test_a_path_without_some_nodes_leads_by_none_of_them() -> None:
    links = both_ways((1, 2), (2, 9), (1, 3), (3, 4), (4, 9), (3, 2))
    found, _ = paths(links)
    assert found.next_hop(NodeIndex(9), ()) == 2
    assert found.next_hop(NodeIndex(9), {NodeIndex(2)}) == 3
    assert found.next_hop(NodeIndex(9), {NodeIndex(4)}) == 2
    assert found.next_hop(NodeIndex(9), {NodeIndex(2), NodeIndex(4)}) is None
    assert paths(both_ways((1, 2), (1, 3), (3, 2), (2, 9)))[0].next_hop(NodeIndex(9), {NodeIndex(2)}) is None


def test_a_link_counts_that_both_ends_advertise() -> None:
    links = both_ways((1, 2), (1, 3), (3, 9))
    links[2].add(9)
    assert paths(links)[0].next_hop(NodeIndex(9), ()) == 3, "2 says so alone"
    links[9].discard(3)
    links[9].add(2)
    links[2].discard(9)
    assert paths(links)[0].next_hop(NodeIndex(9), ()) is None, "9 says so alone"
    links = both_ways((1, 2), (2, 4), (4, 9))
    links[4].discard(9)
    assert paths(links)[0].next_hop(NodeIndex(9), ()) is None


def test_both_ends_choose_the_same_of_several_and_other_pairs_another() -> None:
    between = (2, 3, 4, 5)
    ends = range(10, 30)
    links = both_ways(*((node, one) for node in (ME, *ends) for one in between))
    ours = [paths(links)[0].next_hop(NodeIndex(end), ()) for end in ends]
    theirs = [paths(links, end)[0].next_hop(NodeIndex(ME), ()) for end in ends]
    assert ours == theirs
    assert set(ours) == set(between)


def test_no_path_is_longer_than_a_datagram_may_go() -> None:
    row = both_ways(*((node, node + 1) for node in range(1, 20)))
    found, _ = paths(row)
    assert found.next_hop(NodeIndex(1 + LONGEST_PATH), ()) == 2
    assert found.next_hop(NodeIndex(2 + LONGEST_PATH), ()) is None


def test_a_node_that_nobody_has_a_link_with_costs_one_look_in_a_full_mesh() -> None:
    nodes = range(1, 1001)
    links = {node: set(nodes) - {node} for node in nodes}
    links[5000] = set(nodes)
    found, listed = paths(links)
    assert found.next_hop(NodeIndex(5000), ()) is None
    assert listed.reads <= LONGEST_PATH


def test_a_search_in_a_large_network_ends() -> None:
    hubs = both_ways((1, 2), *((9, node) for node in range(100, 2000)))
    found, listed = paths(hubs)
    assert found.next_hop(NodeIndex(9), ()) is None
    assert listed.reads <= SEARCHED_NODES


def test_a_longer_path_of_shorter_links_is_taken() -> None:
    links = both_ways((1, 2), (2, 9), (1, 3), (3, 4), (4, 9))
    rtts = {(1, 2): 10.0, (2, 9): 60.0, (1, 3): 10.0, (3, 4): 10.0, (4, 9): 10.0}
    assert paths(links, measured=at_both_ends(rtts))[0].next_hop(NodeIndex(9), ()) == 3
    rtts[2, 9] = 15.0
    assert paths(links, measured=at_both_ends(rtts))[0].next_hop(NodeIndex(9), ()) == 2


def test_a_far_neighbour_is_reached_by_a_near_one() -> None:
    links = both_ways((1, 2), (2, 9), (1, 3), (3, 2))
    rtts = {(1, 2): 200.0, (2, 9): 10.0, (1, 3): 10.0, (3, 2): 10.0}
    assert paths(links, measured=at_both_ends(rtts))[0].next_hop(NodeIndex(9), ()) == 3


def test_a_link_that_loses_datagrams_counts_as_a_longer_one() -> None:
    links = both_ways((1, 2), (2, 9), (1, 3), (3, 9))
    measured = at_both_ends({(1, 2): 10.0, (2, 9): 10.0, (1, 3): 20.0, (3, 9): 20.0})
    assert paths(links, measured=measured)[0].next_hop(NodeIndex(9), ()) == 2
    measured[9, 2] = (measured[9, 2][0], 4)
    assert paths(links, measured=measured)[0].next_hop(NodeIndex(9), ()) == 3


def test_who_makes_its_links_short_is_no_nearer_than_the_others_say() -> None:
    links = both_ways((1, 2), (2, 9), (1, 3), (3, 9))
    measured = at_both_ends({(1, 2): 60.0, (2, 9): 60.0, (1, 3): 40.0, (3, 9): 40.0})
    for lies in ({(2, 1): (1, 0), (2, 9): (1, 0)}, {(9, 2): (1, 0), (2, 1): (1, 0)}):
        assert paths(links, measured=measured | lies)[0].next_hop(NodeIndex(9), ()) == 3
    measured |= {(2, 1): (1, 0), (2, 9): (1, 0)}
    measured |= {(9, 2): (1, 0), (1, 2): (1, 0)}
    assert paths(links, measured=measured)[0].next_hop(NodeIndex(9), ()) == 2, "both ends say so"


def test_a_short_path_that_is_too_long_to_go_leaves_a_longer_one() -> None:
    row = [(node, node + 1) for node in range(1, 10)]
    links = both_ways(*row, (4, 50), (50, 10))
    rtts = dict.fromkeys(row, 1.0) | {(4, 50): 400.0, (50, 10): 400.0}
    assert paths(links, measured=at_both_ends(rtts))[0].next_hop(NodeIndex(10), ()) == 2


def test_classes_that_are_not_defined_count_as_the_last_ones() -> None:
    assert delay_us(255, 255) == delay_us(LONGEST_RTT_CLASS, HIGHEST_LOSS_CLASS)


def test_who_is_near_to_all_costs_few_looks_in_a_full_mesh() -> None:
    nodes = range(1, 501)
    links = {node: set(nodes) - {node} for node in nodes}
    links[ME].discard(500)
    links[500].discard(ME)
    rng = Random(1)
    measured = at_both_ends(
        {(one, other): rng.uniform(5.0, 200.0) for one in nodes for other in nodes if one < other}
    ) | {(500, other): (1, 0) for other in nodes}
    found, listed = paths(links, measured=measured)
    assert found.next_hop(NodeIndex(500), ()) is not None
    assert listed.reads <= SEARCHED_NODES
    honest, listed = paths(links, measured=measured | {(500, other): measured[other, 500] for other in range(2, 500)})
    assert honest.next_hop(NodeIndex(500), ()) is not None
    assert listed.reads <= ENOUGH_NODES + 1


def shortest(links: Mapping[int, Set[int]], measured: Measured, to: int) -> dict[int, float]:
    """The length of the shortest path to a node by each neighbour of this one: Bellman and Ford's, by links."""

    def of(one: int, other: int) -> float:
        if other not in links[one] or one not in links[other]:
            return float("inf")
        (rtt, loss), (back_rtt, back_loss) = (measured.get(pair, (0, 0)) for pair in ((one, other), (other, one)))
        return delay_us(max(rtt, back_rtt), max(loss, back_loss))

    lengths = {node: 0.0 if node == to else float("inf") for node in links}
    for _ in range(LONGEST_PATH - 1):
        lengths = {
            node: min([lengths[node], *(lengths[other] + of(node, other) for other in links[node] if other != ME)])
            for node in links
        }
    return {neighbour: of(ME, neighbour) + lengths[neighbour] for neighbour in links[ME]}


def test_the_paths_of_any_network_are_the_shortest() -> None:
    found_some = 0
    for seed in range(60):
        rng = Random(seed)
        nodes = range(1, 13)
        pairs = [(one, other) for one in nodes for other in nodes if one < other and (one, other) != (1, 12)]
        links = both_ways(*rng.sample(pairs, rng.choice([14, 20, 40])))
        for one in range(2, 12):  # and what one end says alone
            links.setdefault(one, set()).add(1 + one % 11)
        links.setdefault(12, set())
        measured = {
            (one, other): (rng.randrange(30), rng.choice([0, 0, 0, 5])) for one in nodes for other in links.get(one, ())
        }
        lengths = shortest(links, measured, 12)
        found = paths(links, measured=measured)[0].next_hop(NodeIndex(12), ()) if links[ME] else None
        best = min(lengths.values(), default=float("inf"))
        if best == float("inf"):
            assert found is None
        else:
            found_some += 1
            assert found is not None and lengths[found] == best, (seed, lengths)
    assert found_some > 30
