"""Copies by a route, and a member that sends the tree's datagrams to who has them, under the root's address."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim.engine.test_node_routes_in_virtual_time import via
from tests.sim.engine.test_paths_in_virtual_time import stream
from tests.sim.engine.test_paths_that_die import DEAD_S, cut, subscribed
from treecast.base.time import after
from treecast.sim.datagrams import TreeDatagram
from treecast.sim.world import SimNode, World

RELAYED_S = 0.02


def doubled(node: SimNode) -> int:
    frames = [frame for frame in node.forwarder.delivered if isinstance(frame, str)]
    return len(frames) - len(set(frames))


def sender_on(world: World, root: SimNode, victim: SimNode, sent: list[TreeDatagram]) -> Callable[[object], None]:
    """Each of the group's tree datagrams comes to the victim from the member, who has it a hop after it was sent."""

    def send_on(datagram: object) -> None:
        if isinstance(datagram, TreeDatagram) and (datagram.root, datagram.stream > 0) == (root.index, True):
            sent.append(datagram)
            world.underlay.at(after(world.underlay.now, RELAYED_S), lambda: forge(world, root, victim, datagram))

    return send_on


def forge(world: World, root: SimNode, victim: SimNode, *datagrams: TreeDatagram) -> None:
    for datagram in datagrams:
        world.underlay.forge(root.endpoint, victim.endpoint, datagram)


@pytest.mark.parametrize("both", [True, False], ids=["both ways", "one way"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_has_copies_gets_no_frame_twice_by_the_tree_neither_then_nor_later(seed: int, both: bool) -> None:
    world = World(seed)
    root, _, far = subscribed(world)
    cut(world, root, far, both=both)
    stream(world, root, DEAD_S + 3.0)
    assert root.index in far.forwarder.node_routes
    world.run(1.0)
    sent: list[TreeDatagram] = []
    world.underlay.on_send = sender_on(world, root, far, sent)
    refused, got = far.forwarder.drops["tree_rpf"], len(far.forwarder.delivered)
    frames = stream(world, root, 3.0)
    world.run(1.0)
    assert len(sent) >= frames
    assert far.forwarder.drops["tree_rpf"] - refused == len(sent)
    recorded = sent[:]
    world.underlay.heal()
    while (via(root, far), via(far, root)) != ("", ""):
        frames += stream(world, root, 0.1)
    replayed = far.forwarder.drops["tree_replay"]
    forge(world, root, far, *recorded)
    assert far.forwarder.drops["tree_replay"] - replayed == len(recorded)
    frames += stream(world, root, 2.0)
    world.run(1.0)
    assert (len(far.forwarder.delivered) - got, doubled(far)) == (frames, 0)
