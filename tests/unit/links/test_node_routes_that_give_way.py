"""Node routes that give way to another neighbour: which one, for which handshakes, and where none is better."""

from __future__ import annotations

from functools import partial

import msgspec

from tests.unit.links.shaking import Node, confirm, endpoint_of, report, shake
from tests.unit.links.test_neighbour_routes import Neighbours
from tests.unit.links.test_node_routes import bring, forwarded, shake_by_two, taken
from treecast.base.commands import Command, ForgetPeer, SetNodeRoute
from treecast.base.events import SessionConfirmed, SessionReport
from treecast.base.ids import NodeIndex
from treecast.base.path_commands import ProbePeer
from treecast.base.time import Instant
from treecast.links.init_channels import FORWARD_AFTER
from treecast.links.link_events import LinkDown, LinkEnd
from treecast.links.node_route_window import PROBES, NodeRouteWindow
from treecast.links.node_routes import AT_ONCE_PER_REVIEW, NodeRoutes
from treecast.links.peers import Peer
from treecast.links.targets import Targets

ONE, TWO, THREE, FOUR = (NodeIndex(index) for index in (1, 2, 3, 4))
MET_AT = FORWARD_AFTER + 2.0


def diamond() -> tuple[Node, Node]:
    """1 and 3, which cannot reach each other, and 2 and 4 between them, 2 on the shortest path."""
    one, three = Node(1), Node(3)
    for index in (TWO, FOUR):
        for end in (one, three):
            shake(Node(index), end)
    for node, other in ((one, THREE), (three, ONE)):
        node.next_hops[other] = (TWO, FOUR)
        node.links.learn(Instant(0.0), other, (endpoint_of(other),), f"n{other}")
        node.sent()
        node.events()
    return one, three


def met() -> tuple[Node, Node]:
    """The same, by 2: 4 joins them later."""
    one, three = diamond()
    for node, other in ((one, THREE), (three, ONE)):
        node.next_hops[other] = (TWO,)
    shake_by_two(one, three, MET_AT)
    for node, other in ((one, THREE), (three, ONE)):
        node.next_hops[other] = (TWO, FOUR)
        node.sent()
        node.others.clear()
        node.events()
    assert via(one, THREE) == TWO
    return one, three


def via(node: Node, other: NodeIndex) -> NodeIndex | None:
    peer = node.links.peer(other)
    assert peer is not None
    return peer.via


def review(node: Node, now: float, *, silent_s: float, unanswered: int = 0, routed: int = 0) -> list[Command]:
    """A review where this is so of the routes of nodes, and all is well with neighbours."""
    measured = partial(msgspec.structs.replace, path_silent_s=99.0, path_unanswered=9, node_route_unanswered=unanswered)
    routes = [
        measured(each, route_silent_s=silent_s, routed=routed)
        if (peer := node.links.peer(each.peer)) is not None and peer.via is not None
        else each
        for each in report(node)
    ]
    node.others.clear()
    node.links.review(Instant(now), routes)
    node.sent()
    return list(node.others)


def falls_silent(node: Node, now: float) -> list[Command]:
    """The route of 3 is in use, quiet, probed and not answered."""
    review(node, now, silent_s=0.1, routed=10)
    review(node, now + 1.0, silent_s=0.1, routed=20)
    assert review(node, now + 2.0, silent_s=0.9, routed=30) == [ProbePeer(THREE)] * PROBES
    return review(node, now + 3.0, silent_s=1.9, routed=40)


def test_a_route_that_falls_silent_leads_by_another_neighbour_though_the_shortest_path_has_the_first_one() -> None:
    one, _ = met()
    assert falls_silent(one, 10.0) == [SetNodeRoute(THREE, FOUR), ProbePeer(THREE)]
    for second in range(60):
        assert review(one, 14.0 + second, silent_s=0.1) == []
    assert via(one, THREE) == FOUR, "nor is it taken again after the pause while this one leads there"


def test_without_another_neighbour_the_route_stays_and_is_probed() -> None:
    one, _ = met()
    one.next_hops[THREE] = (TWO,)
    assert falls_silent(one, 10.0) == [ProbePeer(THREE)]
    assert via(one, THREE) == TWO


def test_where_no_neighbour_leads_there_each_is_tried_once_and_then_the_node_is_lost() -> None:
    """Something comes of the node all the time, by whom ever."""
    one, _ = met()
    falls_silent(one, 10.0)
    assert via(one, THREE) == FOUR
    next_hops: list[NodeIndex | None] = []
    for second in range(12):
        commands = review(
            one, 14.0 + second, silent_s=50.0 + second, unanswered=min(4, second // 2), routed=50 + second
        )
        if ForgetPeer(THREE) in commands:
            break
        next_hops.append(via(one, THREE))
    assert set(next_hops) == {FOUR}
    assert LinkDown(THREE, LinkEnd.UNANSWERED) in one.events()


def test_of_many_routes_in_use_that_are_quiet_few_are_probed_sooner() -> None:
    net, commands = Neighbours(), list[Command]()
    targets = Targets(ONE, lambda _: True, lambda *_: True, lambda *_: False)
    routes = NodeRoutes(net.peers, targets, net.routes, lambda _: None, commands, [])
    certificate = net.peer(TWO).certificate
    for index in range(100, 100 + AT_ONCE_PER_REVIEW + 8):
        routed = Peer(NodeIndex(index), certificate, 1, None, via=TWO, window=NodeRouteWindow(Instant(0.0)))
        net.peers.add(routed)
    for second, silent_s in enumerate((0.1, 0.1, 0.9)):
        commands.clear()
        for peer in net.peers:
            if peer.via is not None:
                each = SessionReport(
                    1, peer.node, 60.0, 0.0, None, 0, 99.0, 9, 0, route_silent_s=silent_s, routed=10 * second
                )
                assert routes.review(Instant(10.0 + second), peer, each)
    assert len(commands) == AT_ONCE_PER_REVIEW * PROBES


def test_a_handshake_by_a_neighbour_that_is_passed_over_leaves_the_route_as_it_is() -> None:
    """The other end begins it, and has not found yet that nothing else goes by that neighbour."""
    one, three = met()
    falls_silent(one, 10.0)
    assert via(one, THREE) == FOUR
    silent = [msgspec.structs.replace(each, silent_s=3.5) if each.peer == ONE else each for each in report(three)]
    three.links.review(Instant(14.0), silent)
    init = next(each for each in taken(three) if each.destination == ONE)
    assert init.neighbour == TWO
    (response,) = bring(one, 14.0, init, THREE)
    (final,) = bring(three, 14.0, response, ONE)
    bring(one, 14.0, final, THREE)
    confirm(three, one, 14.0)
    one.links.confirmed(Instant(14.0), SessionConfirmed(THREE, one.installed[-1].session))
    assert via(one, THREE) == FOUR


def test_each_init_of_an_attempt_goes_by_another_neighbour_and_then_by_the_first_again() -> None:
    one, _ = diamond()
    assert [each.neighbour for each in forwarded(one, 9.9)][:4] == [TWO, FOUR, TWO, FOUR]


def test_the_first_init_goes_by_a_neighbour_that_is_not_passed_over() -> None:
    one, _ = diamond()
    neighbour = one.links.peer(TWO)
    assert neighbour is not None
    one.links.neighbour_routes.fell(Instant(1.0), neighbour, THREE, FOUR, "")
    assert [each.neighbour for each in forwarded(one, 9.9)][:3] == [FOUR, TWO, FOUR]
