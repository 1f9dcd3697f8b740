"""A node's first handshakes go by a neighbour, and its way becomes path, route, none."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from tests.unit.links.shaking import InSession, Node, certificate_of, confirm, endpoint_of, report, shake
from treecast.base.addresses import Endpoint
from treecast.base.commands import (
    Command,
    ForgetPeer,
    RemoveNodeRoute,
    SendDatagram,
    SendForwarded,
    SetNodeRoute,
)
from treecast.base.events import ForwardedHandshake, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ProbePeer
from treecast.base.time import Instant
from treecast.links.init_channels import FORWARD_AFTER
from treecast.links.link_events import LinkDown, LinkEnd, LinkRemade, LinkUp, PathChange

ONE, TWO, THREE = NodeIndex(1), NodeIndex(2), NodeIndex(3)


def linked_by_two() -> tuple[Node, Node, Node]:
    """1 and 3, each linked with 2, know of each other, and that 2 has a link with both."""
    one, two, three = Node(1), Node(2), Node(3)
    shake(one, two)
    shake(three, two)
    for node, other in ((one, THREE), (three, ONE)):
        node.next_hops[other] = (TWO,)
        node.links.learn(Instant(0.0), other, (endpoint_of(other),), f"n{other}")
        node.sent()
        node.events()
    return one, two, three


def forwarded(node: Node, now: float) -> list[SendForwarded]:
    """Datagrams that the node has its neighbours send on, as time goes on until then."""
    found: list[SendForwarded] = []
    while (due := node.links.next_deadline()) is not None and due <= now:
        node.links.advance(due)
        found += taken(node)
    return found


def taken(node: Node) -> list[SendForwarded]:
    commands = list(node.links.commands)
    node.sent()
    return [command for command in commands if isinstance(command, SendForwarded)]


def bring(node: Node, now: float, sent: SendForwarded, source: int, neighbour: NodeIndex = TWO) -> list[SendForwarded]:
    """The datagram of a source comes by a neighbour: what the node sends by one in turn."""
    node.links.receive(Instant(now), ForwardedHandshake(neighbour, NodeIndex(source), sent.data))
    return taken(node)


def shake_by_two(one: Node, three: Node, now: float = FORWARD_AFTER + 2.0) -> None:
    """A whole handshake by the neighbour, and the datagram that confirms it."""
    init = forwarded(one, now)[-1]
    (response,) = bring(three, now, init, 1)
    (final,) = bring(one, now, response, 3)
    bring(three, now, final, 1)
    confirm(one, three, now)


def test_init_goes_by_a_neighbour_where_the_addresses_had_their_time() -> None:
    one, _, _ = linked_by_two()
    assert forwarded(one, FORWARD_AFTER - 0.1) == []
    sent = forwarded(one, FORWARD_AFTER + 2.0)
    assert sent and {(each.neighbour, each.destination) for each in sent} == {(TWO, THREE)}


def test_where_no_neighbour_leads_there_it_goes_to_the_addresses_alone() -> None:
    one, _, _ = linked_by_two()
    one.next_hops.clear()
    assert forwarded(one, 9.0) == []
    one.next_hops[THREE] = (NodeIndex(9),)
    assert forwarded(one, 30.0) == [], "nor by one that is linked no more"


def test_the_session_of_a_handshake_by_a_neighbour_has_a_route_and_no_path() -> None:
    one, _, three = linked_by_two()
    shake_by_two(one, three)
    for node, other in ((one, THREE), (three, ONE)):
        installed = node.installed[-1]
        assert (installed.peer, installed.endpoint) == (other, None)
        peer = node.links.peer(other)
        assert peer is not None and peer.via == TWO and peer.endpoint is None
        up = node.events()[-1]
        assert isinstance(up, LinkUp) and (up.peer, up.has_path) == (other, False)
        (known,) = [known for known in node.links.known(Instant(9.0)) if known.node == other]
        assert (known.via, known.endpoints) == ("n2", ())
        assert other not in {memory.node for memory in node.links.remembered(Instant(9.0)) if not memory.endpoints}


def test_a_neighbour_cannot_become_the_node_that_it_speaks_for() -> None:
    one, two, three = linked_by_two()
    init = forwarded(one, FORWARD_AFTER + 2.0)[-1]
    two.links.receive(Instant(5.0), ForwardedHandshake(ONE, ONE, init.data))
    (response,) = taken(two)  # of its own
    bring(one, 5.0, response, 3)
    assert one.drops.snapshot()["handshake_with_another_node"] == 1
    assert one.links.peer(THREE) is None
    (answer,) = bring(three, 5.0, init, 9)
    assert answer.destination == 9, "whose it says that it is gets the answer"


def test_a_handshake_of_another_node_than_a_neighbour_says_is_none() -> None:
    one, _, three = linked_by_two()
    init = forwarded(one, FORWARD_AFTER + 2.0)[-1]
    (response,) = bring(three, 5.0, init, 9)
    (final,) = bring(one, 5.0, response, 3)
    assert bring(three, 5.0, final, 9) == []
    assert three.drops.snapshot()["handshake_with_another_node"] == 1
    assert three.links.peer(ONE) is None and [installed.peer for installed in three.installed] == [TWO]


def test_an_own_init_that_a_neighbour_sends_back_says_nothing_about_addresses() -> None:
    one, _, _ = linked_by_two()
    init = forwarded(one, FORWARD_AFTER + 2.0)[-1]
    bring(one, 5.0, init, 3)
    assert one.drops.snapshot()["handshake_reflected"] == 1
    again = [endpoint_of(3)]
    one.links.advance(Instant(7.5))
    places = [command.endpoint for command in one.links.commands if isinstance(command, SendDatagram)]
    assert places == again


def test_a_handshake_by_a_neighbour_that_is_none_any_more_is_counted() -> None:
    one, _, three = linked_by_two()
    init = forwarded(one, FORWARD_AFTER + 2.0)[-1]
    assert bring(three, 5.0, init, 1, NodeIndex(9)) == []
    assert three.drops.snapshot()["handshake_unknown"] == 1


def test_a_node_with_a_route_is_tried_at_its_addresses_and_the_first_answer_ends_the_route() -> None:
    one, _, three = linked_by_two()
    shake_by_two(one, three)
    one.events()
    one.links.advance(Instant(20.0))
    commands = [command for command in one.links.commands if isinstance(command, SendDatagram)]
    assert {command.endpoint for command in commands} == {endpoint_of(3)}
    one.sent()
    three.hear(20.0, commands[-1].data, 1)
    (response,) = three.sent()
    one.hear(20.0, response, 3)
    (final,) = one.sent()
    assert one.installed[-1].endpoint == endpoint_of(3)
    three.hear(20.0, final, 1)
    assert RemoveNodeRoute(ONE) in three.links.commands
    confirm(one, three, 20.0)
    assert RemoveNodeRoute(THREE) in one.links.commands
    assert one.events() == [PathChange(THREE, has_path=True), LinkRemade(THREE)]
    peer = one.links.peer(THREE)
    assert peer is not None and peer.via is None and peer.endpoint == endpoint_of(3)


def test_a_route_whose_next_hop_is_lost_leads_by_another_neighbour() -> None:
    one, _, three = linked_by_two()
    shake_by_two(one, three)
    four = Node(4, certificate=certificate_of(4))
    one.links.learn(Instant(6.0), NodeIndex(4), (endpoint_of(4),), "n4")
    one.links.advance(Instant(6.0))
    (init,) = [data for data in one.sent() if data[0] == 0xC0][-1:]
    four.hear(6.0, init, 1)
    (response,) = four.sent()
    one.hear(6.0, response, 4)
    one.sent()
    confirm(one, four, 6.0)
    one.next_hops[THREE] = (NodeIndex(4),)
    one.links.review(Instant(7.0), report(one))
    assert not [command for command in one.links.commands if isinstance(command, SetNodeRoute)], "it is not lost"
    one.links.cut(Instant(7.0), TWO, LinkEnd.GOODBYE)
    one.links.review(Instant(8.0), report(one))
    assert SetNodeRoute(THREE, NodeIndex(4)) in one.links.commands


def test_a_node_that_is_lost_has_no_route_any_more() -> None:
    one, _, three = linked_by_two()
    shake_by_two(one, three)
    one.sent()
    one.links.review(Instant(20.0), report(one, silent_s=8.0))
    assert RemoveNodeRoute(THREE) in one.links.commands
    assert LinkDown(THREE, LinkEnd.SILENT) in one.events()


def test_a_path_that_falls_silent_is_followed_by_a_route_before_the_link_is_lost() -> None:
    one, _, three = mesh_of_three()
    silent = [structs.replace(each, silent_s=3.5) if each.peer == THREE else each for each in report(one)]
    one.links.review(Instant(9.0), silent)
    init = forwarded(one, 12.9)[-1]
    assert (init.neighbour, init.destination) == (TWO, THREE)
    (response,) = bring(three, 12.9, init, 1)
    one.links.receive(Instant(12.9), ForwardedHandshake(TWO, THREE, response.data))
    assert SetNodeRoute(THREE, TWO) not in one.links.commands, "not before the other side has the session, too"
    (final,) = taken(one)
    bring(three, 12.9, final, 1)
    assert [node.installed[-1].endpoint for node in (one, three)] == [None, None], "nobody is where the neighbour is"
    confirm(one, three, 12.9)
    assert SetNodeRoute(THREE, TWO) in one.links.commands
    assert one.events() == [PathChange(THREE, has_path=False), LinkRemade(THREE)]


def mesh_of_three() -> tuple[Node, Node, Node]:
    """1 is linked with both others, and 2 leads to 3."""
    one, two, three = Node(1), Node(2), Node(3)
    shake(one, two)
    shake(two, three)
    shake(three, one)
    one.next_hops[THREE] = (TWO,)
    one.sent()
    one.events()
    return one, two, three


def of_three(node: Node, **measured: float) -> list[SessionReport]:
    """Reports where this was measured of node 3."""
    return [structs.replace(each, **measured) if each.peer == THREE else each for each in report(node)]


def review(node: Node, now: float, **measured: float) -> Sequence[Command]:
    """Commands of a review where this was measured of one peer, and all is well with the others."""
    node.links.review(Instant(now), of_three(node, **measured))
    node.sent()
    return node.others


def test_a_silent_path_gives_way_to_a_route_that_no_other_room_sees_and_is_taken_again() -> None:
    one, _, _ = mesh_of_three()
    assert review(one, 9.0, path_silent_s=3.0, path_unanswered=1) == [ProbePeer(THREE)]
    assert review(one, 10.0, path_silent_s=4.0, path_unanswered=2) == [SetNodeRoute(THREE, TWO), ProbePeer(THREE)]
    assert review(one, 11.0, path_silent_s=5.0, path_unanswered=3) == []
    assert review(one, 12.0, path_silent_s=0.0, path_unanswered=0) == [RemoveNodeRoute(THREE)]
    assert one.events() == []
    assert len([session for peer in one.links.peers() for session in peer.sessions]) == 2


def test_other_rooms_learn_of_a_path_that_is_dead_though_the_node_is_heard() -> None:
    one, _, _ = mesh_of_three()
    assert review(one, 9.0, path_unanswered=3) == [ProbePeer(THREE)]
    assert review(one, 10.0, path_unanswered=4) == [SetNodeRoute(THREE, TWO), ProbePeer(THREE)]
    assert one.events() == []
    assert review(one, 11.0, path_unanswered=4) == []
    assert one.events() == [PathChange(THREE, has_path=False)]
    assert review(one, 20.0, path_unanswered=9, node_route_unanswered=3) == [ProbePeer(THREE)]
    assert review(one, 21.0, path_unanswered=0, node_route_unanswered=3) == [RemoveNodeRoute(THREE)]
    assert one.events() == [PathChange(THREE, has_path=True)]


def test_a_node_that_is_heard_and_reached_on_no_way_is_lost() -> None:
    one, _, _ = mesh_of_three()
    one.next_hops.clear()
    assert review(one, 9.0, path_unanswered=3) == [ProbePeer(THREE)]
    assert ForgetPeer(THREE) in review(one, 10.0, path_unanswered=4)
    assert one.events() == [LinkDown(THREE, LinkEnd.UNANSWERED)]


def test_a_route_that_answers_nothing_is_lost_with_the_node() -> None:
    one, _, _ = mesh_of_three()
    review(one, 9.0, path_silent_s=4.0, path_unanswered=2)
    assert ForgetPeer(THREE) not in review(one, 16.0, path_unanswered=5, node_route_unanswered=3)
    assert ForgetPeer(THREE) in review(one, 17.0, path_unanswered=6, node_route_unanswered=4)
    assert one.events()[-1] == LinkDown(THREE, LinkEnd.UNANSWERED)


def test_a_neighbour_that_is_silent_itself_is_no_next_hop() -> None:
    one, _, _ = mesh_of_three()
    silent = [structs.replace(each, silent_s=3.5, path_silent_s=4.5, path_unanswered=2) for each in report(one)]
    one.links.review(Instant(9.0), silent)
    one.links.review(Instant(10.0), silent)
    one.sent()
    assert not [command for command in one.others if isinstance(command, SetNodeRoute)]


def test_a_handshake_with_a_silent_node_ends_when_it_is_heard_by_its_route() -> None:
    one, _, _ = mesh_of_three()
    one.links.review(Instant(9.0), of_three(one, silent_s=3.5, path_silent_s=3.5, path_unanswered=2))
    assert [data[0] for data in one.sent()] == [0xC0]
    review(one, 10.0, silent_s=4.5, path_silent_s=4.5, path_unanswered=2)
    review(one, 11.0, silent_s=0.1, path_silent_s=5.5, path_unanswered=3)
    review(one, 12.0, path_unanswered=0)
    one.links.advance(Instant(15.0))
    assert one.sent() == [], "its path has answered meanwhile, to a probe"


def test_a_path_that_is_probed_gets_no_init_and_the_node_s_other_addresses_do() -> None:
    one, _, _ = mesh_of_three()
    other = Endpoint(endpoint_of(3).address, 7701)
    one.links.learn(Instant(8.0), THREE, (endpoint_of(3), other), "n3")
    review(one, 9.0, path_silent_s=4.0, path_unanswered=2)
    one.links.advance(Instant(12.0))
    places = {command.endpoint for command in one.links.commands if isinstance(command, SendDatagram)}
    assert places == {other}
    one.links.learn(Instant(13.0), THREE, (endpoint_of(3),), "n3")
    one.sent()
    one.links.advance(Instant(40.0))
    assert one.sent() == []


def test_a_rekey_over_a_route_waits_for_no_try_at_the_addresses_of_the_node() -> None:
    one, _, three = linked_by_two()
    shake_by_two(one, three)
    one.links.advance(Instant(130.0))
    assert {data[0] for data in one.sent()} == {0xC0}, "it is tried at its address"
    one.links.review(Instant(130.5), report(one))
    inits = [data for data in one.sent() if isinstance(data, InSession)]
    assert len(inits) == 2, "one for each of both nodes"


def test_a_node_with_a_route_is_no_next_hop() -> None:
    one, _, three = linked_by_two()
    shake_by_two(one, three)
    four = NodeIndex(4)
    one.next_hops[four] = (THREE,)
    one.links.learn(Instant(6.0), four, (endpoint_of(4),), "n4")
    assert [each for each in forwarded(one, 15.0) if each.destination == four] == []
