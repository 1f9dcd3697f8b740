"""Rows of ``peers``: every node that is known or sought, in one row, with its state in words."""

from __future__ import annotations

import pytest

from tests.unit.links.shaking import Node, begin, certificate_of, confirm, endpoint_of, report, shake
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_GONE_NODES
from treecast.base.time import Instant
from treecast.links import roster
from treecast.links.peers import DEAD_AFTER
from treecast.links.sessions import AT_ONCE_PER_REVIEW


def states(node: Node, now: float) -> dict[str, str]:
    return {known.name: known.standing for known in node.links.known(Instant(now))}


def test_a_peer_goes_from_connecting_to_up_to_offline_in_one_row() -> None:
    one, two = Node(1), Node(2)
    init = begin(one, two)
    assert states(one, 1.0) == {"peer": "connecting"}
    assert states(one, 6.0) == {"peer": "unreachable"}
    two.hear(6.0, init, 1)
    one.hear(6.0, two.sent()[0], 2)
    assert states(one, 6.0) == {"peer": "unreachable"}, "it has not confirmed"
    one.sent()
    confirm(one, two)
    (known,) = one.links.known(Instant(8.0))
    assert (known.name, known.standing, known.version, known.endpoints) == ("n2", "up", "1.0", (endpoint_of(2),))
    one.links.review(Instant(30.0), report(one, silent_s=DEAD_AFTER))
    (known,) = one.links.known(Instant(60.0))
    assert (known.name, known.standing, known.last_received) == ("n2", "unreachable", 30.0 - DEAD_AFTER)


def test_a_peer_whose_name_has_no_address_is_shown_and_tried_as_soon_as_it_has_one() -> None:
    one, two = Node(1), Node(2)
    one.links.configure(Instant(0.0), "peer", ())
    one.links.advance(Instant(0.0))
    assert one.sent() == []
    assert one.links.next_deadline() is None
    assert states(one, 60.0) == {"peer": "name unresolved"}
    assert one.links.unreached() == ["peer"]
    assert list(one.links.problems(Instant(60.0))) == [], "whoever asks for the name says why"
    init = begin(one, two, 60.0)
    assert states(one, 61.0) == {"peer": "connecting"}
    two.hear(61.0, init, 1)
    one.hear(61.0, two.sent()[0], 2)
    one.sent()
    confirm(one, two)
    assert states(one, 61.0) == {"n2": "up"}


def test_a_node_that_nobody_knows_any_more_is_offline_and_the_list_is_bounded() -> None:
    one = Node(1)
    for index in range(2, 2 + MAX_GONE_NODES + 10):
        other = Node(index % 100 + 2, certificate=certificate_of(index % 100 + 2), epoch=index)
        shake(other, one, float(index))
        one.links.goodbye(Instant(float(index)), NodeIndex(other.index), one.links.peers()[0].current.index)
    known = list(one.links.known(Instant(500.0)))
    assert {row.standing for row in known} == {"offline"}
    assert len(known) == 100 <= MAX_GONE_NODES


def test_of_the_nodes_that_went_so_many_are_remembered_and_those_are_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MAX_GONE_NODES", 3)
    one = Node(1)
    for index in (2, 3, 4, 2, 5, 6):
        shake(Node(index, epoch=index), one, float(index))
        one.links.goodbye(Instant(10.0), NodeIndex(index), one.links.peers()[0].current.index)
    assert [known.node for known in one.links.known(Instant(500.0))] == [2, 5, 6]


def test_a_refused_node_is_shown_with_the_reason() -> None:
    expired, honest = Node(9, certificate=certificate_of(9, not_after_s=999)), Node(2)
    expired.hear(0.0, begin(honest, expired), 2)
    honest.hear(0.0, expired.sent()[0], 9)
    (known,) = honest.links.known(Instant(1.0))
    assert (known.standing, known.why) == ("refused", "certificate expired")


def test_clocks_that_differ_by_more_than_thirty_seconds_are_a_problem_on_both_sides() -> None:
    one, late, near = Node(1), Node(2, ahead_s=-100.0), Node(3, ahead_s=20.0)
    shake(late, one)
    shake(near, one, 1.0)
    (problem,) = one.links.problems(Instant(2.0))
    assert (problem.kind, problem.subject) == ("clock_differs", "n2")
    assert "differ by 100 s: its says 1970-01-01 00:15:02 UTC, this one's 1970-01-01 00:16:42 UTC" in problem.text
    assert [problem.subject for problem in late.links.problems(Instant(2.0))] == ["n1"]


def test_a_node_whose_clock_differs_from_most_is_told_that_its_own_is_wrong() -> None:
    one = Node(1, ahead_s=500.0)
    for index in range(2, 7):
        shake(Node(index), one)
    (problem,) = one.links.problems(Instant(2.0))
    assert (problem.kind, problem.subject) == ("clock_differs", "this node")
    assert "this machine's clock seems to be off" in problem.text
    assert "all 5 linked nodes differ from it by about the same, 500 s" in problem.text


def test_two_peers_that_agree_are_believed_and_two_that_do_not_are_named_each() -> None:
    one = Node(1)
    for index, ahead_s in ((2, 500.0), (3, 502.0)):
        shake(Node(index, ahead_s=ahead_s), one)
    assert [problem.subject for problem in one.links.problems(Instant(2.0))] == ["this node"]
    other = Node(4)
    for index, ahead_s in ((2, 500.0), (3, -400.0)):
        shake(Node(index, ahead_s=ahead_s), other)
    assert [problem.subject for problem in other.links.problems(Instant(2.0))] == ["n2", "n3"]


def test_a_clock_that_was_set_is_told_by_one_handshake_with_each_peer_and_a_slow_drift_by_none() -> None:
    one, two = Node(1), Node(2)
    shake(two, one)
    for now, ahead_s, begun in ((1.0, 4.9, 0), (2.0, 60.0, 1), (13.0, 60.0, 0)):
        one.ahead_s = ahead_s
        one.links.advance(Instant(now))
        one.sent()
        one.links.review(Instant(now), report(one))
        assert len(one.sent()) == begun, now


def test_a_clock_that_was_set_is_told_to_so_many_peers_a_second_and_to_each_once() -> None:
    one, peers = Node(1), AT_ONCE_PER_REVIEW + 20
    for index in range(2, 2 + peers):
        shake(Node(index), one)
    one.ahead_s = 60.0
    begun: list[int] = []
    for second in range(1, 4):
        one.links.advance(Instant(float(second)))
        one.sent()
        one.links.review(Instant(float(second)), report(one))
        begun.append(len(one.sent()))
    assert begun == [AT_ONCE_PER_REVIEW, 20, 0]
