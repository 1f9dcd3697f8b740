"""Repair of trees, in virtual time: a relay dies, and nobody below it misses anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.sim.engine.test_bounded_trees import GROUP, Network
from treecast.base.addresses import Endpoint
from treecast.base.ids import StreamId, TreeEpoch
from treecast.base.relaying import Relaying
from treecast.engine.environment import ALL_ALIKE, GroupOptions
from treecast.sim.datagrams import Graft, SessionDatagram, TreeDatagram, TreeState
from treecast.sim.repair import HISTORY, TreeName
from treecast.sim.world import SimNode

INTERVAL_S = 0.004
MOST_CHILDREN = 4


class Streaming(Network):
    """A planned tree that is in use, at 250 frames a second."""

    def __init__(self, seed: int, nodes: int = 17, most: int = MOST_CHILDREN, groups: GroupOptions = ALL_ALIKE) -> None:
        super().__init__(seed, nodes, Relaying(max_children=most), groups=groups)
        self.came: dict[SimNode, list[float]] = {}
        self.join(*self.others)
        self.send(1)
        self.world.run(5.0)
        self.stream_for(2.0)

    def stream_for(self, duration_s: float) -> list[int]:
        """The numbers of the frames that were sent."""
        sent = list(range(self._frame, self._frame + round(duration_s / INTERVAL_S)))
        self._frame += len(sent)
        for number in sent:
            self.root.send(GROUP, number)
            self.world.run(INTERVAL_S)
            for node in self.others:
                known = self.came.setdefault(node, [])
                known += [self.world.underlay.now] * (len(node.forwarder.delivered) - len(known))
        return sent

    def grafts(self, kind: str = "grafts") -> dict[SimNode, int]:
        return {node: node.forwarder.repairs[kind] for node in self.nodes if node.forwarder.repairs[kind]}

    def children(self) -> dict[SimNode, list[SimNode]]:
        """Nodes and those below them on the tree of the highest epoch; the root's own are left out."""
        below: dict[SimNode, list[SimNode]] = {}
        for node in self.others:
            for (root, stream), downstream in node.forwarder.streams.items():
                if root == self.root.index and stream and downstream.trees:
                    parent = self.world.nodes[downstream.trees[max(downstream.trees)].parent]
                    below.setdefault(parent, []).append(node)
        below.pop(self.root, None)
        return below

    def places(self) -> dict[SimNode, tuple[StreamId, TreeEpoch, TreeState]]:
        """Each node's own, on the tree of the highest epoch."""
        found: dict[SimNode, tuple[StreamId, TreeEpoch, TreeState]] = {}
        for node in self.others:
            for (root, stream), downstream in node.forwarder.streams.items():
                if root == self.root.index and stream and downstream.trees:
                    epoch = max(downstream.trees)
                    found[node] = stream, epoch, downstream.trees[epoch]
        return found

    def longest_gap(self, node: SimNode, since_s: float, until_s: float) -> float:
        times = [at for at in self.came[node] if since_s <= at <= until_s]
        return max(later - earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_relay_that_dies_costs_nobody_a_frame_and_its_own_children_alone_graft(seed: int) -> None:
    network = Streaming(seed)
    assert network.grafts() == {}, "nobody takes one for dead that is there"
    dead, orphans = max(network.children().items(), key=lambda item: len(item[1]))
    died_s = network.world.underlay.now
    dead.stop()
    sent = network.stream_for(3.0)
    network.world.run(8.0)  # its link is given up
    sent += network.stream_for(0.2)
    network.world.run(1.0)
    missed = Counter(len(set(sent) - set(network.got(node))) for node in network.others if node is not dead)
    gaps = sorted(network.longest_gap(node, died_s - 0.5, died_s + 2.5) for node in network.others if node is not dead)
    print(
        f"{len(orphans)} orphans; gaps: median {gaps[len(gaps) // 2]:.3f} s, longest {gaps[-1]:.3f} s; missed {missed}"
    )
    assert set(missed) == {0}
    for node in network.others:
        assert len(network.got(node)) == len(set(network.got(node)))
    assert set(network.grafts()) <= set(orphans)
    assert network.grafts(), "somebody has grafted"
    assert gaps[-1] < 0.5


def test_a_stream_that_pauses_and_ends_makes_nobody_graft() -> None:
    network = Streaming(5)
    for pause_s in (0.1, 0.5, 1.5, 3.0, 8.0):
        network.world.run(pause_s)
        network.stream_for(0.5)
    network.world.run(20.0)
    assert network.grafts() == {}
    assert not any(node.forwarder.watched for node in network.nodes)


def test_the_root_plans_a_tree_without_the_dead_relay_long_before_its_link_is_given_up() -> None:
    network = Streaming(6)
    dead, orphans = max(network.children().items(), key=lambda item: len(item[1]))
    dead.stop()
    network.stream_for(4.0)
    below = network.children()
    assert network.root.is_linked(dead), "its link is not given up yet"
    assert dead not in below
    for orphan in orphans:
        assert any(orphan in children for children in below.values()) or orphan in network.others
    before = network.grafts("retransmissions")
    network.stream_for(2.0)
    assert network.grafts("retransmissions") == before


def withhold(network: Streaming, patched: pytest.MonkeyPatch, relay: SimNode, sent_on: Callable[[int], bool]) -> None:
    """The relay is there, and sends on to its children only datagrams with these counters."""
    send = network.world.underlay.send

    def withholding(source: Endpoint, destination: Endpoint, datagram: object) -> None:
        if source == relay.endpoint and isinstance(datagram, TreeDatagram) and not sent_on(datagram.counter):
            return
        send(source, destination, datagram)

    patched.setattr(network.world.underlay, "send", withholding)


def named(node: SimNode) -> set[str]:
    return {problem.subject for problem in node.engine.problems(node.now) if problem.kind == "relay_withholds"}


def test_a_relay_that_does_not_run_for_a_moment_costs_nobody_a_frame_and_is_not_named() -> None:
    network = Streaming(1)
    relay, below = max(network.children().items(), key=lambda item: len(item[1]))
    send, held = network.world.underlay.send, list[tuple[Endpoint, Endpoint, object]]()

    def holding(source: Endpoint, destination: Endpoint, datagram: object) -> None:
        if source == relay.endpoint:
            held.append((source, destination, datagram))
        else:
            send(source, destination, datagram)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(network.world.underlay, "send", holding)
        sent = network.stream_for(0.2)
    for one in held:
        send(*one)
    sent += network.stream_for(2.0)
    network.world.run(15.0)
    assert set(network.grafts()) & set(below), "those below it did without it"
    for node in network.others:
        got = network.got(node)
        assert set(sent) <= set(got)
        assert len(got) == len(set(got))
    assert not any(named(node) for node in network.nodes)


@pytest.mark.parametrize("sent_on", [lambda _: False, lambda counter: counter % 2 == 0], ids=["nothing", "half"])
def test_a_relay_that_withholds_costs_nobody_a_frame_and_is_named(sent_on: Callable[[int], bool]) -> None:
    network = Streaming(1)
    relay, below = max(network.children().items(), key=lambda item: len(item[1]))
    with pytest.MonkeyPatch.context() as patched:
        withhold(network, patched, relay, sent_on)
        sent = network.stream_for(3.0)
        network.world.run(1.0)
        for node in network.others:
            got = network.got(node)
            assert set(sent) <= set(got)
            assert len(got) == len(set(got))
        print(f"{len(below)} below it; grafts {sorted(network.grafts().values())}")
        assert relay not in network.children()
        network.world.run(10.0)  # one that was silent is named where its link lives on
        assert any(named(node) for node in below)
        assert len(named(network.root)) == 1
        before = network.grafts()
        sent = network.stream_for(2.0)
        network.world.run(1.0)
        assert all(set(sent) <= set(network.got(node)) for node in network.others)
        assert network.grafts() == before, "the new tree does without it"


def test_a_relay_that_has_sent_on_nothing_from_the_first_on_has_no_children_soon() -> None:
    network = Streaming(2)
    relay, _ = max(network.children().items(), key=lambda item: len(item[1]))
    with pytest.MonkeyPatch.context() as patched:
        withhold(network, patched, relay, lambda _: False)
        network.others[0].leave(GROUP)  # with the next key the tree is another one
        network.stream_for(8.0)
        assert relay not in network.children()
        sent = network.stream_for(1.0)
        network.world.run(1.0)
        for node in network.others[1:]:
            assert set(sent) <= set(network.got(node))


def send_graft(liar: SimNode, to: SimNode, tree: TreeName) -> None:
    """The liar wants all that the receiver has kept of a tree."""
    session = liar.forwarder.sessions.current(to.index)
    assert session is not None
    session.sealed += 1
    graft = Graft(*tree, 0)
    datagram = SessionDatagram(session.remote_index, session.sealed, graft, session.link_secret)
    liar.forwarder.underlay.send(liar.endpoint, to.endpoint, datagram)


def test_a_member_that_grafts_all_trees_everywhere_without_end_gets_one_of_its_own_and_costs_nobody_a_frame() -> None:
    network = Streaming(3)
    places = network.places()
    liar = next(node for node, (_, _, state) in places.items() if state.backup)
    stream, epoch, own = places[liar]
    rounds = 500
    for _ in range(rounds):
        for to in network.nodes:
            if to is not liar:
                send_graft(liar, to, (network.root.index, stream, epoch))
                send_graft(liar, to, (network.root.index, StreamId(stream + 100), epoch))
        network.stream_for(INTERVAL_S)
    sent = network.stream_for(0.5)
    network.world.run(1.0)
    assert {node: state for node, (_, _, state) in network.places().items()} == {
        node: state for node, (_, _, state) in places.items()
    }, "it is no reason to plan anew"
    for node in network.others:
        got = network.got(node)
        assert set(range(sent[0] - rounds, sent[-1] + 1)) <= set(got)
        assert len(got) == len(set(got))
    backup = network.world.nodes[own.backup]
    assert network.grafts() == {}
    assert network.grafts("grafts_taken") == {backup: 1}
    assert set(network.grafts("retransmissions")) == {backup}
    assert backup.forwarder.repairs["retransmissions"] <= HISTORY / INTERVAL_S + 1
    repeated = {node: node.forwarder.drops["graft_repeated"] for node in network.nodes}
    assert repeated == {node: rounds - 1 if node is backup else 0 for node in network.nodes}
    unexpected = {node: node.forwarder.drops["graft_unexpected"] for node in network.nodes if node is not liar}
    assert unexpected == {node: rounds if node is backup else 2 * rounds for node in unexpected}
    assert not any(named(node) for node in network.nodes)
    assert sum(len(node.forwarder.grafted) for node in network.nodes) == 1, "nobody keeps anything of what it refuses"
