"""Links of bounded number: which handshakes go where, who is refused, and how a link ends that nobody wants."""

from __future__ import annotations

from tests.unit.links.shaking import Node, answer, begin, endpoint_of, shake
from treecast.base.commands import SetNodeRoute
from treecast.base.events import PathSeen
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ChallengePath, RemovePath
from treecast.base.time import Instant
from treecast.links.link_bounds import DECLINED_PAUSE, DECLINED_WITHOUT_LINKS_PAUSE, HEARD_WITHIN
from treecast.links.link_events import PathChange

ONE, TWO, THREE = (NodeIndex(index) for index in (1, 2, 3))
NOW = Instant(0.0)


def triangle() -> tuple[Node, Node, Node]:
    """Three nodes with links, of which 1 reaches 3 by 2 as well."""
    one, two, three = Node(ONE), Node(TWO), Node(THREE)
    for left, right in ((two, one), (three, two), (one, three)):
        shake(left, right)
    one.next_hops[THREE] = (TWO,)
    for node in (one, two, three):
        node.sent()
        node.events()
        node.others.clear()
    return one, two, three


def commands(node: Node) -> list[object]:
    """Commands to the data plane since the last call, but for datagrams."""
    node.sent()
    taken: list[object] = list(node.others)
    node.others.clear()
    return taken


def test_only_chosen_nodes_are_tried_at_their_addresses() -> None:
    one = Node(ONE)
    one.links.bounds.choose(NOW, frozenset())
    one.links.learn(NOW, TWO, (endpoint_of(TWO),), "n2")
    one.links.advance(NOW)
    assert one.sent() == []
    one.links.bounds.choose(NOW, {TWO})
    one.links.advance(Instant(0.6))
    assert len(one.sent()) == 1


def test_a_node_that_is_not_chosen_is_tried_by_a_neighbour_at_once() -> None:
    one, _, _ = triangle()
    four = NodeIndex(4)
    one.next_hops[four] = (TWO,)
    one.links.bounds.choose(NOW, {TWO})
    one.links.learn(NOW, four, (endpoint_of(four),), "n4")
    one.links.advance(Instant(0.001))
    assert [type(command).__name__ for command in commands(one)] == ["SendForwarded"]


def test_a_handshake_that_finds_no_room_is_refused_and_its_session_ends_with_that() -> None:
    one, two = Node(ONE), Node(TWO)
    two.links.bounds.accept(lambda _, __: False)
    (final,) = answer(one, two, begin(one, two), 0.0)
    two.hear(0.0, final, ONE)
    assert two.drops.snapshot()["handshake_links_full"] == 1
    assert two.links.peers() == []
    (refusal,) = two.sent()
    one.hear(0.1, refusal, TWO)
    declined, events = one.links.bounds.take_declined(Instant(0.1))
    assert (declined, events) == ([TWO], [])
    assert not list(one.links.problems(Instant(1.0))), "nobody has to act on it"
    assert one.links.bounds.take_declined(Instant(0.1)) == ([], [])
    one.links.advance(Instant(DECLINED_WITHOUT_LINKS_PAUSE - 0.1))
    assert one.sent() == []
    one.links.advance(Instant(DECLINED_WITHOUT_LINKS_PAUSE + 0.2))
    assert len(one.sent()) == 1


def test_a_node_with_links_tries_one_that_has_no_room_again_after_a_minute() -> None:
    one, two, three = Node(ONE), Node(TWO), Node(THREE)
    shake(one, three)
    two.links.bounds.accept(lambda _, __: False)
    one.links.learn(NOW, TWO, (endpoint_of(TWO),), "n2")
    one.links.advance(NOW)
    (final,) = answer(one, two, one.sent()[0], 0.0)
    two.hear(0.0, final, ONE)
    one.hear(0.1, two.sent()[0], TWO)
    one.links.bounds.take_declined(Instant(0.1))
    one.links.advance(Instant(DECLINED_PAUSE - 1.0))
    assert one.sent() == []
    one.links.advance(Instant(DECLINED_PAUSE + 0.2))
    assert len(one.sent()) == 1


def test_who_is_accepted_is_asked_with_the_run_that_shakes_hands() -> None:
    asked: list[tuple[NodeIndex, int]] = []
    one, two = Node(ONE, epoch=77), Node(TWO)

    def accepts(node: NodeIndex, epoch_ms: int) -> bool:
        asked.append((node, epoch_ms))
        return True

    two.links.bounds.accept(accepts)
    shake(one, two)
    assert asked == [(ONE, 77)]
    assert two.links.bounds.linked() == [ONE]


def test_a_link_that_ends_is_unlisted_first_and_its_path_ends_when_others_know_it() -> None:
    one, _, _ = triangle()
    assert one.links.bounds.linked() == [TWO, THREE]
    assert one.links.bounds.unlink(THREE) == [PathChange(THREE, has_path=False)]
    assert one.links.bounds.linked() == [TWO]
    assert commands(one) == [], "frames go on as before"
    assert one.links.bounds.settle(NOW, {TWO}) == []
    assert one.links.bounds.settle(Instant(HEARD_WITHIN - 0.1), {TWO}) == []
    assert commands(one) == []
    one.links.bounds.settle(Instant(HEARD_WITHIN), {TWO})
    kinds = [command for command in commands(one) if isinstance(command, SetNodeRoute | RemovePath)]
    assert kinds == [SetNodeRoute(THREE, TWO), RemovePath(THREE)], "never without a way"
    assert [peer.node for peer in one.links.peers()] == [TWO, THREE], "the session stays"


def test_a_link_that_is_chosen_again_before_its_path_has_ended_counts_again() -> None:
    one, _, _ = triangle()
    one.links.bounds.unlink(THREE)
    one.links.bounds.settle(NOW, {TWO})
    assert one.links.bounds.settle(Instant(1.0), {TWO, THREE}) == [PathChange(THREE, has_path=True)]
    assert one.links.bounds.linked() == [TWO, THREE]


def test_a_node_that_nobody_else_leads_to_keeps_its_link() -> None:
    one, _, _ = triangle()
    one.next_hops[THREE] = ()
    assert one.links.bounds.unlink(THREE) == []
    assert one.links.bounds.linked() == [TWO, THREE]


def ended() -> Node:
    one, _, _ = triangle()
    one.links.bounds.choose(NOW, {TWO})
    one.links.bounds.unlink(THREE)
    for now in (NOW, Instant(HEARD_WITHIN)):
        one.links.bounds.settle(now, {TWO})
    commands(one)
    return one


def test_what_a_node_without_a_link_still_sends_from_its_address_makes_no_path() -> None:
    one = ended()
    peer = one.links.peer(THREE)
    assert peer is not None
    seen = PathSeen(THREE, peer.current.index, 0, endpoint_of(THREE))
    one.links.paths.seen(seen)
    assert commands(one) == []
    one.links.bounds.choose(NOW, {TWO, THREE})
    one.links.paths.seen(seen)
    assert [type(command) for command in commands(one)] == [ChallengePath]


def test_a_node_without_a_link_that_is_chosen_gets_one_beside_its_route() -> None:
    one, three = ended(), Node(THREE)
    one.links.learn(Instant(3.0), THREE, (endpoint_of(THREE),), "n3")
    one.links.advance(Instant(30.0))
    assert one.sent() == [], "it is reached already"
    one.links.bounds.choose(Instant(31.0), {TWO, THREE})
    one.links.advance(Instant(33.0))
    (init,) = one.sent()
    three.hear(33.0, init, ONE)
    (response,) = three.sent()
    one.events()
    one.hear(33.0, response, THREE)
    assert len(one.sent()) == 1, "FINAL"


def test_a_route_whose_neighbour_has_lost_its_link_there_leads_by_another_one_at_once() -> None:
    one = ended()
    shake(Node(4), one)
    commands(one)
    one.next_hops[THREE] = (NodeIndex(4), TWO)
    one.links.bounds.reroute(NOW, TWO, lambda *_: True)
    assert commands(one) == []
    one.links.bounds.reroute(NOW, NodeIndex(9), lambda *_: False)
    assert commands(one) == [], "it was not on the way"
    one.links.bounds.reroute(NOW, TWO, lambda *_: False)
    assert commands(one)[0] == SetNodeRoute(THREE, NodeIndex(4))
