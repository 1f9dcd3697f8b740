"""Problems with other nodes in virtual time: how soon they are reported, and how soon they are over."""

from __future__ import annotations

import pytest

from treecast.daemon.node import REVIEW_INTERVAL
from treecast.sim.world import SimNode, World


def kinds(node: SimNode) -> list[tuple[str, str]]:
    """Of nodes and links; certificates are short here."""
    found = node.engine.problems(node.now)
    return [(problem.kind, problem.subject) for problem in found if problem.kind != "certificate_ends"]


@pytest.mark.parametrize("phase", [0.1, 0.5, 0.999])
def test_a_peer_that_does_not_answer_is_a_problem_within_five_seconds_of_the_start(phase: float) -> None:
    world = World(1)
    silent = world.add()
    silent.stop()
    node = world.add(reach=silent)
    began = node.now
    world.run(phase)
    while not kinds(node):
        world.run(REVIEW_INTERVAL)
        assert node.now - began <= 5.0
    assert kinds(node) == [("peer_unreachable", str(silent.endpoint))]


def test_a_clock_that_is_set_wrong_and_right_again_is_said_and_over_within_seconds_on_all_sides() -> None:
    world = World(2)
    first = world.add()
    second, third = world.add(reach=first), world.add(reach=first)
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
