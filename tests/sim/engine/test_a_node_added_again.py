"""``node add --replace`` with new keys while the old node still runs: said on all nodes, and the new one stays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tests.sim.engine.meshes import is_twice, mesh, must_end, twice
from treecast.engine.following import REPLACED_LINGERS
from treecast.identity.keys import NodeKeys
from treecast.sim.world import UNIX_START_S, SimNode, World


def has(node: SimNode, other: SimNode) -> bool:
    """Whether the node believes this one of the two."""
    certificate = node.engine.view.certificate(other.index)
    return node.is_linked(other) and certificate == other.identity.certificate


@pytest.mark.parametrize("clock_error", [0.0, -3600.0])
@pytest.mark.parametrize("index", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_was_added_again_elsewhere_ends_and_all_nodes_believe_the_new_one(
    seed: int, index: int, clock_error: float
) -> None:
    world = World(seed)
    nodes = mesh(world)
    old = nodes[index]
    others = [node for node in nodes if node is not old]
    new = world.replace(old, peer=others[0], clock_error=clock_error)
    world.run_until(lambda: all(has(node, new) for node in others), 60)
    world.run_until(lambda: all(twice(node) for node in others), 60)
    for node in others:
        (problem,) = twice(node)
        assert str(old.endpoint) in problem.text
        assert str(new.endpoint) in problem.text
    world.run_until(lambda: all(node.engine.drops.snapshot().get("certificate_replaced") for node in others), 60)
    reason = old.engine.must_end(world.underlay.now)
    assert reason is not None
    assert "was added again on" in str(reason)
    assert new.engine.must_end(world.underlay.now) is None
    old.stop()
    for _ in range(120):
        world.run(1.0)
        assert new.engine.must_end(world.underlay.now) is None
        assert all(has(node, new) for node in others)
    assert not any(twice(node) for node in (*others, new))


def test_a_node_that_was_added_again_by_a_clock_that_was_set_back_counts_all_the_same() -> None:
    world = World(8)
    hub, witness, old = mesh(world, not_before_s=int(UNIX_START_S))
    keys = NodeKeys.from_seeds(bytes(range(32)), bytes(range(1, 33)))
    certificate = world.certify(old.index, keys, not_before_s=int(UNIX_START_S) - 86_400)
    identity = replace(old.identity, certificate=certificate, keys=keys)
    new = SimNode(world, identity, int((UNIX_START_S + world.underlay.now) * 1000), machine=1)
    new.add_static_peer(hub)
    assert new.identity.certificate.not_before_s < old.identity.certificate.not_before_s
    world.run_until(lambda: has(hub, new) and has(witness, new), 60)
    world.run_until(partial(must_end, old), 60)
    assert new.engine.must_end(world.underlay.now) is None


def test_a_node_that_is_added_again_after_the_old_one_was_stopped_is_no_problem() -> None:
    world = World(5)
    hub, witness, old = mesh(world)
    old.carry_out(old.engine.goodbye())
    old.stop()
    new = world.replace(old, peer=hub)
    for _ in range(60):
        world.run(1.0)
        assert not any(twice(node) for node in (hub, witness, new))
    assert has(hub, new)
    assert has(witness, new)


def test_the_old_directory_started_again_is_refused_and_says_so() -> None:
    world = World(6)
    hub, witness, old = mesh(world)
    old.stop()
    new = world.replace(old, peer=hub)
    world.run_until(lambda: has(hub, new) and has(witness, new), 60)
    again = world.restart(old, peer=hub)
    world.run_until(lambda: bool(twice(hub)), 60)
    world.run(1)
    (problem,) = twice(hub)
    assert str(again.endpoint) in problem.text
    assert str(new.endpoint) in problem.text
    refused = [problem for problem in again.engine.problems(again.now) if problem.kind == "refused_by_peer"]
    assert refused
    assert "was added again" in refused[0].text
    world.run(60)
    assert has(hub, new)
    assert has(witness, new)


def are_told(one: SimNode, other: SimNode) -> bool:
    return is_twice(one) and is_twice(other)


def test_the_others_know_of_both_though_the_old_node_ends_at_once_and_takes_its_leave() -> None:
    for seed in range(4):
        world = World(seed)
        hub, witness, old = mesh(world)
        new = world.replace(old, peer=hub)
        world.run_until(partial(must_end, old), 60)
        old.carry_out(old.engine.goodbye())
        old.stop()
        world.run_until(partial(are_told, hub, witness), 5)
        world.run_until(partial(has, witness, new), 20)
        for node in (hub, witness):
            (problem,) = twice(node)
            assert str(old.endpoint) in problem.text
            assert str(new.endpoint) in problem.text


def test_the_link_with_a_replaced_node_lingers_so_that_it_learns_of_that_though_it_reaches_nobody_else() -> None:
    world = World(7)
    hub, witness, old = mesh(world)

    def bar(*pairs: tuple[SimNode, SimNode]) -> None:
        world.underlay.heal()
        for one, other in pairs:
            world.underlay.cut(one.endpoint, other.endpoint)
            world.underlay.cut(other.endpoint, one.endpoint)

    new = world.replace(old, peer=hub)
    apart = ((hub, old), (witness, new))
    bar(*apart, (witness, old))
    world.run_until(lambda: witness.engine.view.certificate(old.index) == new.identity.certificate, 20)
    assert witness.is_linked(old)
    world.run(REPLACED_LINGERS / 2)
    assert old.engine.must_end(world.underlay.now) is None
    bar(*apart)
    lingered = REPLACED_LINGERS / 2 + world.run_until(lambda: not witness.is_linked(old), 10)
    assert REPLACED_LINGERS <= lingered < REPLACED_LINGERS + 1.5
    assert old.engine.must_end(world.underlay.now) is not None


def test_two_nodes_of_one_index_and_two_names_are_both_named_and_neither_was_added_again() -> None:
    """The network's directory was copied, and a node was added in each copy."""
    world = World(7)
    hub, witness, erin = mesh(world)
    fred = world.replace(erin, peer=hub, name="fred")
    world.run_until(lambda: bool(twice(hub) and twice(witness)), 60)
    world.run_until(lambda: erin.engine.must_end(world.underlay.now) is not None, 60)
    sentence = erin.engine.must_end(world.underlay.now)
    for text in (twice(hub)[0].text, twice(witness)[0].text, str(sentence)):
        assert "n3 and fred have the same index 3: the network's directory was used in two places" in text
        assert "--replace" not in text
        assert "delete" not in text
    assert str(erin.endpoint) in twice(hub)[0].text
    assert str(fred.endpoint) in twice(hub)[0].text


def test_two_nodes_of_one_name_and_two_indices_are_one_problem_on_all_nodes_until_one_is_gone() -> None:
    world = World(8)
    hub, witness, erin = mesh(world)
    other = world.add(peer=hub, name="n3")
    world.run(10.0)
    for node in (hub, witness, erin, other):
        (text,) = [problem.text for problem in node.engine.problems(node.now) if problem.kind == "name_twice"]
        assert f"2 nodes are called n3 (by index: n3 at {erin.endpoint}, n4 at {other.endpoint})" in text
    other.carry_out(other.engine.goodbye())
    other.stop()
    world.run(100.0)
    assert "name_twice" not in {problem.kind for problem in hub.engine.problems(hub.now)}


@pytest.mark.parametrize("name", ["n2", "fred"])
def test_two_nodes_of_one_index_that_meet_at_one_common_neighbour_only_are_named_there_and_the_older_has_both_causes(
    name: str,
) -> None:
    """The newer one is in the right as far as it can know: no message to it has anything of the other."""
    world = World(9)
    hub = world.add()
    older = world.add(peer=hub)
    world.run(10.0)
    newer = world.replace(older, peer=hub, name=name)
    world.underlay.cut(newer.endpoint, older.endpoint)
    world.underlay.cut(older.endpoint, newer.endpoint)
    world.run(10.0)
    (both,) = twice(hub)
    assert str(older.endpoint) in both.text
    assert str(newer.endpoint) in both.text
    (refused,) = [problem for problem in older.engine.problems(older.now) if problem.kind == "refused_by_peer"]
    assert "n2 was added again (treecast node add n2 --replace), so start it with its new directory" in refused.text
    assert "or the network's directory was used in two places, so add n2 again from one of them" in refused.text
    assert has(hub, newer)
    assert newer.engine.must_end(newer.now) is None
