"""20 nodes that choose six links each: all reach all, by a neighbour where there is no link, and a killed one is missed
by nobody.
"""

from __future__ import annotations

from functools import partial

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import INTERFACE, TreecastNode
from lab.waiting import wait_until
from tests.lab.overlay.asking import ANSWER_LIMIT_S, wait_members, wait_peers, wait_received
from tests.lab.overlay.machines import talk
from tests.lab.overlay.test_many_nodes import READY_LIMIT_S, made
from treecast.api.client import fetch_peers, fetch_status
from treecast.api.records import Peer

pytestmark = pytest.mark.alone

NODES = 20
MOST = 6
GROUP = "239.70.0.3"
PORT = 5018
COUNT = 300
RATE_PPS = 150
"""Neighbours send on within a bound outside of trees: twice the copies for those without a link are beyond it."""
UNEXPECTED = {"node_route_unanswered", "peer_refused", "refused_by_peer", "relay_withholds"}
LINK_LIMIT_S = 60.0
SETTLE_LIMIT_S = 120.0
HEAL_LIMIT_S = 90.0


def rows(node: TreecastNode) -> list[Peer]:
    return [peer for peer in fetch_peers(node.directory, ANSWER_LIMIT_S) if peer.state == "up"]


def has_few_links(node: TreecastNode, others: int) -> bool:
    """Whether it has links, each for a reason, and reaches the rest by these."""
    peers = rows(node)
    linked = {peer.name for peer in peers if peer.link}
    chosen = [peer for peer in peers if peer.link in ("ring", "far", "near")]
    by_others = [peer for peer in peers if peer.via]
    is_whole = len(peers) == others == len(linked) + len(by_others)
    return is_whole and bool(by_others) and 2 <= len(chosen) <= MOST + 1 and {peer.via for peer in by_others} <= linked


@pytest.mark.timeout(500)
def test_all_reach_all_and_a_killed_node_is_missed_by_nobody(lab: Lab) -> None:
    first, *others = nodes = made(lab, NODES)
    everyone = {node.name for node in nodes}
    options = ("--max-links", str(MOST))
    first.start(options=options)
    for node in others:
        node.start(first.endpoint, options=options)
    for node in nodes:
        node.wait_ready(READY_LIMIT_S)
    for node in nodes:
        wait_peers(node, everyone - {node.name}, LINK_LIMIT_S)
    for node in others:  # the first is everybody's static peer
        wait_until(partial(has_few_links, node, NODES - 1), SETTLE_LIMIT_S, f"{node.name} has few links")
    for number, node in enumerate(nodes):
        for step in (1, 7):
            talk(node.machine, nodes[(number + step) % NODES].ipv4)
    receive(others[3], [node for node in nodes if node is not others[3]])
    killed = others[10]
    killed.kill()
    left = [node for node in nodes if node is not killed]
    for node in left:
        wait_peers(node, {other.name for other in left if other is not node}, HEAL_LIMIT_S)
    receive(first, left[1:])
    for node in left:
        problems = fetch_status(node.directory, ANSWER_LIMIT_S).problems
        named = [problem for problem in problems if problem.kind in UNEXPECTED]
        assert not named, node.name


def receive(source: TreecastNode, members: list[TreecastNode]) -> None:
    """All of them get all that the source sends, once."""
    receivers = [Receiver(node.machine, GROUP, PORT, interface=INTERFACE) for node in members]
    wait_members(source, GROUP, {node.name for node in members}, LINK_LIMIT_S)
    stream = Sender(source.machine, GROUP, PORT, interface=INTERFACE, rate_pps=RATE_PPS, count=COUNT, size_bytes=100)
    assert stream.wait(30.0).sent == COUNT
    for receiver in receivers:
        wait_received(receiver, COUNT)
    got = [receiver.stop() for receiver in receivers]
    assert [(one.received, one.lost, one.duplicated) for one in got] == [(COUNT, 0, 0)] * len(members)
