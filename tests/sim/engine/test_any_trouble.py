"""A network recovers from any trouble, in any order: once that has ended, all is as if nothing had happened."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sim.engine.trouble import (
    GROUPS,
    SHORT_LIFETIME,
    Action,
    Cut,
    Heal,
    Join,
    Kill,
    Leave,
    Refuse,
    Restart,
    Stream,
    TroubledWorld,
    Wait,
    Weather,
)
from tests.sim.placed_hosts import hosts_elsewhere
from treecast.base.flows import GroupKey
from treecast.base.ids import BROADCAST_STREAM, NodeIndex, StreamId
from treecast.base.membership import NO_SOURCE, FilterMode
from treecast.sim.world import SimNode

NODES = st.integers(1, 8)
GROUP = st.sampled_from(GROUPS)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(Join, NODES, GROUP, st.just(FilterMode.EXCLUDE), st.lists(NODES, max_size=2, unique=True).map(tuple)),
    st.builds(
        Join, NODES, GROUP, st.just(FilterMode.INCLUDE), st.lists(NODES, min_size=1, max_size=2, unique=True).map(tuple)
    ),
    st.builds(Leave, NODES, GROUP),
    st.builds(Kill, NODES),
    st.builds(
        Restart,
        NODES,
        st.sampled_from([0.0, 0.3, 12.0, 100.0]),
        st.none() | NODES,
        st.sampled_from([0.0, -3600.0, 3600.0]),
    ),
    st.builds(Cut, NODES, NODES, st.booleans()),
    st.builds(Weather, st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([0.0, 0.03]), st.sampled_from([0.0, 0.1])),
    st.builds(Heal),
    st.builds(Stream, NODES, GROUP, st.integers(1, 100)),
    st.builds(Wait, st.sampled_from([0.001, 0.05, 1.0, 9.0, 30.0])),
)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(3, 8),
    short_lived=st.sets(NODES, max_size=2),
    actions=st.lists(ACTIONS, min_size=5, max_size=25),
)
def test_after_any_trouble_the_network_is_whole(
    seed: int, size: int, short_lived: set[int], actions: list[Action]
) -> None:
    _come_through(TroubledWorld(seed, size, sorted(short_lived)), actions)


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(3, 5),
    share=st.sampled_from([0.05, 0.3, 0.9]),
    actions=st.lists(ACTIONS, min_size=5, max_size=15),
)
def test_whatever_the_data_planes_refused_both_sides_agree_when_they_have_room(
    seed: int, size: int, share: float, actions: list[Action]
) -> None:
    troubled = TroubledWorld(seed, size)
    refusals = [Refuse(number, share) for number in range(1, size + 1)]
    joins = [Join(number, group, FilterMode.EXCLUDE) for number in (1, 2) for group in GROUPS]
    _come_through(troubled, [*refusals, Wait(20.0), *joins, Stream(3, GROUPS[0], 50), *actions])
    assert {"SetTreeMembers", "CreateTree"} <= set(troubled.refused) or share < 0.1


def _come_through(troubled: TroubledWorld, actions: list[Action]) -> None:
    world = troubled.world
    for action in actions:
        troubled.carry_out(action)
        world.run(0.005)
    assert not troubled.doubled()
    _end_all_trouble(troubled)
    for node in troubled.present():
        _knows_the_truth(troubled, node)
        _has_the_right_trees(troubled, node)
    _frames_reach_exactly_the_subscribers(troubled)
    for node in troubled.present():
        _sends_by_tree_to_all(troubled, node)
    for node in troubled.nodes.values():
        if node not in troubled.present():
            node.stop()
    world.run(160.0)  # withdrawals live 120 s and are looked for every 28 s
    world.run_until(lambda: all(_says_nothing(node) for node in troubled.present()), 5.0)
    for node in troubled.present():
        _keeps_nothing_of_what_is_gone(troubled, node)


def _end_all_trouble(troubled: TroubledWorld) -> None:
    world = troubled.world
    world.run(max(0.0, SHORT_LIFETIME - world.underlay.now))
    world.underlay.heal()
    troubled.end_refusals()
    if troubled.nodes[NodeIndex(1)].stopped:
        troubled.carry_out(Restart(1, 0.0, None, 0.0))
    first = troubled.nodes[NodeIndex(1)]
    for node in troubled.present():
        if node is not first:
            node.add_static_peer(first)
    world.run_until(lambda: all(_linked_to(troubled, node) for node in troubled.present()), 30.0, step=0.5)
    world.run(75.0)  # what was lost and is gone ends after 60 s


def _linked_to(troubled: TroubledWorld, node: SimNode) -> bool:
    return set(_others(troubled, node)) <= set(node.peers())


def _others(troubled: TroubledWorld, node: SimNode) -> list[NodeIndex]:
    return sorted(other.index for other in troubled.present() if other is not node)


def _knows_the_truth(troubled: TroubledWorld, node: SimNode) -> None:
    others = _others(troubled, node)
    assert node.peers() == others
    truth = {
        group: [
            (index, wanted)
            for index in others
            if not (wanted := troubled.wanted[index].get(group, NO_SOURCE)).wants_nothing
        ]
        for group in GROUPS
    }
    view = node.engine.view
    assert {
        group: [(m.node, m.filter) for m in view.members(_key(group)) if m.node != node.index] for group in GROUPS
    } == truth
    assert [key for key in view.groups() if str(key[1]) not in GROUPS] == []
    macs = {(0, troubled.nodes[index].identity.certificate.mac): index for index in others}
    assert hosts_elsewhere(node) == macs
    assert node.forwarder.hosts == {(vlan, mac.packed): index for (vlan, mac), index in macs.items()}


def _has_the_right_trees(troubled: TroubledWorld, node: SimNode) -> None:
    forwarder = node.forwarder
    assert set(forwarder.trees) == {BROADCAST_STREAM, *forwarder.routes.values()}
    assert _members(node, BROADCAST_STREAM) == _others(troubled, node)
    for group in GROUPS:
        for number in range(1, 1 + len(troubled.nodes)):
            source = troubled.address(number)
            address = IPv4Address(group)
            tree = forwarder.routes.get((0, address, source), forwarder.routes.get((0, address, None)))
            expected = [i for i in _others(troubled, node) if troubled.wants(troubled.nodes[i], group, source)]
            assert (_members(node, tree) if tree is not None else []) == expected


def _members(node: SimNode, stream: StreamId) -> list[NodeIndex]:
    tree = node.forwarder.trees[stream]
    return sorted([*tree.next_hops, *tree.replicate])


def _frames_reach_exactly_the_subscribers(troubled: TroubledWorld) -> None:
    for node in troubled.present():
        node.forwarder.delivered.clear()
    expected: dict[NodeIndex, list[object]] = {node.index: [] for node in troubled.present()}
    for sender in troubled.present():
        for group in GROUPS:
            frames = troubled.stream(sender, group, 30)
            troubled.world.run(1.0)
            for node in troubled.present():
                if node is not sender and troubled.wants(node, group, troubled.address(sender.index)):
                    expected[node.index] += frames
    assert {
        node.index: [frame for frame in node.forwarder.delivered if isinstance(frame, tuple)]
        for node in troubled.present()
    } == expected


def _sends_by_tree_to_all(troubled: TroubledWorld, node: SimNode) -> None:
    for stream, tree in node.forwarder.trees.items():
        if tree.used:
            assert tree.replicate == (), stream


def _says_nothing(node: SimNode) -> bool:
    """No NODE advertisement is on its way just now."""
    return not node.engine.view.footprint().broadcast.unsent


def _keeps_nothing_of_what_is_gone(troubled: TroubledWorld, node: SimNode) -> None:
    others = _others(troubled, node)
    footprint, forwarder = node.engine.view.footprint(), node.forwarder
    links, broadcast = footprint.links, footprint.broadcast
    by_index, by_init = links.pending
    assert by_index == by_init <= len(others)
    assert set(links.attempts) <= set(others)
    assert list(links.sought) == others
    assert list(links.peers) == sorted({session.peer for session in forwarder.sessions.values()}) == others
    assert len(forwarder.sessions) == links.sessions <= 3 * len(others)
    assert list(broadcast.origins) == sorted([*others, node.index])
    assert broadcast.withdrawn == 0
    assert list(broadcast.neighbours) == others
    assert {*broadcast.link_states, *broadcast.judged} <= {*others, node.index}
    assert broadcast.unsent == 0
    assert forwarder.pending_offers == set() and forwarder.pending_states.of_trees == {}
    trees = footprint.trees
    assert {(tree.root, tree.stream) for tree in trees} == set(forwarder.streams)
    for tree in trees:
        root = troubled.nodes[tree.root]
        if tree.stream in root.forwarder.trees:
            assert node.index in _members(root, tree.stream)
        else:  # it gave up the tree, or made another that it has not used; its members notice by its silence
            assert tree.flow is not None
            newer = root.forwarder.routes.get((0, tree.flow.group, tree.flow.source))
            assert newer is None or not root.forwarder.trees[newer].used
    assert len(trees) == len({(tree.root, tree.flow) for tree in trees})
    assert set(footprint.certificates) == {*others, node.index}


def _key(group: str) -> GroupKey:
    return (0, IPv4Address(group))
