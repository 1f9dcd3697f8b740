"""Networks whose nodes choose few links each: all reach all, a death heals, and links are what was chosen."""

from __future__ import annotations

import pytest

from tests.sim.engine.test_node_routes_in_virtual_time import delivered, via
from treecast.base.ids import NodeIndex
from treecast.base.link_reasons import LinkReason
from treecast.base.on_demand import OnDemandConfig
from treecast.base.relaying import UNBOUNDED, Relaying
from treecast.daemon.why_answers import WhyAnswers
from treecast.engine.environment import ALL_ALIKE, GroupOptions
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"
TURN_INTERVAL_S = 0.02
MOST = 6
NODES = 24
LIMIT_S = 40.0
ACCEPTED = 24
"""docs/protocol.md section 4, Links."""


def links_of(node: SimNode) -> list[NodeIndex]:
    """The nodes that it has a link with."""
    return list(node.engine.view.footprint().broadcast.neighbours)


def chosen_by(node: SimNode, *, static: bool = True) -> set[NodeIndex]:
    """Nodes that it has chosen, linked or not."""
    reasons = {other: node.engine.view.link_reason(other) for other in map(NodeIndex, range(1, 100))}
    accepted = {LinkReason.ACCEPTED} if static else {LinkReason.ACCEPTED, LinkReason.STATIC}
    return {other for other, reason in reasons.items() if reason not in accepted}


def alive(world: World) -> list[SimNode]:
    return [node for node in world.nodes.values() if not node.stopped]


def all_see_all(nodes: list[SimNode]) -> bool:
    return all(len(node.peers()) == len(nodes) - 1 for node in nodes)


def all_chosen_are_up(nodes: list[SimNode]) -> bool:
    """Each node has the links that it has chosen, but those of static peers, which may have no room."""
    return all(chosen_by(node, static=False) <= set(links_of(node)) for node in nodes)


def started(
    count: int,
    most: int = MOST,
    seed: int = 1,
    relaying: Relaying = UNBOUNDED,
    on_demand: OnDemandConfig | None = None,
    groups: GroupOptions = ALL_ALIKE,
) -> tuple[World, list[SimNode]]:
    world = World(seed, turn_interval=TURN_INTERVAL_S)
    world.shared.max_links, world.shared.relaying = most, relaying
    world.shared.on_demand = on_demand or OnDemandConfig()
    first = world.add(groups=groups)
    nodes = [first, *(world.add(peer=first, groups=groups) for _ in range(count - 1))]
    world.run_until(lambda: all_see_all(nodes) and all_chosen_are_up(nodes), LIMIT_S, 0.5)
    return world, nodes


def connected(nodes: list[SimNode]) -> bool:
    by_index = {node.index: node for node in nodes}
    found, waiting = {nodes[0].index}, [nodes[0].index]
    while waiting:
        new = set(links_of(by_index[waiting.pop()])) & by_index.keys() - found
        found |= new
        waiting += new
    return found == by_index.keys()


def test_16_nodes_are_a_mesh_and_the_17th_ends_it() -> None:
    world, nodes = started(16)
    assert all(len(links_of(node)) == 15 for node in nodes)
    reasons = {node.engine.view.link_reason(other.index) for node in nodes for other in nodes if other is not node}
    assert reasons == {LinkReason.MESH}
    nodes.append(world.add(peer=nodes[0]))
    world.run_until(lambda: all_see_all(nodes) and all_chosen_are_up(nodes), LIMIT_S, 0.5)
    world.run(90)
    assert all_see_all(nodes)
    assert sum(len(links_of(node)) for node in nodes) / 17 < 14


def test_links_are_the_chosen_ones_and_those_that_others_chose() -> None:
    world, nodes = started(NODES)
    world.run(240)  # until no node tries others any more

    def are_chosen_by_an_end(node: SimNode) -> bool:
        accepted = set(links_of(node)) - chosen_by(node)
        return all(node.index in chosen_by(world.nodes[other]) for other in accepted)

    world.run_until(lambda: all_chosen_are_up(nodes) and all(map(are_chosen_by_an_end, nodes)), 90.0, 1.0)
    assert all(len(chosen_by(node)) <= MOST for node in nodes)
    assert connected(nodes)
    links = [links_of(node) for node in nodes]
    world.run(120)
    assert [links_of(node) for node in nodes] == links, "nothing has changed, so they have not"
    kinds = {problem.kind for node in nodes for problem in node.engine.problems(node.now)}
    assert kinds <= {"certificate_ends"}


def test_nodes_without_a_link_are_reached_by_one_with_it() -> None:
    world, nodes = started(NODES)
    world.run(60)
    one = nodes[3]
    assert all(via(one, world.nodes[other]) == "" for other in links_of(one))
    assert len([other for other in nodes if via(one, other)]) >= MOST
    why = WhyAnswers(one.engine.view, one.now)
    for other in nodes[:3] + nodes[4:]:
        named = {decision.subject for decision in why.about(one.engine.view.name(other.index)).decisions}
        assert named == {"link", "relay", "node route" if via(one, other) else "path"}
    for node in nodes:
        node.report(GROUP)
    world.run_until(lambda: all(a.subscribes(b, GROUP) for a in nodes for b in nodes if a is not b), 20.0, 0.1)
    for node in nodes:
        node.send(GROUP, f"from {node.index}")
        world.run(0.5)
    world.run(2.0)
    for node in nodes:
        assert sorted(map(str, delivered(node))) == sorted(f"from {o.index}" for o in nodes if o is not node)


def test_a_stream_goes_over_a_tree_to_all_while_links_change() -> None:
    world, nodes = started(NODES, relaying=Relaying(max_children=4))
    for node in nodes:
        node.report(GROUP)
    source, *others = nodes[4:] + nodes[:4]
    world.run_until(lambda: all(source.subscribes(other, GROUP) for other in others), 20.0, 0.1)
    before = [links_of(node) for node in nodes]
    for number in range(2000):
        source.send(GROUP, number)
        world.run(0.02)
    world.run(2.0)
    assert [links_of(node) for node in nodes] != before
    for node in others:
        assert delivered(node) == list(range(2000)), "none lost, none twice, in their order"
    kinds = {problem.kind for node in nodes for problem in node.engine.problems(node.now)}
    assert kinds <= {"certificate_ends"}


def test_a_death_heals() -> None:
    world, nodes = started(NODES)
    world.run(60)
    dead = nodes[7]
    dead.stop()
    left = alive(world)
    world.run_until(lambda: all(dead.index not in node.peers() for node in left), 60.0, 0.5)
    world.run_until(lambda: all_see_all(left) and all_chosen_are_up(left), 90.0, 0.5)
    assert connected(left)
    for node in left:
        node.report(GROUP)
    world.run_until(lambda: all(a.subscribes(b, GROUP) for a in left for b in left if a is not b), 20.0, 0.1)
    left[0].send(GROUP, "frame")
    world.run(2.0)
    assert all(delivered(node) == ["frame"] for node in left[1:])


def test_a_node_that_comes_back_has_its_place_again() -> None:
    world, nodes = started(NODES)
    world.run(60)
    back = world.restart(nodes[5], peer=nodes[0])
    now = [back if node is nodes[5] else node for node in nodes]
    world.run_until(lambda: all_see_all(now) and all_chosen_are_up(now), 120.0, 0.5)
    assert connected(now)


@pytest.mark.timeout(300)
def test_64_that_start_at_once_by_one_node_all_know_each_other_and_have_few_links() -> None:
    world, nodes = started(64, 8)
    assert all(node.knows(other) for node in nodes for other in nodes)
    assert sum(node.engine.view.drops().get("handshake_links_full", 0) for node in nodes) > 0
    world.run(10)
    assert all(len(links_of(node)) <= ACCEPTED for node in nodes)
    assert connected(nodes)
    nodes[7].report(GROUP)
    world.run_until(lambda: all(node.subscribes(nodes[7], GROUP) for node in nodes if node is not nodes[7]), 5.0)
    nodes[40].send(GROUP, "frame")
    world.run(1.0)
    assert delivered(nodes[7]) == ["frame"]


def test_a_node_without_a_bound_among_those_with_one_has_links_with_all_that_accept_it() -> None:
    world, nodes = started(20)
    world.shared.max_links = None
    nodes.append(world.add(peer=nodes[0]))
    world.run_until(lambda: all_see_all(nodes), LIMIT_S, 0.5)
    world.run(60)
    assert len(links_of(nodes[-1])) == 20
    assert all_see_all(nodes)
