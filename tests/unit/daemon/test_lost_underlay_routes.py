"""A linked node without a route is said while its link is up, and until its being out of reach is."""

from __future__ import annotations

from ipaddress import ip_address

from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.lost_underlay_routes import HELD, SHOWN, LostUnderlayRoutes
from treecast.links.reachability import UNREACHED_AFTER

ONE, TWO = ip_address("192.0.2.1"), ip_address("2001:db8::2")


def problems(lost: LostUnderlayRoutes) -> list[Problem]:
    return list(lost.problems(lambda address: False))


def test_a_linked_node_is_a_problem_from_the_look_that_finds_no_route_to_the_one_that_does() -> None:
    lost = LostUnderlayRoutes(lambda: {ONE: "n1", TWO: "n2"})
    lost.look([ONE, TWO], {ONE: None})
    (problem,) = problems(lost)
    assert (problem.kind, problem.subject) == ("underlay_route_lost", "n2")
    assert problem.text == (
        "this machine has no route any more to n2 (2001:db8::2), so what it sends there is lost, and the link will "
        "end: check this machine's routes (ip route get 2001:db8::2)"
    )
    lost.look([ONE], {ONE: None})
    assert problems(lost) == [problem]
    lost.look([TWO], {TWO: None})
    assert problems(lost) == []


def test_it_stays_one_until_the_node_out_of_reach_is_one() -> None:
    assert HELD > UNREACHED_AFTER + 1.0, "problems are reviewed once a second"
    lost = LostUnderlayRoutes(lambda: {ONE: "n1"})
    lost.look([ONE], {})
    for now, linked in ((0.0, {ONE}), (10.0, set()), (10.0 + HELD - 0.1, set())):
        lost.keep(Instant(now), linked)
        assert len(problems(lost)) == 1, now
    lost.keep(Instant(10.0 + HELD), set())
    assert problems(lost) == []


def test_many_are_one_problem_and_those_that_another_one_explains_none() -> None:
    addresses = [ip_address(f"192.0.2.{number}") for number in range(1, SHOWN + 3)]
    lost = LostUnderlayRoutes(lambda: {address: f"n{number}" for number, address in enumerate(addresses)})
    lost.look(addresses, {})
    (problem,) = problems(lost)
    assert problem.subject == "many"
    assert "to n0 (192.0.2.1), n1 (192.0.2.2), n2 (192.0.2.3), n3 (192.0.2.4) and 2 more, so" in problem.text
    assert list(lost.problems(lambda address: True)) == []


def test_an_address_at_which_no_node_is_linked_is_no_problem() -> None:
    lost = LostUnderlayRoutes(dict)
    lost.look([ONE], {})
    assert problems(lost) == []
