"""Nodes out of reach: each is one sentence that says why, as far as this node can know."""

from __future__ import annotations

import pytest

from tests.unit.links.shaking import OTHER_CA, Node, begin, certificate_of, endpoint_of, report, shake
from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_NOTICED_ENDPOINTS
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.daemon.node import REVIEW_INTERVAL
from treecast.links.attempts import ATTEMPT_LIFETIME, LAST_INIT_INTERVAL
from treecast.links.noticed import Noticed
from treecast.links.peers import DEAD_AFTER
from treecast.links.reachability import FOREIGN_LIFETIME, KNOWN_UNREACHED_AFTER, UNREACHED_AFTER
from treecast.links.refusals import REFUSED_LIFETIME
from treecast.links.targets import FIRST_RECALL_PAUSE

PEER = "192.0.2.2:7700"
SOUGHT_S = 12.0


def problems(node: Node, now: float) -> list[Problem]:
    return list(node.links.problems(Instant(now)))


def seek(node: Node, *numbers: int) -> None:
    """Nodes of another network send an INIT each every two seconds, the last at SOUGHT_S."""
    for second in range(0, int(SOUGHT_S) + 1, 2):
        for number in numbers:
            node.links.foreign(Instant(float(second)), endpoint_of(number))


def kinds(node: Node, now: float) -> list[tuple[str, str]]:
    return [(problem.kind, problem.subject) for problem in problems(node, now)]


def test_a_configured_peer_that_does_not_answer_is_said_within_five_seconds_whenever_problems_are_reviewed() -> None:
    assert UNREACHED_AFTER + REVIEW_INTERVAL <= 4.75, "the start takes some time, too"
    assert UNREACHED_AFTER > 3.5, "INIT was sent four times"


def test_a_configured_peer_that_does_not_answer_is_a_problem_once_it_has_no_link_for_that_long() -> None:
    one = Node(1)
    begin(one, Node(2))
    assert problems(one, UNREACHED_AFTER - 0.1) == []
    (problem,) = problems(one, UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("peer_unreachable", "peer")
    assert PEER in problem.text
    assert "another network, which answers no stranger (its log says foreign_network then)" in problem.text
    assert "or its network.json has another key: check" in problem.text


def test_a_peer_whose_handshake_never_ends_does_not_answer_either() -> None:
    one, two = Node(1), Node(2)
    for now in (0.0, 6.0):
        two.hear(now, begin(one, two, now), 1)
        one.hear(now, two.sent()[0], 2)
        one.links.advance(Instant(now + 5.5))
        one.sent()
    assert kinds(one, 11.5) == [("peer_unreachable", "peer")]


def test_a_peer_that_is_this_node_itself_is_named_so() -> None:
    one = Node(1)
    one.hear(0.0, begin(one, one), 1)
    (problem,) = problems(one, 1.0)
    assert (problem.kind, problem.text) == (
        "peer_is_this_node",
        "peer peer is this node itself, or something there sends its datagrams back: name another node with --peer",
    )


def test_a_node_known_from_others_whose_address_this_node_has_now_is_no_wrong_peer() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(1),), "n2")
    one.links.advance(Instant(0.0))
    (init,) = one.sent()
    one.hear(0.0, init, 1)
    assert kinds(one, 1.0) == [("node_unreachable", "n2")]
    assert "this node is now" in problems(one, 1.0)[0].text


def test_a_node_that_ended_before_this_one_started_at_its_address_is_offline_and_no_problem() -> None:
    """This machine ran another node before; what that advertised outlasts it by up to a minute."""
    one = Node(1)
    one.listed = False
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(1),), "carol")
    one.links.advance(Instant(0.0))
    (init,) = one.sent()
    one.hear(0.0, init, 1)
    assert problems(one, 1.0) == []
    one.links.foreign(Instant(1.0), endpoint_of(1))
    assert problems(one, 1.0) == []
    assert [known.standing for known in one.links.known(Instant(1.0))] == ["offline"]


def test_a_node_whose_link_this_one_lost_itself_is_not_said_to_be_known_from_others() -> None:
    one, two = Node(1), Node(2)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2),), "n2")
    shake(two, one)
    one.links.review(Instant(30.0), report(one, silent_s=DEAD_AFTER))
    (problem,) = problems(one, 30.0 + KNOWN_UNREACHED_AFTER)
    assert problem.text.startswith("node n2 was linked and cannot be now (tried 192.0.2.2:7700);")


def test_a_peer_of_another_network_is_known_by_its_handshakes() -> None:
    one = Node(1)
    begin(one, Node(2))
    one.links.foreign(Instant(1.0), endpoint_of(2))
    (problem,) = problems(one, 1.0)
    assert (problem.kind, problem.subject) == ("peer_of_another_network", "peer")
    assert "another network, or one with another network key: check the address, and that" in problem.text
    assert kinds(one, 1.0 + FOREIGN_LIFETIME) == [("peer_unreachable", "peer")]


@pytest.mark.parametrize("mistake", ["silent", "foreign", "heard"])
def test_a_peer_that_is_called_by_its_address_is_said_to_be_there_once(mistake: str) -> None:
    one, two = Node(1), Node(2)
    one.links.configure(Instant(0.0), PEER, (endpoint_of(2),))
    one.links.advance(Instant(0.0))
    one.sent()
    if mistake == "foreign":
        one.links.foreign(Instant(5.0), endpoint_of(2))
    if mistake == "heard":
        one.hear(5.0, begin(two, one, 5.0), 2)
    (problem,) = problems(one, 6.0)
    assert (problem.subject, problem.text.count(PEER)) == (PEER, 1), problem.text


def test_a_known_node_whose_address_is_of_another_network_now_is_out_of_reach_and_no_wrong_peer() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2),), "n2")
    one.links.foreign(Instant(0.0), endpoint_of(2))
    (problem,) = problems(one, 1.0)
    assert (problem.kind, problem.subject) == ("node_unreachable", "n2")
    assert (
        f"where it was last ({PEER}) there is a node of another network now, or one with another network key"
        in problem.text
    )
    assert "--peer" not in problem.text


def test_handshakes_of_another_network_may_come_without_a_peer_option_and_that_is_not_denied() -> None:
    one = Node(1)
    seek(one, 5)
    (problem,) = problems(one, SOUGHT_S)
    assert "if not, nothing is wrong here" in problem.text
    assert "from its --peer, or from nodes that it knows or knew" in problem.text


def test_a_node_of_another_network_that_seeks_this_one_no_more_is_soon_no_problem() -> None:
    one = Node(1)
    seek(one, 5)
    assert FOREIGN_LIFETIME <= 10.0
    assert 4 * LAST_INIT_INTERVAL <= FOREIGN_LIFETIME, "INITs that are lost end nothing"
    assert kinds(one, SOUGHT_S + FOREIGN_LIFETIME - 0.1) != []
    assert problems(one, SOUGHT_S + FOREIGN_LIFETIME) == []


def test_a_node_of_another_network_that_only_remembers_this_address_is_no_problem_however_often_it_tries() -> None:
    one, began = Node(1), 0.0
    for pause in (FIRST_RECALL_PAUSE, *(FIRST_RECALL_PAUSE * 2**n for n in range(6))):
        for tenth in range(int(10 * ATTEMPT_LIFETIME)):
            if tenth % 15 == 0:
                one.links.foreign(Instant(began + tenth / 10), endpoint_of(5))
            assert problems(one, began + tenth / 10) == []
        began += pause


def test_a_problem_with_another_network_outlasts_handshakes_that_are_lost() -> None:
    one = Node(1)
    seek(one, 5)
    for now in (SOUGHT_S + 6.0, SOUGHT_S + 12.0, SOUGHT_S + 20.0):
        assert kinds(one, now) == [("foreign_network", str(endpoint_of(5)))]
        one.links.foreign(Instant(now), endpoint_of(5))


def test_handshakes_of_another_network_are_a_problem_of_the_address_that_they_come_from() -> None:
    one = Node(1)
    seek(one, 5, 6)
    assert sorted(kinds(one, SOUGHT_S)) == [("foreign_network", str(endpoint_of(number))) for number in (5, 6)]
    assert all(problem.subject in problem.text for problem in problems(one, SOUGHT_S))


def test_handshakes_under_the_address_of_a_linked_peer_name_nobody_there_and_those_of_others_do() -> None:
    """Anybody can send a datagram with a wrong MAC from an address that is another one's."""
    one, two = Node(1), Node(2)
    shake(two, one)
    seek(one, 2, 5)
    assert kinds(one, SOUGHT_S) == [("foreign_network", str(endpoint_of(5)))]
    for second in range(int(SOUGHT_S), 100):
        one.links.review(Instant(float(second)), report(one))
        one.links.foreign(Instant(float(second)), endpoint_of(2))
        assert ("foreign_network", str(endpoint_of(2))) not in kinds(one, float(second))
    one.links.review(Instant(100.0), report(one, silent_s=DEAD_AFTER))
    assert all(kind != "foreign_network" for kind, _ in kinds(one, 100.0)), "what came before its link ended is nothing"


def test_handshakes_of_another_network_from_many_addresses_are_one_problem() -> None:
    one = Node(1)
    seek(one, *range(100, 200))
    (problem,) = problems(one, SOUGHT_S)
    assert (problem.kind, problem.subject) == ("foreign_network", "many")
    assert "192.0.2.199:7700, 192.0.2.198:7700, 192.0.2.197:7700, 192.0.2.196:7700 and 96 more" in problem.text
    assert problems(one, SOUGHT_S + FOREIGN_LIFETIME) == []


def test_a_peer_that_is_heard_but_does_not_hear_is_told_from_one_that_is_silent() -> None:
    one, two = Node(1), Node(2)
    begin(one, two)
    one.hear(4.0, begin(two, one), 2)
    assert kinds(one, 6.0) == [("peer_one_way", "peer")]


def test_a_node_known_from_others_that_cannot_be_linked_is_one_problem_with_its_name() -> None:
    one = Node(1)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2), endpoint_of(3)), "bob")
    assert problems(one, KNOWN_UNREACHED_AFTER - 0.1) == []
    (problem,) = problems(one, KNOWN_UNREACHED_AFTER)
    assert (problem.kind, problem.subject) == ("node_unreachable", "bob")
    assert "192.0.2.2:7700, 192.0.2.3:7700" in problem.text
    assert "hosts and groups are out of reach" in problem.text
    one.links.forget(NodeIndex(2))
    assert problems(one, KNOWN_UNREACHED_AFTER) == []


def test_a_known_node_with_which_nobody_has_a_link_is_offline_unless_this_node_lost_it_itself() -> None:
    one, two = Node(1), Node(2)
    one.listed = False
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2),), "n2")
    assert problems(one, KNOWN_UNREACHED_AFTER) == []
    assert [known.standing for known in one.links.known(Instant(KNOWN_UNREACHED_AFTER))] == ["offline"]
    shake(two, one, 20.0)
    one.links.review(Instant(30.0), report(one, silent_s=DEAD_AFTER))
    assert kinds(one, 30.0 + KNOWN_UNREACHED_AFTER) == [("node_unreachable", "n2")]


def test_a_node_that_said_goodbye_is_no_problem_until_it_is_heard_of_again() -> None:
    one, two = Node(1), Node(2)
    one.links.learn(Instant(0.0), NodeIndex(2), (endpoint_of(2),), "n2")
    shake(two, one)
    (peer,) = one.links.peers()
    one.links.goodbye(Instant(1.0), NodeIndex(2), peer.current.index)
    assert problems(one, 30.0) == []
    one.links.learn(Instant(30.0), NodeIndex(2), (endpoint_of(2),), "n2")
    assert kinds(one, 30.0) == [("node_unreachable", "n2")]


def test_links_that_are_lost_at_once_are_one_problem_until_one_is_back() -> None:
    one = Node(1)
    others = [Node(number) for number in range(2, 9)]
    for other in others:
        one.links.learn(Instant(0.0), NodeIndex(other.index), (endpoint_of(other.index),), f"n{other.index}")
        shake(other, one)
    one.links.review(Instant(DEAD_AFTER), report(one, silent_s=DEAD_AFTER))
    (problem,) = problems(one, 60.0)
    assert (problem.kind, problem.subject) == ("all_links_lost", "this node")
    assert "all 7 links were lost at once (n2, n3, n4, n5 and 3 more)" in problem.text
    shake(Node(2, epoch=2), one, 60.0)
    assert kinds(one, 60.0) == [("node_unreachable", f"n{number}") for number in range(3, 9)]


def test_a_peer_that_was_a_problem_before_all_links_were_lost_at_once_stays_one_without_a_break() -> None:
    one = Node(1)
    begin(one, Node(9))
    one.links.learn(Instant(0.0), NodeIndex(8), (endpoint_of(8),), "n8")
    others = [Node(number) for number in range(2, 5)]
    for other in others:
        one.links.learn(Instant(0.0), NodeIndex(other.index), (endpoint_of(other.index),), f"n{other.index}")
        shake(other, one)
    before = [("node_unreachable", "n8"), ("peer_unreachable", "peer")]
    at = KNOWN_UNREACHED_AFTER + DEAD_AFTER
    assert kinds(one, at) == before
    one.links.review(Instant(at), report(one, silent_s=DEAD_AFTER))
    for later in (0.0, 1.0, UNREACHED_AFTER, KNOWN_UNREACHED_AFTER, 60.0):
        assert kinds(one, at + later) == [("all_links_lost", "this node"), *before], f"{later} s later"
    shake(Node(2, epoch=2), one, at + 60.0)
    assert kinds(one, at + 60.0) == [*(("node_unreachable", f"n{number}") for number in (3, 4)), *before]


def test_a_peer_whose_link_was_lost_just_before_all_others_and_is_a_problem_by_then_stays_one() -> None:
    one, two, three = Node(1), Node(2), Node(3)
    shake(one, two)
    shake(three, one)
    one.links.review(Instant(20.0), [each for each in report(one, silent_s=DEAD_AFTER) if each.peer == two.index])
    at = 20.0 + UNREACHED_AFTER
    assert kinds(one, at) == [("peer_unreachable", "peer")]
    one.links.review(Instant(at), report(one, silent_s=DEAD_AFTER))
    assert kinds(one, at) == [("all_links_lost", "this node"), ("peer_unreachable", "peer")]


@pytest.mark.parametrize("refused_at", [9.0, 12.0])
def test_where_somebody_is_refused_around_a_loss_of_all_links_each_peer_is_said_and_no_cable_is_to_blame(
    refused_at: float,
) -> None:
    one, stranger = Node(1), Node(9, certificate=certificate_of(9, ca=OTHER_CA))
    for other in (Node(2), Node(3)):
        one.links.learn(Instant(0.0), NodeIndex(other.index), (endpoint_of(other.index),), f"n{other.index}")
        shake(other, one)

    def lose_all() -> None:
        one.links.review(Instant(10.0), report(one, silent_s=DEAD_AFTER))
        one.sent()

    def refuse() -> None:
        one.hear(refused_at, begin(stranger, one, refused_at), 9)
        stranger.hear(refused_at, one.sent()[0], 1)
        one.hear(refused_at, stranger.sent()[0], 9)

    for step in (refuse, lose_all) if refused_at < 10.0 else (lose_all, refuse):
        step()
    unreached = [("node_unreachable", "n2"), ("node_unreachable", "n3")]
    assert kinds(one, 10.0 + KNOWN_UNREACHED_AFTER) == [*unreached, ("peer_refused", str(endpoint_of(9)))]
    assert kinds(one, 10.0 + REFUSED_LIFETIME + 10.0) == unreached


def test_what_was_noticed_is_bounded() -> None:
    noticed, address = Noticed(), endpoint_of(1).address
    ports = range(1, MAX_NOTICED_ENDPOINTS + 11)
    for port in ports:
        noticed.note(Instant(0.0), Endpoint(address, port))
    kept = [port for port in ports if noticed.last(Instant(0.0), Endpoint(address, port)) is not None]
    assert (len(kept), kept[0], kept[-1]) == (MAX_NOTICED_ENDPOINTS, 11, MAX_NOTICED_ENDPOINTS + 10)
