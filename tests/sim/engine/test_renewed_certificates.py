"""A node takes a renewed certificate while it runs."""

from __future__ import annotations

from treecast.base.problems import Problem
from treecast.sim.world import UNIX_START_S, SimNode, World

LIFE_S = 400.0
LONG_S = 1e9


def renew(world: World, node: SimNode, lifetime: float) -> None:
    certificate = world.certify(node.index, node.identity.keys, lifetime, not_before_s=1)
    node.carry_out(node.engine.renew(node.now, certificate))


def ends(node: SimNode) -> list[Problem]:
    return [problem for problem in node.engine.problems(node.now) if problem.kind == "certificate_ends"]


def test_links_and_streams_go_on_past_the_end_of_the_certificate_before() -> None:
    world = World(1)
    first = world.add(lifetime=LONG_S)
    second = world.add(peer=first, lifetime=LIFE_S)
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 20.0)
    second.report("239.1.1.1")
    world.run_until(lambda: first.subscribes(second, "239.1.1.1"), 5.0)
    world.run(LIFE_S - 30.0)
    assert [[problem.subject for problem in ends(node)] for node in (first, second)] == [["n2"], ["n2"]]
    sent = []
    for number in range(80):
        sent.append(f"frame {number}")
        first.send("239.1.1.1", sent[-1])
        if number == 10:
            renew(world, second, LONG_S)
        world.run(1.0)
    assert second.forwarder.delivered == sent
    assert [ends(node) for node in (first, second)] == [[], []]
    assert first.is_linked(second) and second.is_linked(first)
    newcomer = world.add(peer=second)
    world.run_until(lambda: newcomer.is_linked(second), 20.0)
    known = newcomer.engine.view.certificate(second.index)
    assert known is not None and known.not_before_s == 1
    assert not any("certificate_expired" in node.engine.view.drops() for node in (first, second, newcomer))


def test_a_renewal_by_a_clock_that_was_set_back_counts_at_all_nodes() -> None:
    world = World(3)
    first = world.add(lifetime=LONG_S)
    second = world.add(peer=first, lifetime=LIFE_S, not_before_s=int(UNIX_START_S))
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 20.0)
    renew(world, second, LONG_S)
    world.run(LIFE_S + 60.0)
    assert first.is_linked(second) and second.is_linked(first), "past the end of the one before"
    known = first.engine.view.certificate(second.index)
    assert known is not None and known.not_before_s == 1


def test_a_node_whose_certificate_has_ended_is_a_member_again_with_the_next_one() -> None:
    world = World(2)
    first = world.add(lifetime=LONG_S)
    second = world.add(peer=first, lifetime=30.0)
    world.run_until(lambda: first.is_linked(second), 20.0)
    world.run_until(lambda: not first.is_linked(second), 60.0)
    world.run(60.0)
    renew(world, second, LONG_S)
    world.run_until(lambda: first.is_linked(second) and second.is_linked(first), 60.0)
    assert [ends(node) for node in (first, second)] == [[], []]
    assert not [problem for problem in second.engine.problems(second.now) if problem.kind == "refused_by_peer"]
