"""18 nodes that choose four links each, and a stream from one to another that has none: it gets one while it runs."""

from __future__ import annotations

from functools import partial

import pytest

from lab import Lab
from lab.load import Receiver, Sender
from lab.node import PROGRAM, TreecastNode
from lab.waiting import wait_until
from tests.lab.overlay.asking import ANSWER_LIMIT_S, drops, grown, wait_peers, wait_received
from tests.lab.overlay.machines import talk
from tests.lab.overlay.test_many_nodes import READY_LIMIT_S, made
from treecast.api.client import fetch_peers
from treecast.api.records import Peer

pytestmark = pytest.mark.alone

NODES = 18
MOST = 4
PORT = 5019
LINK_LIMIT_S = 60.0
SETTLE_LIMIT_S = 120.0
SLOW_PPS, SLOW_BYTES, SLOW_COUNT = 30, 1000, 600
"""Datagrams of 280 kbit/s in all: a route carries 384."""
FAST_PPS, FAST_COUNT = 400, 2000
"""3.8 Mbit/s."""
OPTIONS = ("--max-links", str(MOST), "--on-demand", "above=200kbit", "--on-demand", "below=50kbit")
IDLE = ("--on-demand", "idle=15s")
ENDED_LIMIT_S = 180.0


def row(node: TreecastNode, other: TreecastNode) -> Peer:
    return next(peer for peer in fetch_peers(node.directory, ANSWER_LIMIT_S) if peer.name == other.name)


def is_on_demand(node: TreecastNode, other: TreecastNode) -> bool:
    return row(node, other).link == "on demand"


def has_route(node: TreecastNode, other: TreecastNode) -> bool:
    peer = row(node, other)
    return peer.state == "up" and bool(peer.via)


def routed_pair(nodes: list[TreecastNode]) -> tuple[TreecastNode, TreecastNode]:
    """Two nodes without a link."""
    names = {node.name: node for node in nodes}
    for node in nodes[1:]:
        for peer in fetch_peers(node.directory, ANSWER_LIMIT_S):
            if peer.via and has_route(names[peer.name], node):
                return node, names[peer.name]
    raise AssertionError("all are linked with all")


@pytest.mark.timeout(500)
def test_a_stream_to_a_node_without_a_link_has_one_while_it_runs_and_loses_nothing_by_that(lab: Lab) -> None:
    first, *others = nodes = made(lab, NODES)
    everyone = {node.name for node in nodes}
    first.start(options=(*OPTIONS, *IDLE))
    for node in others:
        node.start(first.endpoint, options=(*OPTIONS, *IDLE))
    for node in nodes:
        node.wait_ready(READY_LIMIT_S)
    for node in nodes:
        wait_peers(node, everyone - {node.name}, LINK_LIMIT_S)
    wait_until(lambda: any(peer.via for peer in fetch_peers(others[0].directory)), SETTLE_LIMIT_S, "some have no link")
    one, other = routed_pair(nodes)
    talk(one.machine, other.ipv4)
    before = drops(one)
    receiver = Receiver(other.machine, other.ipv4, PORT)
    slow = Sender(one.machine, other.ipv4, PORT, rate_pps=SLOW_PPS, size_bytes=SLOW_BYTES, count=SLOW_COUNT)
    assert not is_on_demand(one, other), "it begins over a route"
    for node, peer in ((one, other), (other, one)):
        wait_until(partial(is_on_demand, node, peer), LINK_LIMIT_S, f"{node.name} has a link on demand")
    assert slow.wait(60.0).sent == SLOW_COUNT
    fast = Sender(one.machine, other.ipv4, PORT, rate_pps=FAST_PPS, size_bytes=SLOW_BYTES, count=FAST_COUNT, stream=1)
    wait_until(lambda: (row(one, other).demand_bps or 0) > 500_000, LINK_LIMIT_S, "peers says how much goes there")
    assert fast.wait(60.0).sent == FAST_COUNT
    wait_received(receiver, SLOW_COUNT + FAST_COUNT)
    got = receiver.stop()
    assert (got.received, got.lost, got.duplicated) == (SLOW_COUNT + FAST_COUNT, 0, 0)
    assert not grown(before, drops(one)).keys() & {"forward_budget", "session_replay", "no_session"}
    assert " on demand: " in one.machine.run([PROGRAM, "peers", one.directory]).stdout
    said = one.machine.run([PROGRAM, "why", one.directory, other.name]).stdout
    assert "made on demand" in said and "a link is wanted on demand, until less than 50.0 kb/s" in said
    wait_until(partial(has_route, one, other), ENDED_LIMIT_S, "the link has ended")
    assert row(one, other).demand_bps is None
    talk(one.machine, other.ipv4)
