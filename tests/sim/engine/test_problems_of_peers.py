"""Problems with other nodes in virtual time: how soon they are reported, and how soon they are over."""

from __future__ import annotations

import pytest

from treecast.daemon.node import REVIEW_INTERVAL
from treecast.sim.world import UNIX_START_S, SimNode, World


def kinds(node: SimNode) -> list[tuple[str, str]]:
    """The problems of nodes and links; certificates are short here."""
    found = node.engine.problems(node.now)
    return [(problem.kind, problem.subject) for problem in found if problem.kind != "certificate_ends"]


@pytest.mark.parametrize("phase", [0.1, 0.5, 0.999])
def test_a_peer_that_does_not_answer_is_a_problem_within_five_seconds_of_the_start(phase: float) -> None:
    world = World(1)
    silent = world.add()
    silent.stop()
    node = world.add(peer=silent)
    began = node.now
    world.run(phase)
    while not kinds(node):
        world.run(REVIEW_INTERVAL)
        assert node.now - began <= 5.0
    assert kinds(node) == [("peer_unreachable", str(silent.endpoint))]


def test_a_clock_that_is_set_wrong_and_right_again_is_said_and_over_within_seconds_on_all_sides() -> None:
    world = World(2)
    first = world.add()
    second, third = world.add(peer=first), world.add(peer=first)
    world.run(10.0)
    assert [kinds(node) for node in (first, second, third)] == [[], [], []]
    second.clock_error = 60.0
    world.run(3.0)
    assert [kinds(node) for node in (first, second, third)] == [
        [("clock_differs", "n2")],
        [("clock_differs", "this node")],
        [("clock_differs", "n2")],
    ]
    second.clock_error = 0.0
    world.run(3.0)
    assert [kinds(node) for node in (first, second, third)] == [[], [], []]


def test_a_node_that_ended_before_another_one_starts_is_no_problem_there() -> None:
    world = World(3)
    first = world.add()
    second, leaves = world.add(peer=first), world.add(peer=first)
    world.run(10.0)
    leaves.carry_out(leaves.engine.goodbye())
    world.run(0.1)
    leaves.stop()
    world.run(0.5)
    newcomer = world.add(peer=first)
    for second_s in range(70):
        world.run(1.0)
        assert kinds(newcomer) == kinds(second) == [], second_s
        if second_s == 20:
            assert newcomer.knows(leaves), "by what it advertised"


def test_a_node_that_the_newcomer_alone_cannot_reach_is_reached_by_another_one_and_no_problem() -> None:
    world = World(4)
    first = world.add()
    second = world.add(peer=first)
    world.run(10.0)
    newcomer = world.add(peer=first)
    world.underlay.cut(newcomer.endpoint, second.endpoint)
    world.underlay.cut(second.endpoint, newcomer.endpoint)
    world.run(20.0)
    assert newcomer.is_linked(second)
    assert kinds(newcomer) == kinds(first) == []
    first.stop()
    world.run(30.0)
    assert not newcomer.is_linked(second)
    assert [subject for kind, subject in kinds(newcomer) if kind == "node_unreachable"] == ["n1"]


def texts(node: SimNode) -> dict[str, str]:
    return {problem.kind: problem.text for problem in node.engine.problems(node.now)}


def test_a_clock_far_in_the_future_is_the_suspect_wherever_a_certificate_is_said_to_have_expired() -> None:
    world = World(5)
    first = world.add()
    wrong, third = world.add(peer=first), world.add(peer=first)
    world.run(10.0)
    wrong.clock_error = 40 * 86_400.0
    for _ in range(60):
        world.run(1.0)
        assert "all_links_lost" not in texts(wrong), "no cable is to blame"
    refused, ends = texts(wrong)["peer_refused"], texts(wrong)["certificate_ends"]
    told = texts(first)["refused_by_peer"], texts(third)["refused_by_peer"]
    for text in (refused, ends, *told):
        assert "2027-02-24" in text, text
        assert "2027-01-15" in text, text
        assert "set the one that is wrong; only if" in text, text


def test_a_clock_in_the_past_is_said_on_both_sides_for_as_long_as_it_is_and_over_as_soon_as_it_is_set() -> None:
    world = World(6)
    nodes = [world.add(not_before_s=int(UNIX_START_S))]
    nodes += [world.add(peer=nodes[0], not_before_s=int(UNIX_START_S)) for _ in range(2)]
    world.run(10.0)
    nodes[1].clock_error = -400 * 86_400.0
    world.run(3.0)
    while len(nodes[1].peers()) == 2:
        assert [[kind for kind, _ in kinds(node)] for node in nodes] == [["clock_differs"]] * 3
        world.run(1.0)
        assert world.underlay.now < 240.0
    world.run(15.0)
    assert "2025-12-11 08:0" in texts(nodes[0])["refused_by_peer"]
    nodes[1].clock_error = 0.0
    while len(nodes[1].peers()) < 2:
        world.run(1.0)
        assert texts(nodes[1]).keys() <= {"peer_refused", "certificate_ends"}
        assert world.underlay.now < 260.0
    world.run(3.0)
    assert [kinds(node) for node in nodes] == [[], [], []]
