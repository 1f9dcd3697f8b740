"""A path that is cut, or that a member has given up: sessions, hosts and trees stay while a route remains."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.sim.engine.meshes import mesh
from tests.sim.engine.test_node_routes_in_virtual_time import apart, via
from tests.sim.engine.test_paths_in_virtual_time import GROUP, NEW, RATE, Victim, stream
from treecast.base.addresses import Endpoint
from treecast.base.events import HostSeen
from treecast.base.path_commands import ProbePeer
from treecast.sim.world import SimNode, World

DETECTED_S = 6.0
"""4 s of silence, found by a review each second, and a round trip."""
DEAD_S = 9.0
"""Four turns of probes after the last answer, and the review behind them."""
HEALED_S = 4.0


def sessions(node: SimNode, other: SimNode) -> set[int]:
    return {index for index, session in node.forwarder.sessions.items() if session.peer == other.index}


def subscribed(world: World) -> tuple[SimNode, SimNode, SimNode]:
    """The second and third are members of the first one's tree."""
    root, between, far = mesh(world)
    for node in (between, far):
        node.report(GROUP)
    far.raise_event(HostSeen(0, 0, far.identity.certificate.mac))
    world.run(3.0)
    stream(world, root, 1.0)
    return root, between, far


def cut(world: World, one: SimNode, other: SimNode, *, both: bool) -> None:
    if both:
        apart(world, one, other)
    else:
        world.underlay.cut(one.endpoint, other.endpoint)


@pytest.mark.parametrize("both", [True, False], ids=["both ways", "one way"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_path_that_is_cut_costs_the_time_until_that_is_found_and_nothing_else(seed: int, both: bool) -> None:
    world = World(seed)
    root, between, far = subscribed(world)
    before = [sessions(root, far), sessions(far, root)]
    keys = {name: tuple(stream.keys) for name, stream in far.forwarder.streams.items()}
    hosts = set(root.forwarder.hosts)
    assert hosts, "there is one to lose"
    got, others = len(far.forwarder.delivered), len(between.forwarder.delivered)
    cut(world, root, far, both=both)
    sent = stream(world, root, 20.0)
    lost = sent - (len(far.forwarder.delivered) - got)
    assert lost <= (DETECTED_S if both else DEAD_S) * RATE
    assert (via(root, far), via(far, root)) == (between.identity.certificate.name,) * 2 or not both
    assert len(between.forwarder.delivered) - others == sent
    world.underlay.heal()
    world.underlay.reset_counts()
    world.run_until(lambda: via(root, far) == via(far, root) == "", HEALED_S)
    got = len(far.forwarder.delivered)
    sent = stream(world, root, 5.0)
    assert len(far.forwarder.delivered) - got == sent
    assert world.underlay.datagrams_of["handshake"] == 0, "neither outside nor by a neighbour"
    assert [sessions(root, far), sessions(far, root)] == before
    assert {name: tuple(stream.keys) for name, stream in far.forwarder.streams.items()} == keys
    assert set(root.forwarder.hosts) == hosts
    assert root.forwarder.node_routes == far.forwarder.node_routes == {}


def test_other_nodes_learn_of_a_cut_that_lasts_and_of_none_that_does_not() -> None:
    """LINKS cross the whole network."""
    world = World(4)
    root, _, far = subscribed(world)

    def listed() -> tuple[bool, bool]:
        one, other = (node.engine.view.footprint().broadcast.neighbours for node in (root, far))
        return far.index in one, root.index in other

    apart(world, root, far)
    for _ in range(55):  # no four turns of probes
        world.run(0.1)
        assert listed() == (True, True)
    world.underlay.heal()
    for _ in range(80):
        world.run(0.1)
        assert listed() == (True, True)
    assert via(root, far) == ""
    apart(world, root, far)
    world.run_until(lambda: listed() == (False, False), DEAD_S + 1.0)
    world.run(30.0)
    assert listed() == (False, False)
    world.underlay.heal()
    world.run_until(lambda: listed() == (True, True), HEALED_S + 1.0)


@pytest.mark.parametrize("pretends", [True, False], ids=["under the old address", "from another one"])
def test_an_address_that_a_member_has_given_up_gets_its_stream_no_longer_than_four_turns_of_probes(
    pretends: bool,
) -> None:
    """The member has proved it, and is heard all the time. No neighbour leads to it, though one is there."""
    world = World(5)
    root, _, member = subscribed(world)
    place = member.endpoint
    member.stop()
    victim = Victim(world)
    world.underlay.attach(place, victim.receive)
    member.forwarder.endpoint = place if pretends else NEW

    def forge(number: int) -> None:
        if number % (RATE // 4) == 0:
            member.forwarder.carry_out([ProbePeer(root.index)])

    stream(world, root, 1.0, forge)
    assert "frame" in victim.kinds, "it was its own a moment ago"
    stream(world, root, DEAD_S, forge)
    victim.kinds.clear()
    stream(world, root, 30.0, forge)
    assert "frame" not in victim.kinds


def test_a_member_that_is_heard_and_reached_on_no_way_is_lost_and_one_that_comes_back_is_not() -> None:
    world = World(6)
    first = world.add()
    second = world.add(peer=first)
    world.run_until(lambda: len(first.peers()) == len(second.peers()) == 1, 20.0)
    world.run(40.0)
    world.underlay.cut(first.endpoint, second.endpoint)
    world.run_until(lambda: first.peers() == [], DEAD_S + 1.0)
    changes = [problem.kind for problem in first.engine.problems(first.now)]
    assert "identity_twice" not in changes
    world.underlay.heal()
    world.run_until(lambda: len(first.peers()) == len(second.peers()) == 1, 20.0)


@pytest.mark.parametrize("loss", [0.02, 0.1])
def test_lost_datagrams_are_no_dead_path(loss: float) -> None:
    world = World(7)
    nodes = mesh(world)
    world.underlay.loss = loss
    for _ in range(300):
        world.run(1.0)
        assert [len(node.peers()) for node in nodes] == [2, 2, 2]
    assert all(via(one, other) is not None for one in nodes for other in nodes if one is not other)


def test_a_machine_without_its_underlay_takes_no_route_by_nodes_that_it_does_not_hear() -> None:
    world = World(8)
    nodes = mesh(world)
    alone = nodes[0]
    for other in nodes[1:]:
        apart(world, alone, other)
    for _ in range(60):
        world.run(0.1)
        assert alone.forwarder.node_routes == {}
    world.underlay.heal()
    world.run(10.0)
    assert [len(node.peers()) for node in nodes] == [2, 2, 2]
    assert all(node.forwarder.node_routes == {} for node in nodes)


def elsewhere(number: int) -> Endpoint:
    return Endpoint(IPv4Address("203.0.113.100") + number, 7700)


def test_a_node_that_moves_while_a_route_stands_in_is_found_where_it_is() -> None:
    world = World(9)
    root, _, far = subscribed(world)
    before = sessions(root, far)
    apart(world, root, far)
    world.run_until(lambda: via(root, far) == via(far, root) != "", DEAD_S)
    far.forwarder.move_to(elsewhere(1))
    world.run_until(lambda: via(root, far) == via(far, root) == "", HEALED_S)
    assert sessions(root, far) >= before
    got = len(far.forwarder.delivered)
    sent = stream(world, root, 5.0)
    assert len(far.forwarder.delivered) - got >= sent - 1
