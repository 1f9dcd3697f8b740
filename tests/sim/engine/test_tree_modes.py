"""Modes of groups, in virtual time: what the root sends itself, and what goes on by others."""

from __future__ import annotations

from ipaddress import IPv4Network

from tests.sim.engine.test_bounded_trees import FRAMES, GROUP, Network
from treecast.base.relaying import Relaying
from treecast.engine.environment import GroupOptions

OF_GROUP = IPv4Network(f"{GROUP}/32")


def test_a_replicated_group_goes_to_each_member_from_the_root_whatever_its_bound() -> None:
    network = Network(11, 9, Relaying(max_children=2), groups=GroupOptions(replicated=(OF_GROUP,)))
    network.join(*network.others)
    first = network.send(1)
    network.world.run(3.0)
    sent, copies = network.stream()
    assert copies == {network.root.index: len(network.others) * FRAMES}
    for node in network.others:
        assert network.got(node) == first + sent
    assert not any(node.forwarder.drops["tree_replay"] for node in network.others)
    assert network.root.engine.view.children() == len(network.others)
