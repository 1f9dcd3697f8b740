"""Where nodes send to each other, while one moves, forges its source, or loses what is sent."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from tests.sim.engine.meshes import mesh
from treecast.base.addresses import Endpoint
from treecast.base.path_commands import ProbePeer
from treecast.sim.datagrams import UDP_BYTES, kind_and_bytes
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"
VICTIM = Endpoint(IPv4Address("203.0.113.7"), 7700)
NEW = Endpoint(IPv4Address("203.0.113.8"), 7700)
PROBE_S = 2.0
RATE = 100


def where(node: SimNode, other: SimNode) -> Endpoint:
    (found,) = (link.endpoint for link in node.engine.view.links() if link.node == other.index)
    return found


def stream(world: World, root: SimNode, seconds: float, meanwhile: Callable[[int], None] = lambda _: None) -> int:
    """A frame each hundredth of a second; how many."""
    count = round(seconds * RATE)
    for number in range(count):
        meanwhile(number)
        root.send(GROUP, f"frame {world.underlay.now} {number}")
        world.run(1 / RATE)
    return count


class Victim:
    """An address that is nobody's in the network, and what comes to it."""

    def __init__(self, world: World) -> None:
        self.bytes = 0
        self.kinds: set[str] = set()
        world.underlay.attach(VICTIM, self.receive)

    def receive(self, source: Endpoint, datagram: object) -> None:
        kind, size = kind_and_bytes(datagram)
        self.bytes += size - UDP_BYTES
        self.kinds.add(kind)


def forge_probes(member: SimNode) -> int:
    """One probe to each peer under the victim's address. The bytes that each of them gets."""
    own, member.forwarder.endpoint = member.forwarder.endpoint, VICTIM
    member.forwarder.carry_out([ProbePeer(peer) for peer in member.forwarder.sessions.peers()])
    member.forwarder.endpoint = own
    return 44


@pytest.mark.parametrize("interval_s", [3.0, 1.0, 0.05])
def test_a_forged_source_gets_the_victim_three_bytes_for_each_and_the_member_its_stream(interval_s: float) -> None:
    world = World(1)
    root, member, other = mesh(world)
    for node in (member, other):
        node.report(GROUP)
    world.run(2.0)
    stream(world, root, 1.0)
    victim, forged = Victim(world), 0
    before, paths = len(member.forwarder.delivered), [where(node, member) for node in (root, other)]

    def forge(number: int) -> None:
        nonlocal forged
        if number % round(interval_s * RATE) == 0:
            forged += forge_probes(member)

    sent = stream(world, root, 20.0, forge)
    world.run(1.0)
    assert 0 < victim.bytes <= 3 * 2 * forged, "of two nodes"
    assert victim.kinds == {"probe"}, "challenges and answers, and no frame"
    assert len(member.forwarder.delivered) - before == sent
    assert [where(node, member) for node in (root, other)] == paths


def test_a_victim_that_is_a_node_of_the_network_answers_for_nobody() -> None:
    world = World(2)
    root, member, other = mesh(world)
    at = where(root, member)
    own, member.forwarder.endpoint = member.forwarder.endpoint, other.endpoint
    for _ in range(5):
        member.forwarder.carry_out([ProbePeer(root.index)])
        world.run(1.1)
    member.forwarder.endpoint = own
    world.run(1.0)
    assert where(root, member) == at
    assert other.forwarder.drops["session_unknown"] > 0
    assert root.forwarder.drops["path_response_unexpected"] == 0


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_a_node_that_moves_is_found_again_without_losing_a_link(loss: float) -> None:
    world = World(3)
    nodes = mesh(world)
    root, roamer, other = nodes
    roamer.report(GROUP)
    world.run(2.0)
    stream(world, root, 1.0)
    world.underlay.loss = loss
    roamer.forwarder.move_to(NEW)
    links = [len(node.peers()) for node in nodes]

    def keeps_its_links(_: int) -> None:
        assert [len(node.peers()) for node in nodes] == links

    if loss:
        world.run_until(lambda: {where(node, roamer) for node in (root, other)} == {NEW}, 6 * PROBE_S)
    else:
        stream(world, root, PROBE_S + 0.1, keeps_its_links)
        assert {where(node, roamer) for node in (root, other)} == {NEW}, "within one probe and a round trip"
    world.underlay.loss = 0.0
    before = len(roamer.forwarder.delivered)
    sent = stream(world, root, 10.0, keeps_its_links)
    assert len(roamer.forwarder.delivered) - before >= sent - 1
    assert all(node.forwarder.drops["path_unvalidated"] == 0 for node in nodes)


def test_the_stream_of_a_root_that_moves_is_taken_from_where_it_is() -> None:
    """Reverse path forwarding follows the path."""
    world = World(4)
    root, member, _ = mesh(world)
    member.report(GROUP)
    world.run(2.0)
    stream(world, root, 1.0)
    root.forwarder.move_to(NEW)
    stream(world, root, PROBE_S + 0.1)
    refused, before = member.forwarder.drops["tree_rpf"], len(member.forwarder.delivered)
    assert refused > 0, "until its new address has answered"
    sent = stream(world, root, 5.0)
    assert len(member.forwarder.delivered) - before >= sent - 1
    assert member.forwarder.drops["tree_rpf"] == refused


def test_a_path_outlives_the_session_that_found_it() -> None:
    world = World(5)
    root, roamer, _ = mesh(world)
    roamer.forwarder.move_to(NEW)
    world.run(PROBE_S + 0.1)
    old = set(root.forwarder.sessions)
    world.run(400.0)
    assert old.isdisjoint(root.forwarder.sessions), "all were made anew"
    assert where(root, roamer) == NEW
    assert len(roamer.peers()) == 2
