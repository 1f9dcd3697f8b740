"""Bounds of what is remembered for the problems of one LAN."""

from __future__ import annotations

from treecast.base.counters import Drops
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_LAN_STRANGERS
from treecast.base.time import Instant
from treecast.designated_forwarder.election import Election
from treecast.designated_forwarder.lan_problems import UNSEEN_AFTER, LanProblems


def test_of_nodes_without_beacons_the_last_ones_are_remembered() -> None:
    election = Election(Instant(0.0), (NodeIndex(1), 0), Drops())
    problems = LanProblems()
    for number in range(MAX_LAN_STRANGERS + 5):
        problems.received(Instant(number / 1000), NodeIndex(number + 2))
    found = list(problems.present(Instant(UNSEEN_AFTER + 1), "eth1", election, str))
    assert [one.subject for one in found] == [f"eth1 {number}" for number in range(7, MAX_LAN_STRANGERS + 7)]
