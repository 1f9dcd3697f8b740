"""Whole networks of real engines in virtual time: joins, leaves, deaths, restarts, loss."""

from __future__ import annotations

import pytest

from treecast.base.membership import FilterMode
from treecast.sim.world import SimNode, World

GROUP = "239.1.1.1"


def mesh(world: World, size: int) -> list[SimNode]:
    first = world.add()
    nodes = [first, *(world.add(peer=first) for _ in range(size - 1))]
    world.run_until(lambda: all(len(node.peers()) == size - 1 for node in nodes), 20.0)
    return nodes


def received(node: SimNode) -> list[object]:
    return [frame for frame in node.forwarder.delivered if not isinstance(frame, bytes)]


@pytest.mark.parametrize(("size", "loss"), [(2, 0.0), (5, 0.0), (5, 0.2), (33, 0.0), (12, 0.1)])
def test_all_nodes_find_each_other_from_one_known_address(size: int, loss: float) -> None:
    world = World(size, loss=loss)
    mesh(world, size)


def test_a_frame_reaches_the_subscribers_and_nobody_else() -> None:
    world = World(1)
    nodes = mesh(world, 5)
    for node in nodes[1:4]:
        node.report(GROUP)
    world.run(1.0)
    for number in range(20):
        nodes[0].send(GROUP, number)
        world.run(0.02)
    world.run(1.0)
    assert [received(node) for node in nodes] == [[], *[list(range(20))] * 3, []]


def test_a_frame_without_subscriber_is_dropped_at_the_root_and_counted() -> None:
    world = World(2)
    nodes = mesh(world, 3)
    nodes[0].send(GROUP, 1)
    assert nodes[0].forwarder.drops["no_subscriber"] == 1


def test_after_the_first_frames_the_tree_carries_the_stream_and_copies_end() -> None:
    world = World(3)
    nodes = mesh(world, 4)
    for node in nodes[1:]:
        node.report(GROUP)
    world.run(1.0)
    nodes[0].send(GROUP, 0)
    world.run(1.0)
    trees = [tree for stream, tree in nodes[0].forwarder.trees.items() if stream != 0]
    assert [(tree.next_hops, tree.replicate) for tree in trees] == [((2, 3, 4), ())]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_doubled_while_others_join_and_leave(seed: int) -> None:
    world = World(seed, jitter=0.0)
    nodes = mesh(world, 6)
    steady = nodes[1]
    steady.report(GROUP)
    world.run(0.5)
    for number in range(400):
        nodes[0].send(GROUP, number)
        if number % 7 == seed % 7:
            other = world.rng.choice(nodes[2:])
            if world.rng.random() < 0.5:
                other.report(GROUP)
            else:
                other.leave(GROUP)
        world.run(0.01)
    world.run(1.0)
    assert received(steady) == list(range(400))
    assert steady.forwarder.drops["tree_key_unknown"] == 0


def test_who_leaves_and_joins_again_at_once_still_receives() -> None:
    world = World(4)
    nodes = mesh(world, 3)
    nodes[1].report(GROUP)
    world.run(0.5)
    nodes[0].send(GROUP, "first")
    world.run(0.5)
    for pause in (0.0, 0.001, 0.05, 0.5, 3.0, 12.0, 15.0):
        nodes[1].leave(GROUP)
        world.run(pause)
        nodes[1].report(GROUP)
        world.run(1.0)
        nodes[0].send(GROUP, pause)
        world.run(0.2)
        assert received(nodes[1])[-1] == pause


def test_a_leaver_holds_no_key_that_is_in_use() -> None:
    world = World(5)
    nodes = mesh(world, 4)
    for node in nodes[1:]:
        node.report(GROUP)
    world.run(0.5)
    nodes[0].send(GROUP, 0)
    world.run(0.5)
    (stream,) = [stream for stream in nodes[0].forwarder.trees if stream != 0]
    key_before = nodes[0].forwarder.trees[stream].key_id
    nodes[3].leave(GROUP)
    world.run(4.0)
    tree = nodes[0].forwarder.trees[stream]
    assert tree.key_id != key_before
    assert tree.next_hops == (2, 3)
    for held in nodes[3].forwarder.streams.values():
        assert tree.key_id not in held.keys


def test_a_source_that_nobody_wants_is_dropped_at_its_root() -> None:
    world = World(6)
    nodes = mesh(world, 4)
    wanted, other = nodes[0].identity.certificate.ipv4, nodes[3].identity.certificate.ipv4
    assert wanted is not None and other is not None
    nodes[1].report("232.1.1.1", FilterMode.INCLUDE, (str(wanted.ip),))
    nodes[2].report(GROUP, FilterMode.EXCLUDE, (str(other.ip),))
    world.run(1.0)
    nodes[0].send("232.1.1.1", "wanted")
    nodes[3].send("232.1.1.1", "unwanted")
    nodes[0].send(GROUP, "any")
    nodes[3].send(GROUP, "excluded")
    world.run(1.0)
    assert received(nodes[1]) == ["wanted"]
    assert received(nodes[2]) == ["any"]
    assert nodes[3].forwarder.drops["no_subscriber"] == 2


def test_a_killed_node_is_gone_within_10_s_and_back_within_5_s_of_its_restart() -> None:
    world = World(7)
    nodes = mesh(world, 5)
    nodes[2].report(GROUP)
    world.run(1.0)
    nodes[0].send(GROUP, 0)
    world.run(1.0)
    nodes[2].stop()
    world.run_until(lambda: all(3 not in node.peers() for node in nodes if node is not nodes[2]), 10.0)
    world.run(5.0)
    again = world.restart(nodes[2], peer=nodes[0])
    world.run_until(lambda: len(again.peers()) == 4, 5.0)


def test_the_first_node_restarted_without_a_peer_is_found_again() -> None:
    world = World(8)
    nodes = mesh(world, 5)
    world.run(30.0)
    nodes[0].stop()
    world.run(100.0)
    again = world.restart(nodes[0])
    world.run_until(lambda: len(again.peers()) == 4, 5.0)


def test_a_subscriber_that_restarts_at_once_receives_again() -> None:
    world = World(9)
    nodes = mesh(world, 4)
    nodes[1].report(GROUP)
    world.run(1.0)
    nodes[0].send(GROUP, 0)
    world.run(1.0)
    again = world.restart(nodes[1], peer=nodes[0])
    world.run(0.5)
    again.report(GROUP)
    world.run_until(lambda: len(again.peers()) == 3, 5.0)
    world.run(0.5)
    for number in range(10):
        nodes[0].send(GROUP, number)
        world.run(0.05)
    world.run(0.5)
    assert received(again) == list(range(10))


def test_a_join_reaches_the_root_in_one_way_time_and_a_turn() -> None:
    world = World(10, delay=0.010)
    nodes = mesh(world, 20)
    world.run(5.0)
    nodes[7].report(GROUP)
    latency = world.run_until(lambda: any(nodes[0].engine.view.groups()), 1.0, step=0.001)
    assert latency <= 0.012


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_sessions_are_rekeyed_and_frames_flow_all_the_while(loss: float) -> None:
    world = World(11, loss=loss)
    nodes = mesh(world, 3)
    before = set(nodes[0].forwarder.sessions)
    world.run(400.0)
    after = set(nodes[0].forwarder.sessions)
    assert not before & after
    assert len(after) <= 6
    assert [node.peers() for node in nodes] == [[2, 3], [1, 3], [1, 2]]


def test_an_idle_mesh_says_little() -> None:
    world = World(12)
    mesh(world, 10)
    world.run(60.0)
    before = world.underlay.datagrams
    world.run(60.0)
    per_link_and_second = (world.underlay.datagrams - before) / 60 / 90
    assert per_link_and_second < 1.5  # a probe and its reply each 2 s, and a NODE now and then


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[int, list[int]]:
        world = World(13, loss=0.1)
        nodes = mesh(world, 6)
        return world.underlay.datagrams, [len(node.forwarder.sessions) for node in nodes]

    assert run() == run()
