"""Trees with bounds on each node's children, in virtual time: who sends how many copies, and that nobody misses any."""

from __future__ import annotations

from collections import Counter

import pytest

from treecast.base.addresses import Endpoint
from treecast.base.ids import NodeIndex
from treecast.base.relaying import Relaying
from treecast.engine.environment import ALL_ALIKE, GroupOptions
from treecast.sim.datagrams import SessionDatagram, TreeDatagram
from treecast.sim.world import SimNode, World

GROUP = "239.62.0.1"
FRAMES = 40
INTERVAL_S = 0.01


class Network:
    """Nodes at places, the first of which sends to a group that others join."""

    def __init__(
        self, seed: int, nodes: int, relaying: Relaying, leaves: int = 0, groups: GroupOptions = ALL_ALIKE
    ) -> None:
        """``leaves``: so many of the last nodes do not relay. ``groups``: what the first has said of groups."""
        self.world = World(seed, cities=True, turn_interval=0.005)
        self.world.shared.relaying = relaying
        first = self.world.add(groups=groups)
        self.nodes = [first]
        for number in range(1, nodes):
            if number == nodes - leaves:
                self.world.shared.relaying = Relaying(relays=False)
            self.nodes.append(self.world.add(peer=first))
        self.root, *self.others = self.nodes
        self.world.run_until(lambda: all(len(node.peers()) == nodes - 1 for node in self.nodes), 60.0, 0.1)
        self.world.run(30.0)  # round trips are advertised
        self._frame = 0

    def join(self, *members: SimNode) -> None:
        for member in members:
            member.report(GROUP)
        self.world.run_until(lambda: all(self.root.subscribes(node, GROUP) for node in members), 10.0)

    def send(self, frames: int) -> list[int]:
        """Sends frames, one each 10 ms; their numbers."""
        sent = list(range(self._frame, self._frame + frames))
        self._frame += frames
        for number in sent:
            self.root.send(GROUP, number)
            self.world.run(INTERVAL_S)
        return sent

    def stream(self) -> tuple[list[int], Counter[NodeIndex]]:
        """FRAMES frames, and how many datagrams of the stream each node has sent for them, copies too."""
        by_endpoint = {node.endpoint: node.index for node in self.nodes}
        copies: Counter[NodeIndex] = Counter()
        send = self.world.underlay.send
        self.world.run(2.0)  # what is on its way arrives

        def counted(source: Endpoint, destination: Endpoint, datagram: object, *arguments: object) -> None:
            is_copy = isinstance(datagram, SessionDatagram) and isinstance(datagram.body, int)
            if is_copy or (isinstance(datagram, TreeDatagram) and datagram.stream):
                copies[by_endpoint[source]] += 1
            send(source, destination, datagram, *arguments)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.world.underlay, "send", counted)
            sent = self.send(FRAMES)
            self.world.run(2.0)
        return sent, copies

    def got(self, node: SimNode) -> list[int]:
        """The frames that a node's host got, in the order of their numbers."""
        return sorted(frame for frame in node.forwarder.delivered if isinstance(frame, int))


@pytest.fixture(scope="module", params=[(33, 2), (17, 4)])
def streaming(request: pytest.FixtureRequest) -> tuple[Network, int]:
    """A network whose tree is in use: nodes, and the bound of each."""
    nodes, most = request.param
    network = Network(7, nodes, Relaying(max_children=most))
    network.join(*network.others[:-1])
    network.send(1)
    network.world.run(3.0)
    return network, most


def test_no_node_sends_more_copies_than_its_bound_and_all_get_each_frame_once(streaming: tuple[Network, int]) -> None:
    network, most = streaming
    before = [len(network.got(node)) for node in network.others]
    sent, copies = network.stream()
    assert max(copies.values()) <= most * FRAMES
    assert copies[network.root.index] == most * FRAMES
    assert sum(copies.values()) == (len(network.others) - 1) * FRAMES
    for node, earlier in zip(network.others[:-1], before, strict=False):
        assert network.got(node)[earlier:] == sent
    assert network.got(network.others[-1]) == []


def test_who_joins_and_leaves_costs_nobody_a_frame_and_has_its_place_soon(streaming: tuple[Network, int]) -> None:
    network, most = streaming
    late = network.others[-1]
    before = {node.index: len(network.got(node)) for node in network.others}
    late.report(GROUP)
    sent = network.send(300)
    joined, copies = network.stream()
    assert max(copies.values()) <= most * FRAMES
    assert network.got(late)[-FRAMES:] == joined
    late.leave(GROUP)
    sent += joined + network.send(300)
    left, copies = network.stream()
    assert max(copies.values()) <= most * FRAMES
    assert sum(copies.values()) == (len(network.others) - 1) * FRAMES
    sent += left
    for node in network.others[:-1]:
        assert network.got(node)[before[node.index] :] == sent


def test_nodes_that_are_no_members_relay_where_members_do_not() -> None:
    network = Network(11, 13, Relaying(max_children=3), leaves=6)
    members = network.others[-6:]
    network.join(*members)
    network.send(1)
    network.world.run(3.0)
    sent, copies = network.stream()
    assert copies[network.root.index] <= 3 * FRAMES
    assert not any(copies[node.index] for node in members)
    assert sum(copies[node.index] for node in network.others[:-6]) >= 4 * FRAMES
    for node in members:
        assert network.got(node)[-FRAMES:] == sent


def test_a_relay_refuses_what_is_beyond_its_bound_over_the_trees_of_several_roots() -> None:
    """Two roots plan alike, and neither knows of the other's children: places are refused, and planned elsewhere."""
    network = Network(13, 12, Relaying(max_children=2))
    root, other = network.nodes[:2]
    members = network.nodes[2:]
    network.join(*members)
    for _ in range(500):
        for one in (root, other):
            one.send(GROUP, 10_000 + one.index)
        network.world.run(INTERVAL_S)
    network.world.run(3.0)
    for node in network.nodes:
        rooms = node.engine.view
        assert rooms.children() <= 2, f"n{node.index}"
    refused = sum(node.engine.view.drops().get("relay_children_full", 0) for node in network.nodes)
    assert 0 < refused < 60
