"""Neighbours by which a node fell silent: passed over for a while, remembered, and named."""

from __future__ import annotations

from collections.abc import Collection

from tests.unit.links.shaking import Node, shake
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_FALLEN_NODE_ROUTES
from treecast.base.problems import Problem
from treecast.base.time import Instant
from treecast.links.neighbour_routes import FIRST_PAUSE, LONGEST_PAUSE, SEARCHES, NeighbourRoutes
from treecast.links.peers import Peer, Peers

EVIL, OTHER, THIRD, FAR = (NodeIndex(index) for index in (2, 3, 4, 9))


class Neighbours:
    """Node 1 with links to 2, 3 and 4, which all lead to 9, the first one on the shortest path."""

    def __init__(self) -> None:
        self.node = Node(1)
        for index in (EVIL, OTHER, THIRD):
            shake(Node(index), self.node)
        self.leading = [EVIL, OTHER, THIRD]
        self.searches = 0
        self.peers = Peers()
        for peer in self.node.links.peers():
            self.peers.add(peer)
        self.routes = NeighbourRoutes(self.peers, self.next_hop)

    def next_hop(self, node: NodeIndex, without: Collection[NodeIndex]) -> NodeIndex | None:
        self.searches += 1
        return next((each for each in self.leading if each not in without), None)

    def peer(self, index: int) -> Peer:
        peer = self.peers.get(NodeIndex(index))
        assert peer is not None
        return peer

    def fell(self, now: float, by: int = EVIL, node: int = FAR, other: NodeIndex = OTHER) -> None:
        self.routes.fell(Instant(now), self.peer(by), NodeIndex(node), other, "was not answered any more")

    def untroubled(self, now: float) -> NodeIndex | None:
        route = self.routes.untroubled(Instant(now), FAR)
        return route.neighbour if route is not None else None

    def best(self) -> NodeIndex | None:
        route = self.routes.best(FAR)
        return route.neighbour if route is not None else None

    def reach(self, node: int, via: NodeIndex | None) -> None:
        """A node is linked, and reached by this neighbour."""
        certificate, epoch_ms = self.peer(THIRD).certificate, 1
        self.peers.add(Peer(NodeIndex(node), certificate, epoch_ms, None, via=via))

    def problems(self, now: float) -> list[Problem]:
        return list(self.routes.problems(Instant(now), lambda node: f"n{node}"))


def test_a_neighbour_by_which_a_node_fell_silent_is_passed_over_for_that_node_alone() -> None:
    net = Neighbours()
    assert net.untroubled(0.0) == EVIL
    net.fell(0.0)
    assert net.untroubled(0.1) == OTHER
    assert net.routes.untroubled(Instant(0.1), NodeIndex(8)) == net.routes.best(NodeIndex(8))
    assert net.untroubled(FIRST_PAUSE) == EVIL


def test_a_neighbour_that_starts_again_is_passed_over_no_more_and_longer_when_it_happens_again() -> None:
    net = Neighbours()
    net.fell(0.0)
    net.peer(EVIL).epoch_ms += 1
    assert net.untroubled(1.0) == EVIL
    net.fell(2.0)
    assert net.untroubled(2.0 + FIRST_PAUSE) == OTHER
    assert net.untroubled(2.0 + 2 * FIRST_PAUSE) == EVIL


def test_where_all_fell_silent_there_is_the_shortest_of_them() -> None:
    net = Neighbours()
    for by in net.leading:
        net.fell(0.0, by)
    assert net.untroubled(1.0) is None
    assert net.best() == EVIL


def test_each_fall_has_a_longer_pause_up_to_minutes_and_one_after_a_long_time_the_first_one() -> None:
    net, now, pauses = Neighbours(), 0.0, []
    for _ in range(7):
        net.fell(now)
        began = now
        while net.untroubled(now) != EVIL:
            now += 1.0
        pauses.append(now - began)
    assert pauses == [30.0, 60.0, 120.0, 240.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    now += LONGEST_PAUSE
    net.fell(now)
    assert net.untroubled(now + FIRST_PAUSE) == EVIL


def test_a_neighbour_that_is_silent_itself_leads_nowhere_and_few_searches_look_for_another() -> None:
    net = Neighbours()
    net.peer(EVIL).is_suspect = True
    assert net.best() == OTHER
    net.peer(OTHER).via = THIRD
    assert net.best() == THIRD, "nor one without a path"
    net.leading = [NodeIndex(index) for index in range(100, 200)]
    net.searches = 0
    assert net.best() is None
    assert net.searches == SEARCHES


def test_pairs_that_are_remembered_are_bounded_and_the_first_one_makes_room() -> None:
    net = Neighbours()
    net.fell(0.0)
    for node in range(MAX_FALLEN_NODE_ROUTES - 1):
        net.fell(1.0, OTHER, 1000 + node)
    assert net.routes.is_troubled(Instant(2.0), EVIL, FAR)
    net.fell(1.0, OTHER, 5000)
    assert not net.routes.is_troubled(Instant(2.0), EVIL, FAR)
    assert net.routes.is_troubled(Instant(2.0), OTHER, NodeIndex(1000))


def test_a_neighbour_is_named_with_the_nodes_that_answer_by_another_one() -> None:
    net = Neighbours()
    for node in range(10, 16):
        net.fell(0.0, node=node)
        net.reach(node, OTHER)
    net.fell(0.0, node=30)  # which is linked no more
    (problem,) = net.problems(1.0)
    assert (problem.kind, problem.subject) == ("node_route_unanswered", "n2")
    assert problem.text.startswith(
        "what goes to n10, n11, n12 and 3 more by way of n2 was not answered any more, though n2 itself answers; it "
        "goes by n3 now: see treecast status and treecast peers on n2"
    )
    for node in range(10, 16):
        net.reach(node, None)
    assert net.problems(2.0) == [], "they have paths again"


def test_a_neighbour_that_ends_or_starts_again_is_not_named_nor_later() -> None:
    for change in ("suspect", "down", "again"):
        net = Neighbours()
        net.reach(FAR, OTHER)
        net.fell(0.0)
        assert net.problems(0.5)
        peer = net.peer(EVIL)
        if change == "suspect":
            peer.is_suspect = True
        elif change == "down":
            net.peers.remove(EVIL)
        else:
            peer.epoch_ms += 1
        assert net.problems(1.0) == []
        peer.is_suspect = False
        peer.epoch_ms = 1
        net.peers.add(peer)
        assert net.problems(2.0) == [], change


def test_nobody_is_named_for_a_node_that_no_neighbour_reaches() -> None:
    net = Neighbours()
    net.reach(FAR, OTHER)
    net.fell(0.0)
    net.routes.none_is_better(FAR)
    assert net.problems(1.0) == []
    assert net.untroubled(1.0) == OTHER, "it is passed over all the same"
