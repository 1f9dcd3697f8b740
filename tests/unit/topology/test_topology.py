"""Topology: who is on which tree of this root."""

from __future__ import annotations

from ipaddress import IPv4Address

from treecast.base.addresses import IPAddress
from treecast.base.flows import Flow
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant, after
from treecast.topology.group_plan import KEPT_FOR
from treecast.topology.topology import Topology
from treecast.topology.wanted_tree import WantedTree

NOW = Instant(0)
GROUP = (0, IPv4Address("239.1.1.1"))
S1, S2 = IPv4Address("10.77.0.1"), IPv4Address("10.77.0.2")


def include(*sources: IPv4Address) -> SourceFilter:
    return SourceFilter(FilterMode.INCLUDE, frozenset(sources))


def exclude(*sources: IPv4Address) -> SourceFilter:
    return SourceFilter(FilterMode.EXCLUDE, frozenset(sources))


def linked(*nodes: int) -> Topology:
    topology = Topology()
    for node in nodes:
        topology.link_up(NodeIndex(node))
    topology.changed_trees(NOW)
    return topology


def trees_of(topology: Topology) -> dict[IPAddress | None, tuple[NodeIndex, ...] | None]:
    return {tree.flow.source: tree.members for tree in topology.changed_trees(NOW) if tree.flow is not None}


def test_the_broadcast_tree_has_all_linked_nodes() -> None:
    topology = Topology()
    topology.link_up(NodeIndex(3))
    topology.link_up(NodeIndex(2))
    assert topology.changed_trees(NOW) == [WantedTree(None, (NodeIndex(2), NodeIndex(3)))]
    assert topology.changed_trees(NOW) == []


def test_only_linked_subscribers_are_members() -> None:
    topology = linked(2)
    topology.subscribe(NOW, NodeIndex(2), GROUP, ANY_SOURCE)
    topology.subscribe(NOW, NodeIndex(3), GROUP, ANY_SOURCE)
    assert trees_of(topology) == {None: (2,)}
    topology.link_up(NodeIndex(3))
    assert trees_of(topology) == {None: (2, 3)}


def test_the_last_leave_removes_the_tree() -> None:
    topology = linked(2)
    topology.subscribe(NOW, NodeIndex(2), GROUP, ANY_SOURCE)
    topology.changed_trees(NOW)
    topology.subscribe(NOW, NodeIndex(2), GROUP, None)
    assert topology.changed_trees(NOW) == [WantedTree(Flow(*GROUP, None), None)]


def test_a_source_has_a_tree_of_its_own_only_where_its_members_differ() -> None:
    topology = linked(2, 3, 4)
    topology.subscribe(NOW, NodeIndex(2), GROUP, exclude(S1))
    topology.subscribe(NOW, NodeIndex(3), GROUP, include(S1))
    topology.subscribe(NOW, NodeIndex(4), GROUP, exclude())
    assert trees_of(topology) == {None: (2, 4), S1: (3, 4)}
    topology.subscribe(NOW, NodeIndex(3), GROUP, None)
    assert trees_of(topology) == {S1: (4,)}
    topology.subscribe(NOW, NodeIndex(2), GROUP, exclude())
    assert trees_of(topology) == {S1: (2, 4)}
    kept_until = topology.next_deadline(NOW)
    assert kept_until == after(NOW, KEPT_FOR)
    assert topology.changed_trees(Instant(kept_until - 0.001)) == []
    assert topology.changed_trees(kept_until) == [WantedTree(Flow(*GROUP, S1), None)]
    assert topology.next_deadline(NOW) is None


def test_who_comes_and_goes_for_one_source_joins_and_leaves_its_tree_and_makes_none_anew() -> None:
    topology = linked(2, 3)
    topology.subscribe(NOW, NodeIndex(2), GROUP, exclude())
    trees_of(topology)
    for _ in range(3):
        topology.subscribe(NOW, NodeIndex(3), GROUP, include(S1))
        assert trees_of(topology) == {S1: (2, 3)}
        topology.subscribe(NOW, NodeIndex(3), GROUP, None)
        assert trees_of(topology) == {S1: (2,)}
    topology.subscribe(NOW, NodeIndex(2), GROUP, None)
    assert trees_of(topology) == {None: None, S1: None}, "nobody is left who would take what is forged under its keys"


def test_sources_that_nobody_includes_get_a_tree_without_members() -> None:
    topology = linked(2)
    topology.subscribe(NOW, NodeIndex(2), GROUP, include(S2))
    assert trees_of(topology) == {None: (), S2: (2,)}


def test_a_link_that_goes_and_comes_within_a_turn_is_seen_as_a_change() -> None:
    topology = linked(2, 3)
    topology.subscribe(NOW, NodeIndex(2), GROUP, ANY_SOURCE)
    topology.changed_trees(NOW)
    topology.link_down(NodeIndex(2))
    topology.link_up(NodeIndex(2))
    assert trees_of(topology) == {None: (2,)}
