"""Traces of trees with bounds, in virtual time: each node's place as it is installed there, also after a relay died."""

from __future__ import annotations

import pytest

from tests.sim.engine.test_bounded_trees import GROUP, INTERVAL_S, Network
from treecast.base.ids import NodeIndex
from treecast.base.plan_causes import PlanCause
from treecast.base.relaying import Relaying
from treecast.dataplane.tree_traces import TraceResult
from treecast.engine.tree_view import TraceOf
from treecast.sim.frames import ipv4_address
from treecast.sim.world import SimNode
from treecast.wire.traced_trees import GraftState, Service, TracedNode

NODES, MOST = 9, 2
LIMIT_S = 4.0


def streaming(seed: int) -> Network:
    """All but the last node get what the first sends."""
    network = Network(seed, NODES, Relaying(max_children=MOST))
    network.join(*network.others[:-1])
    network.send(1)
    network.world.run(3.0)
    network.send(150)
    return network


def trace(network: Network, node: SimNode, group: str = GROUP, number: int = 1) -> TraceResult:
    """The result of a trace that is made while the stream goes on."""
    wanted = TraceOf(ipv4_address(group), None, ())
    node.carry_out(node.engine.trace_trees(node.now, number, wanted))
    found: list[TraceResult] = []

    def has_come() -> bool:
        network.send(1)
        result = node.engine.view.take_trace(number)
        found.extend([result] if result is not None else [])
        return bool(found)

    network.world.run_until(has_come, LIMIT_S, INTERVAL_S)
    return found[0]


def nodes_of(result: TraceResult) -> dict[NodeIndex, TracedNode]:
    return {NodeIndex(node.node): node for _, part in result.trees for node in part.nodes}


def installed(network: Network) -> dict[NodeIndex, tuple[int, tuple[int, ...]]]:
    """Parent and next hops, as each node's data plane has them on the tree in use."""
    root = network.root
    places: dict[NodeIndex, tuple[int, tuple[int, ...]]] = {}
    for node in network.others:
        for (of, stream), found in node.forwarder.streams.items():
            if of == root.index and stream:
                state = found.trees[root.forwarder.trees[stream].epoch]
                places[node.index] = (state.parent, state.children)
    return places


@pytest.mark.parametrize("seed", [3, 8])
def test_a_trace_shows_what_is_installed_at_the_root_at_members_and_measures_rates(seed: int) -> None:
    network = streaming(seed)
    expected = installed(network)
    assert len(expected) == NODES - 2
    for number, node in enumerate((network.root, *network.others[:2]), 1):
        result = trace(network, node, number=number)
        found = nodes_of(result)
        assert result.silent == ()
        assert {root for root, _ in result.trees} == {network.root.index}
        assert found.keys() == expected.keys()
        for index, traced in found.items():
            place = traced.place
            assert place is not None and traced.answered and traced.subscribes
            assert (place.parent, place.children) == expected[index]
            assert (traced.service, place.graft) == (Service.TREE, GraftState.NONE)
            assert traced.rate is not None and 45_000 < traced.rate[0] < 55_000, "a frame each 20 ms"
            assert place.rtt_us and place.loss_ppm == 0
        (sent,) = {part.sent for _, part in result.trees}
        assert sent is not None and 45_000 < sent[0] < 55_000


def test_who_is_on_no_tree_learns_nothing_and_neither_does_who_asks_for_another_group() -> None:
    network = streaming(3)
    assert trace(network, network.others[-1]) == TraceResult((), ())
    assert trace(network, network.others[0], "239.62.0.9") == TraceResult((), ())
    network.join(network.others[-1])
    asked = network.others[-1]
    wanted = TraceOf(ipv4_address(GROUP), None, (network.root.index,))
    asked.leave(GROUP)
    network.world.run_until(lambda: not network.root.subscribes(asked, GROUP), 10.0)
    network.send(300)
    asked.carry_out(asked.engine.trace_trees(asked.now, 5, wanted))
    network.world.run_until(lambda: asked.engine.view.take_trace(5) == TraceResult((), ()), LIMIT_S)


def test_a_relay_that_died_is_shown_silent_and_its_children_below_their_backups() -> None:
    network = streaming(8)
    before = installed(network)
    dead = max(network.others[:-1], key=lambda node: len(before.get(node.index, (0, ()))[1]))
    orphans = before[dead.index][1]
    assert orphans
    dead.stop()
    network.send(30)
    found = nodes_of(trace(network, network.root, number=2))
    assert not found[dead.index].answered
    for orphan in orphans:
        traced = found[NodeIndex(orphan)]
        assert traced.place is not None
        is_grafted = traced.place.graft == GraftState.INSTEAD_OF_PARENT and traced.place.backup not in (0, dead.index)
        assert is_grafted or traced.place.parent != dead.index
    assert any(node.place is not None and node.place.graft for node in found.values())
    view, now = network.root.engine.view, network.root.now
    (stream,) = view.rooted_streams(ipv4_address(GROUP))
    assert stream.grafts >= len(orphans)
    assert stream.plan is not None and stream.plan.cause is PlanCause.PARENT_LOST
    assert now - stream.plan.changed_at < LIMIT_S
    assert [(refused.node, refused.most) for refused in view.refused_relays(now)] == [(dead.index, 0)]
    network.send(400)
    (later,) = view.rooted_streams(ipv4_address(GROUP))
    assert later.replans > stream.replans or later.epoch > stream.epoch
    alive = next(node for node in network.others if node is not dead)
    linked = view.linked_since(network.root.now, alive.index)
    assert linked.up is not None and linked.routed == linked.up and linked.rtt_ms and linked.refused is None


def test_a_root_that_has_gone_is_named_and_the_trace_ends() -> None:
    network = streaming(3)
    member = network.others[0]
    network.root.stop()
    result = trace(network, member)
    assert result.silent == (network.root.index,)
    assert result.trees == ()


def test_each_root_of_a_group_has_a_tree_of_its_own_and_a_relay_that_is_no_member_sees_those_that_it_relays() -> None:
    network = Network(11, 13, Relaying(max_children=3), leaves=6)
    first, other = network.nodes[:2]
    members = network.others[-6:]
    network.join(*members)
    for _ in range(300):
        for root in (first, other):
            root.send(GROUP, 1_000 + root.index)
        network.world.run(INTERVAL_S)
    result = trace(network, members[0])
    assert {root for root, _ in result.trees} == {first.index, other.index}
    assert all({node.index for node in members} <= {node.node for node in part.nodes} for _, part in result.trees)
    relays = {node.node for _, part in result.trees for node in part.nodes if not node.subscribes}
    assert relays and relays.isdisjoint(node.index for node in members)
    relay = next(node for node in network.nodes if node.index in relays)
    seen = trace(network, relay, number=2)
    assert {root for root, _ in seen.trees} == {
        root for root, part in result.trees if any(node.node == relay.index for node in part.nodes)
    }
