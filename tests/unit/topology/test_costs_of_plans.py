"""A change of one member costs the same in a group of a hundred and of a thousand members: counted, not timed."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.unit.counting import steps_of
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.topology.topology import Topology

NOW = Instant(0.0)
GROUP = (0, IPv4Address("239.1.1.1"))
SOURCE = IPv4Address("10.77.0.1")


def subscribed(size: int) -> Topology:
    topology = Topology()
    for node in range(2, 2 + size):
        topology.link_up(NodeIndex(node))
        topology.subscribe(NOW, NodeIndex(node), GROUP, ANY_SOURCE)
    topology.changed_trees(NOW)
    return topology


def steps_of_change(size: int, wanted: SourceFilter | None) -> int:
    topology = subscribed(size)
    subscribed_anew = steps_of(topology.subscribe, NOW, NodeIndex(50), GROUP, wanted)
    return subscribed_anew + steps_of(topology.changed_trees, NOW)


def test_a_leave_costs_the_same_whoever_else_is_a_member() -> None:
    assert steps_of_change(1_000, None) <= 1.1 * steps_of_change(100, None)


def test_an_excluded_source_costs_the_same_whoever_else_is_a_member() -> None:
    wanted = SourceFilter(FilterMode.EXCLUDE, frozenset({SOURCE}))
    assert steps_of_change(1_000, wanted) <= 1.1 * steps_of_change(100, wanted)
