"""Nodes that cannot be tried: the reason is in this node's options or this machine's routes, and nobody is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from tests.unit.links.shaking import Node, begin, endpoint_of, report, shake
from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.links.peers import DEAD_AFTER
from treecast.links.reachability import KNOWN_UNREACHED_AFTER, LOOKUPS_PER_REVIEW, UNREACHED_AFTER

PEER = "192.0.2.2:7700"
LOST_AT = 20.0


def problems(node: Node, now: float) -> list[Problem]:
    return list(node.links.problems(Instant(now)))


def test_a_peer_of_a_family_that_this_node_has_not_is_not_blamed_for_it() -> None:
    one = Node(1)
    one.links.configure(Instant(0.0), "carol", (Endpoint.parse("[2001:db8::3]:7700"),))
    (problem,) = problems(one, UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("peer_unreachable", "carol")
    said = "peer carol cannot be tried ([2001:db8::3]:7700): only IPv6 leads there, and this node listens on IPv4 only"
    assert said in problem.text
    assert "firewall" not in problem.text


def test_a_peer_that_this_machine_has_no_route_to_is_not_blamed_for_it_while_that_is_so() -> None:
    one = Node(1)
    begin(one, Node(2))
    one.unroutable = {endpoint_of(2).address}
    (problem,) = problems(one, UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("peer_unreachable", "peer")
    assert (
        f"peer peer cannot be tried ({PEER}): this machine has no route there: check this machine's addr"
        in problem.text
    )
    assert "firewall" not in problem.text
    one.unroutable = set()
    (problem,) = problems(one, UNREACHED_AFTER + 1.0)
    assert f"peer peer does not answer (tried {PEER})" in problem.text


def test_a_node_that_listens_on_loopback_only_blames_no_peer_elsewhere() -> None:
    one = Node(1)
    one.loopback[4] = IPv4Address("127.0.0.1")
    begin(one, Node(2))
    one.links.configure(Instant(0.0), "near", (Endpoint.parse("127.0.0.1:7701"),))
    near, far = sorted(problems(one, UNREACHED_AFTER), key=lambda problem: problem.subject)
    assert "peer near does not answer" in near.text
    assert (far.kind, far.subject) == ("peer_unreachable", "peer")
    assert f"peer peer cannot be tried ({PEER}): this node listens on 127.0.0.1 only, from which noth" in far.text
    assert "start it with another --listen" in far.text
    assert "firewall" not in far.text
    one.links.learn(Instant(UNREACHED_AFTER), NodeIndex(3), (endpoint_of(3),), "n3")
    known = {problem.kind: problem for problem in problems(one, UNREACHED_AFTER + KNOWN_UNREACHED_AFTER)}
    assert "node n3 cannot be tried" in known["node_unreachable"].text
    assert "hosts and groups are out of reach: start it with another" in known["node_unreachable"].text


def test_a_linked_node_that_this_machine_loses_its_route_to_is_not_blamed_whether_it_is_heard_or_not() -> None:
    one, two = Node(1), Node(2)
    shake(two, one)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2),), "n2")
    one.unroutable = {endpoint_of(2).address}
    for node in (one, two):
        node.links.review(Instant(10.0), report(node, silent_s=DEAD_AFTER))
    (problem,) = problems(one, 10.0 + KNOWN_UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("node_unreachable", "n2")
    assert f"node n2 cannot be tried ({PEER}): this machine has no route there; its hosts and" in problem.text
    one.hear(11.0 + KNOWN_UNREACHED_AFTER, begin(two, one, 11.0 + KNOWN_UNREACHED_AFTER), 2)
    (problem,) = problems(one, 12.0 + KNOWN_UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("peer_one_way", "n2")
    assert f"peer n2 is heard but cannot be answered ({PEER}): this machine has no route there; its" in problem.text
    assert "(ip route get 192.0.2.2)" in problem.text
    assert "firewall" not in problem.text


def linked_then_lost(one: Node, others: Sequence[Node]) -> None:
    """The links are lost at ``LOST_AT``, and one more is up; the nodes are known from others."""
    for other in (*others, Node(9)):
        shake(one, other) if other.index == 2 else shake(other, one)
    for other in (*others, Node(9)):
        one.links.learn(Instant(0.0), NodeIndex(other.index), (endpoint_of(other.index),), f"n{other.index}")
    lost = {other.index for other in others}
    reports = [each for each in report(one, silent_s=DEAD_AFTER) if each.peer in lost]
    one.links.review(Instant(LOST_AT), reports)


def test_a_linked_node_that_this_machine_has_no_route_to_any_more_is_said_within_five_seconds_of_the_loss() -> None:
    """A configured peer that others know, too; n3 may have died, and has the time that others get."""
    one = Node(1)
    linked_then_lost(one, (Node(2), Node(3)))
    assert problems(one, LOST_AT + UNREACHED_AFTER) == []
    one.unroutable = {endpoint_of(2).address}
    assert problems(one, LOST_AT + UNREACHED_AFTER - 0.1) == []
    (problem,) = problems(one, LOST_AT + UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("node_unreachable", "n2")
    assert "node n2 cannot be tried" in problem.text
    assert "this machine has no route there" in problem.text
    known = {each.name: each.standing for each in one.links.known(Instant(LOST_AT + UNREACHED_AFTER))}
    assert (known["n2"], known["n3"]) == ("unreachable", "connecting")
    one.unroutable = set()
    assert problems(one, LOST_AT + UNREACHED_AFTER + 1.0) == []
    subjects = [problem.subject for problem in problems(one, LOST_AT + KNOWN_UNREACHED_AFTER)]
    assert subjects == ["n2", "n3"]


def test_a_linked_node_without_a_route_that_is_heard_is_said_as_early() -> None:
    one, two = Node(1), Node(2)
    linked_then_lost(one, (two,))
    one.unroutable = {endpoint_of(2).address}
    one.hear(LOST_AT + 1.0, begin(Node(2, epoch=2), one, LOST_AT + 1.0), 2)
    (problem,) = problems(one, LOST_AT + UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("peer_one_way", "n2")
    assert "is heard but cannot be answered" in problem.text


def test_a_node_without_a_route_that_is_said_stays_a_problem_when_all_links_are_lost_after_that() -> None:
    one = Node(1)
    linked_then_lost(one, (Node(2),))
    shake(Node(8), one)
    one.unroutable = {endpoint_of(2).address}
    at = LOST_AT + UNREACHED_AFTER + 1.0
    one.links.review(Instant(at), report(one, silent_s=DEAD_AFTER))
    for later in (0.0, 1.0, KNOWN_UNREACHED_AFTER, 60.0):
        assert [problem.subject for problem in problems(one, at + later)] == ["this node", "n2"], f"{later} s later"


def test_routes_to_nodes_that_were_linked_are_looked_up_for_some_in_one_review() -> None:
    one = Node(1)
    others = [Node(number) for number in range(10, 13 + LOOKUPS_PER_REVIEW)]
    linked_then_lost(one, others)
    one.unroutable = {endpoint_of(other.index).address for other in others}
    one.looked_up.clear()
    assert len(problems(one, LOST_AT + UNREACHED_AFTER)) == LOOKUPS_PER_REVIEW
    assert len(one.looked_up) == LOOKUPS_PER_REVIEW


def test_routes_to_many_unreached_nodes_are_looked_up_for_some_in_one_review() -> None:
    one = Node(1)
    numbers = range(2, 3 + LOOKUPS_PER_REVIEW)
    for number in numbers:
        one.links.learn(Instant(0.0), NodeIndex(number), (endpoint_of(number),), f"n{number}")
    one.unroutable = {endpoint_of(number).address for number in numbers}
    texts = [problem.text for problem in problems(one, KNOWN_UNREACHED_AFTER)]
    assert ["no route there" in text for text in texts] == [True] * LOOKUPS_PER_REVIEW + [False]


def test_a_peer_that_is_a_broadcast_address_is_told_from_one_that_does_not_answer() -> None:
    one = Node(1)
    begin(one, Node(2))
    one.broadcast = {endpoint_of(2).address}
    (problem,) = problems(one, UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("peer_unreachable", "peer")
    assert f"peer peer cannot be tried ({PEER}): that is a subnet's broadcast address, which is no" in problem.text


def test_a_peer_at_an_address_without_a_route_is_no_problem_while_the_node_there_is_linked_by_another() -> None:
    one, two, other = Node(1), Node(2), endpoint_of(12)
    shake(two, one)
    one.links.configure(Instant(0.0), str(other), (other,))
    one.unroutable = {other.address}
    assert [problem.subject for problem in problems(one, UNREACHED_AFTER)] == [str(other)]
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2), other), "n2")
    assert problems(one, UNREACHED_AFTER) == []
    assert [known.name for known in one.links.known(Instant(UNREACHED_AFTER))] == ["n2"]
    one.unroutable = set()
    assert [problem.subject for problem in problems(one, UNREACHED_AFTER)] == [str(other)]
    one.unroutable = {other.address}
    one.links.review(Instant(10.0), report(one, silent_s=DEAD_AFTER))
    assert str(other) in [problem.subject for problem in problems(one, 10.0 + KNOWN_UNREACHED_AFTER)]
