"""Handshakes beside a flood of INITs whose sources are forged, by somebody with the network key."""

from __future__ import annotations

from tests.unit.links.shaking import Node, confirm, report, shake
from treecast.base.limits import MAX_PENDING_HANDSHAKES
from treecast.base.time import Instant
from treecast.links.handshakes import PENDING_LIFETIME
from treecast.links.peers import REJECT_AFTER
from treecast.sim.handshake import ModelFactory

SECONDS = int(REJECT_AFTER) + 5
PER_SECOND = int(MAX_PENDING_HANDSHAKES / PENDING_LIFETIME) + 50
"""The INITs a second that keep the table of pending handshakes full."""
FLOODED_FROM = 90
"""The second before which nobody makes a handshake anew."""


def test_a_newcomer_s_handshake_takes_the_place_of_the_one_that_has_waited_longest() -> None:
    one, newcomer = Node(1), Node(2)
    for forged in range(1, MAX_PENDING_HANDSHAKES + 1):
        one.hear(0.0, ModelFactory(bytes(32)).initiate(forged).init_datagram(), 9)
    one.sent()
    shake(newcomer, one)
    assert [peer.node for peer in one.links.peers()] == [2]


def test_a_flood_from_the_peer_s_own_address_for_longer_than_a_session_lives_ends_no_link() -> None:
    one, two = Node(1), Node(2)
    shake(one, two)
    one.events(), two.events()
    forged, installed = 0, len(one.installed)
    for second in range(FLOODED_FROM, SECONDS):
        for node in (one, two):
            node.links.review(Instant(float(second)), report(node))
            node.links.advance(Instant(float(second)))
        genuine = one.sent()
        for victim, peer in ((one, 2), (two, 1)):
            for _ in range(PER_SECOND):
                forged += 1
                victim.hear(float(second), ModelFactory(bytes(32)).initiate(forged).init_datagram(), peer)
            victim.sent()
        for data in genuine:
            two.hear(float(second), data, 1)
        for data in two.sent():
            one.hear(float(second), data, 2)
        for data in one.sent():
            two.hear(float(second), data, 1)
        two.sent()
        if len(one.installed) > installed:
            installed = len(one.installed)
            confirm(one, two)
    assert installed > 1
    assert (one.events(), two.events()) == ([], [])
