"""Links, memberships, prefixes and runs that come and go while groups wait for their turns: in the end each tree is
what it would be had all been planned at once, also in the data plane, which has forgotten whoever lost its link.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataplane.answers import take
from treecast.base import commands as c
from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex, StreamId, TreeEpoch
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant, after
from treecast.dataplane.root_trees import RootTrees
from treecast.topology import plan_work
from treecast.topology.group_plan import KEPT_FOR
from treecast.topology.topology import Topology
from treecast.wire.advertised_groups import GroupsContent, ListedGroup

GROUPS: list[GroupKey] = [(0, IPv4Address("239.1.1.0") + number) for number in range(8)]
PREFIXES: list[PrefixKey] = [(0, IPv4Network("239.1.1.0/30")), (0, IPv4Network("224.0.0.0/4"))]
SOURCE, ANOTHER = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.99")
NODES = [NodeIndex(index) for index in range(2, 6)]
CHUNKS = (GROUPS[:3], GROUPS[3:5], GROUPS[5:])
FILTERS = [
    ANY_SOURCE,
    SourceFilter(FilterMode.INCLUDE, frozenset({SOURCE})),
    SourceFilter(FilterMode.EXCLUDE, frozenset({SOURCE})),
]
NODE = st.sampled_from(NODES)
STEPS = st.one_of(
    st.tuples(st.just("link"), NODE, st.booleans()),
    st.tuples(st.just("link again"), NODE, st.none()),
    st.tuples(st.just("list"), NODE, st.tuples(st.integers(0, 2), st.none() | st.sampled_from(FILTERS))),
    st.tuples(st.just("run"), NODE, st.none()),
    st.tuples(st.just("prefix"), NODE, st.tuples(st.sampled_from(PREFIXES), st.booleans())),
    st.tuples(st.just("used"), st.sampled_from(GROUPS), st.none()),
    st.tuples(st.just("permit"), NODE, st.sampled_from([None, (IPv4Network("239.1.1.4/30"),)])),
    st.tuples(st.just("turn"), st.none(), st.sampled_from([0.0, 0.001, 0.004])),
)
Route = tuple[IPAddress, IPAddress | None]


@dataclass
class Tables:
    """The data plane's."""

    members: dict[StreamId, set[NodeIndex]] = field(default_factory=dict)
    routes: dict[Route, StreamId] = field(default_factory=dict)

    def take(self, command: c.Command) -> None:
        match command:
            case c.CreateTree(stream):
                self.members[stream] = set()
            case c.RemoveTree(stream):
                del self.members[stream]
            case c.SetTreeMembers(stream, next_hops, replicate, beyond):
                self.members[stream] = {*next_hops, *replicate, *beyond}
            case c.SetRoute(_, group, source, stream):
                self.routes[group, source] = stream
            case c.RemoveRoute(_, group, source):
                del self.routes[group, source]

    def forget(self, node: NodeIndex) -> None:
        for members in self.members.values():
            members.discard(node)

    def served(self, group: IPAddress, source: IPAddress) -> set[NodeIndex] | None:
        stream = self.routes.get((group, source), self.routes.get((group, None)))
        return None if stream is None else self.members[stream]


class Root:
    """Topology and trees of one root, with what the data plane has of them."""

    def __init__(self) -> None:
        self.trees = RootTrees(TreeEpoch(1), Drops(), Random(1))
        self.topology = Topology(in_use=self.trees.attended.groups)
        self.tables, self.now = Tables(), Instant(1.0)
        self.listed: dict[tuple[NodeIndex, int], GroupsContent] = {}
        self.linked: set[NodeIndex] = set()

    def step(self, step: str, what: Any, how: Any) -> None:
        match step:
            case "link" if how and what not in self.linked:
                self.linked.add(what)
                self.topology.link_up(what)
            case "link" if not how and what in self.linked:
                self.linked.discard(what)
                self.topology.link_down(what)
                self.tables.forget(what)
                self.trees.forget(what)
            case "link again":
                self.step("link", what, False)
                self.step("link", what, True)
            case "list":
                self.list(what, *how)
            case "run":
                for node, chunk in [key for key in self.listed if key[0] == what]:
                    self.topology.end_groups(self.now, node, chunk, self.listed.pop((node, chunk)))
            case "prefix":
                key, wanted = how
                self.topology.subscribe_prefix(self.now, what, key, wanted=wanted)
            case "used":
                self.used(what)
            case "permit":
                self.topology.permit(what, how)
            case "turn":
                self.now = after(self.now, how)
                self.settle()
            case _:
                pass

    def list(self, node: NodeIndex, chunk: int, wanted: SourceFilter | None) -> None:
        before = self.listed.pop((node, chunk), None)
        content = None
        if wanted is not None:
            content = GroupsContent(tuple(ListedGroup.of(group, wanted) for group in CHUNKS[chunk]))
            self.listed[node, chunk] = content
        self.topology.list_groups(self.now, node, chunk, before, content)

    def used(self, group: GroupKey) -> None:
        stream = self.tables.routes.get((group[1], None))
        if stream is not None:
            for tree in self.topology.used(self.now, group):
                self.trees.want(self.now, tree.flow, tree.members, tree.lost)
            self.trees.used(self.now, stream)
        self.settle()

    def settle(self) -> None:
        for tree in self.topology.changed_trees(self.now):
            self.trees.want(self.now, tree.flow, tree.members, tree.lost)
        self.trees.advance(self.now)
        while self.trees.commands:
            commands = [*self.trees.commands]
            self.trees.commands.clear()
            for command in commands:
                self.tables.take(command)
                if isinstance(command, c.OfferKey) and command.peer in self.linked:
                    take(self.trees, self.now, command.peer, command.stream, command.key_id)
            self.trees.advance(self.now)
        for group in GROUPS:
            for source in (SOURCE, ANOTHER):
                for node in self.tables.served(group[1], source) or ():
                    assert self.topology.permits.may_receive(node, group[1]), "forbidden, and not at once ended"

    def drain(self) -> None:
        """Turns until nothing waits any more."""
        self.settle()
        for _ in range(100):
            self.now = after(self.now, 0.01)
            self.settle()

    def expected(self, group: GroupKey, source: IPAddress) -> set[NodeIndex]:
        members = self.topology.members(group)
        permits = self.topology.permits
        return {node for node, wanted in members if wanted.accepts(source) and permits.may_receive(node, group[1])}

    def wants(self, group: GroupKey) -> dict[NodeIndex, SourceFilter]:
        """The filters that nodes have listed of a group by itself, whatever has waited for its turn."""
        number = next(number for number, chunk in enumerate(CHUNKS) if group in chunk)
        listed = {node: self.listed.get((node, number)) for node in NODES}
        return {node: one.groups[0].source_filter() for node, one in listed.items() if one is not None}


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_in_the_end_all_is_as_if_it_had_been_planned_at_once(steps: list[tuple[str, Any, Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_work, "PLANS_BURST", 2.0)
        patch.setattr(plan_work, "AT_A_TIME", 2)
        root = Root()
        for node in NODES:
            root.step("link", node, True)
            for chunk in range(len(CHUNKS)):
                root.list(node, chunk, ANY_SOURCE)
        root.drain()
        for step in steps:
            root.step(*step)
        root.drain()
        root.now = after(root.now, KEPT_FOR)
        root.settle()
        for group in GROUPS:
            joined = root.wants(group)
            assert root.topology.table.is_joined(group) == bool(joined)
            for source in (SOURCE, ANOTHER):
                served = root.tables.served(group[1], source)
                if not joined:
                    assert served is None
                else:
                    assert (served or set()) == root.expected(group, source)
