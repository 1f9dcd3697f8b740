"""Rows of ``peers`` about nodes of which only an earlier run knew more."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from tests.unit.daemon.test_slices import Silence
from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.daemon.peer_answers import peer_answers
from treecast.links.memory import Remembered
from treecast.sim.world import World


def test_a_remembered_node_has_its_addresses_and_when_it_was_last_linked() -> None:
    world = World(seed=5)
    node = world.add()
    now = world.underlay.now
    overlay = (IPv4Address("10.77.0.9"), IPv6Address("fd00::9"))
    there = Endpoint.parse("192.0.2.9:7700")
    node.engine.recall(now, [Remembered(NodeIndex(9), "n9", (there,), 0, overlay=overlay)])
    (row,) = peer_answers(node.engine.view, Silence(), now)
    assert (row.name, row.state, row.endpoint) == ("n9", "connecting", "192.0.2.9:7700")
    assert (row.ipv4, row.ipv6) == ("10.77.0.9", "fd00::9")
    assert row.last_received_s is not None
    assert row.last_received_s > 0
