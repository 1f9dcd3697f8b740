"""Protected groups in virtual time: two trees with disjoint interiors, of which a relay that dies leaves one whole."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network

import pytest

from tests.sim.engine.test_bounded_trees import GROUP, Network
from tests.sim.engine.test_repair import Streaming
from treecast.base.ids import NodeIndex
from treecast.base.plan_causes import OneTreeReason
from treecast.base.relaying import Relaying
from treecast.engine.environment import GroupOptions
from treecast.sim.frames import ipv4_address
from treecast.sim.world import SimNode

PROTECTED = GroupOptions(protected=(IPv4Network(f"{GROUP}/32"),))
LATER_S, LATEST_S = 0.02, 0.1
"""The other tree is slower by so much, on average and to any node, with the stream's interval of 4 ms."""


def parents(network: Streaming) -> dict[SimNode, set[NodeIndex]]:
    return {node: {state.parent, state.backup} - {NodeIndex(0)} for node, (_, _, state) in network.places().items()}


def relays(network: Streaming) -> list[SimNode]:
    """The nodes with children, those with most first."""
    counted = {node: len(state.children) for node, (_, _, state) in network.places().items() if state.children}
    return sorted(counted, key=lambda node: (-counted[node], node.index))


def is_missed_without(network: Streaming, dead: SimNode) -> list[SimNode]:
    """The nodes to which no way from the root leads past the dead one."""
    known, reached = parents(network), {network.root.index}
    while more := {node.index for node, above in known.items() if node is not dead and above & reached} - reached:
        reached |= more
    return [node for node in known if node is not dead and node.index not in reached]


def check_copies(network: Streaming, most: int) -> None:
    """Two copies of a datagram come to each node, from two parents, and none sends more than its bound."""
    network.world.run(2.0)
    before = Counter({node: node.forwarder.drops["second_copy"] for node in network.others})
    sent, copies = network.stream()
    assert sum(copies.values()) == 2 * len(network.others) * len(sent)
    assert max(copies.values()) <= most * len(sent)
    for node in network.others:
        assert node.forwarder.drops["second_copy"] - before[node] == len(sent)
        assert not node.forwarder.drops["tree_replay"]


def check_whole(network: Streaming, sent: list[int], dead: list[SimNode]) -> None:
    for node in network.others:
        if node not in dead:
            got = [frame for frame in network.got(node) if frame >= sent[0]]
            assert got == sent, (node.index, len(got), len(sent))


@pytest.mark.parametrize(("nodes", "most", "deaths"), [(17, 4, 4), (33, 8, 2)])
def test_any_relay_that_dies_costs_nobody_a_frame_nor_time(nodes: int, most: int, deaths: int) -> None:
    network = Streaming(3, nodes, most, PROTECTED)
    assert all(len(above) == 2 for above in parents(network).values())
    check_copies(network, most)
    for node in network.others:
        assert is_missed_without(network, node) == []
    dead: list[SimNode] = []
    for _ in range(deaths):
        network.others = [node for node in network.others if node not in dead]
        victim = relays(network)[0]
        sent, died_s = network.stream_for(0.5), network.world.underlay.now
        victim.stop()
        dead.append(victim)
        sent += network.stream_for(3.0)
        assert network.root.is_linked(victim), "its link is not given up yet"
        network.others = [node for node in network.others if node is not victim]
        assert victim not in relays(network), "its children have named it"
        gaps = [network.longest_gap(node, died_s - 0.4, died_s + 2.5) for node in network.others]
        assert sum(gaps) / len(gaps) - min(gaps) < LATER_S and max(gaps) < LATEST_S
        network.world.run(8.0)
        sent += network.stream_for(1.0)
        network.world.run(1.0)
        check_whole(network, sent, dead)
    assert network.grafts() == {}
    assert not any(node.forwarder.drops["tree_replay"] for node in network.others)


def test_where_all_fit_into_the_bound_of_the_root_there_is_no_relay() -> None:
    network = Streaming(3, 5, 4, PROTECTED)
    sent, copies = network.stream()
    assert copies == {network.root.index: 4 * len(sent)}
    assert "not_protected" not in problems(network)


def problems(network: Network) -> set[str]:
    return {problem.kind for problem in network.root.engine.problems(network.root.now)}


def test_who_joins_and_leaves_costs_nobody_a_frame_and_is_protected_soon() -> None:
    network = Streaming(4, 14, 4, PROTECTED)
    late = network.world.add(peer=network.root)
    network.world.run(40.0)
    late.report(GROUP)
    sent = network.stream_for(4.0)
    network.others.append(late)
    assert len(parents(network)[late]) == 2
    network.world.run(1.0)
    got = network.got(late)
    assert got == sent[len(sent) - len(got) :]
    network.others.remove(late)
    late.leave(GROUP)
    sent += network.stream_for(4.0)
    network.world.run(1.0)
    check_whole(network, sent, [])
    check_copies(network, 4)


def test_two_relays_that_die_at_once_cost_what_is_missed_until_the_tree_is_planned_anew_and_no_more() -> None:
    network = Streaming(5, 17, 4, PROTECTED)
    for victim in relays(network)[:2]:
        victim.stop()
        network.others.remove(victim)
    network.stream_for(12.0)
    sent = network.stream_for(1.0)
    network.world.run(1.0)
    check_whole(network, sent, [])
    assert network.grafts() == {}


def test_relays_without_places_for_two_trees_are_a_problem_and_the_stream_goes_by_one() -> None:
    network = Network(6, 9, Relaying(max_children=2), leaves=3, groups=PROTECTED)
    network.join(*network.others)
    network.send(1)
    network.world.run(5.0)
    assert "not_protected" in problems(network)
    (stream,) = network.root.engine.view.rooted_streams(ipv4_address(GROUP))
    assert stream.plan is not None and stream.plan.why_one is OneTreeReason.PLACES
    sent, copies = network.stream()
    assert sum(copies.values()) == len(network.others) * len(sent)
    for node in network.others:
        assert network.got(node)[1:] == sent
