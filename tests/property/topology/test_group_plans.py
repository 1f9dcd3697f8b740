"""Joins, leaves, links and prefixes in any order: a source reaches the linked nodes that want it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from treecast.base.addresses import IPAddress
from treecast.base.flows import GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import FilterMode, SourceFilter
from treecast.base.time import Instant, after
from treecast.topology.group_plan import KEPT_FOR
from treecast.topology.topology import Topology

NOW = Instant(0.0)
GROUP: GroupKey = (0, IPv4Address("239.1.1.1"))
PREFIXES = ((0, IPv4Network("239.0.0.0/8")), (0, IPv4Network("239.1.0.0/16")))
SOURCES = tuple(IPv4Address(f"10.0.0.{number}") for number in range(1, 4))
ANOTHER = IPv4Address("10.0.0.99")
"""A source that no filter names."""
NODES = st.sampled_from([NodeIndex(index) for index in range(2, 6)])
FILTERS = st.builds(SourceFilter, st.sampled_from(FilterMode), st.frozensets(st.sampled_from(SOURCES)))
STEPS = st.one_of(
    st.tuples(st.just("subscribe"), NODES, st.none() | FILTERS),
    st.tuples(st.just("prefix"), NODES, st.tuples(st.sampled_from(PREFIXES), st.booleans())),
    st.tuples(st.just("link"), NODES, st.booleans()),
    st.tuples(st.just("turn"), st.none(), st.none()),
)
Members = dict[IPAddress | None, set[NodeIndex]]


def expected(topology: Topology) -> Members:
    """Made anew from all that the table has."""
    if not topology.table.is_joined(GROUP):
        return {}
    linked = topology.members(GROUP)
    trees: Members = {None: {node for node, wanted in linked if wanted.accepts(ANOTHER)}} if linked else {}
    for source in SOURCES:
        members = {node for node, wanted in linked if wanted.accepts(source)}
        if linked and members != trees[None]:
            trees[source] = members
    return trees


def without_kept(trees: Members) -> Members:
    """The trees of sources are kept for a while whose members are those of any source."""
    return {source: members for source, members in trees.items() if source is None or members != trees.get(None)}


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_changes_add_up_to_what_is_made_anew_from_all(steps: list[tuple[str, Any, Any]]) -> None:
    topology, trees, now = Topology(), Members(), NOW
    for step, node, what in [*steps, ("turn", None, None), ("later", None, None)]:
        match step, what:
            case "subscribe", wanted:
                topology.subscribe(NOW, node, GROUP, wanted)
            case "prefix", (key, wanted):
                topology.subscribe_prefix(NOW, node, key, wanted=wanted)
            case "link", True:
                topology.link_up(node)
            case "link", False:
                topology.link_down(node)
                for members in trees.values():
                    members.discard(node)
            case _:
                now = after(NOW, KEPT_FOR) if step == "later" else now
                for tree in topology.changed_trees(now):
                    if tree.flow is None or tree.flow.prefix is not None:
                        continue
                    trees.pop(tree.flow.source, None)
                    if tree.members is not None:
                        assert list(tree.members) == sorted(tree.members)
                        trees[tree.flow.source] = set(tree.members)
                assert (trees if step == "later" else without_kept(trees)) == expected(topology)
