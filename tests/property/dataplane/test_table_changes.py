"""No node loses or gets twice what both wanted states want, on the way from one to the next, command by command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dataplane.answers import take
from treecast.base import commands as c
from treecast.base.addresses import IPAddress
from treecast.base.counters import Drops
from treecast.base.flows import GroupKey
from treecast.base.ids import TAP, NodeIndex, StreamId, TreeEpoch
from treecast.base.membership import NO_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant
from treecast.dataplane.port_groups import PortGroups
from treecast.dataplane.root_trees import RootTrees
from treecast.topology.topology import Topology

GROUP: GroupKey = (0, IPv4Address("239.1.1.1"))
SOURCES = tuple(IPv4Address(f"10.0.0.{number}") for number in range(1, 4))
ANOTHER = IPv4Address("10.0.0.99")
"""A source that no filter names."""
NODES = tuple(NodeIndex(index) for index in range(2, 6))
FILTERS = st.builds(SourceFilter, st.sampled_from(FilterMode), st.frozensets(st.sampled_from(SOURCES)))
MEMBERSHIPS = st.dictionaries(st.sampled_from(NODES), FILTERS)
Served = Mapping[IPAddress, Counter[NodeIndex]]


@dataclass
class Tables:
    """The data plane's, as plain as can be."""

    members: dict[StreamId, tuple[NodeIndex, ...]] = field(default_factory=dict)
    routes: dict[IPAddress | None, StreamId] = field(default_factory=dict)

    def take(self, command: c.Command) -> None:
        match command:
            case c.CreateTree(stream):
                self.members[stream] = ()
            case c.RemoveTree(stream):
                del self.members[stream]
            case c.SetTreeMembers(stream, next_hops, replicate):
                assert stream in self.members
                self.members[stream] = next_hops + replicate
            case c.SetRoute(source=source, stream=stream):
                self.routes[source] = stream
            case c.RemoveRoute(source=source):
                del self.routes[source]

    def forget(self, node: NodeIndex) -> None:
        """The node's link is gone: it is on no tree."""
        for stream, members in self.members.items():
            self.members[stream] = tuple(member for member in members if member != node)

    def served(self) -> Served:
        """How many copies each node gets of what each source sends."""
        trees = {source: self.routes.get(source, self.routes.get(None)) for source in (*SOURCES, ANOTHER)}
        return {source: Counter(self.members.get(tree, ()) if tree else ()) for source, tree in trees.items()}


@dataclass
class Root:
    """Topology and trees of one root, and what each command comes to."""

    topology: Topology = field(default_factory=Topology)
    trees: RootTrees = field(default_factory=lambda: RootTrees(TreeEpoch(1), Drops(), Random(1)))
    tables: Tables = field(default_factory=Tables)
    now: Instant = field(default_factory=lambda: Instant(0.0))

    def __post_init__(self) -> None:
        for node in NODES:
            self.topology.link_up(node)
        self.settle()

    def settle(self) -> None:
        """One turn's changes, each command held against what is wanted before and after."""
        before = self.tables.served()
        for tree in self.topology.changed_trees(self.now):
            self.trees.want(self.now, tree.flow, tree.members, tree.lost)
        self.trees.advance(self.now)
        steps = []
        for command in self.trees.commands:
            self.tables.take(command)
            steps.append((command, self.tables.served()))
        self.trees.commands.clear()
        after = self.tables.served()
        for command, now in steps:
            for source, copies in now.items():
                for node in NODES:
                    wanted = {before[source][node], after[source][node]}
                    assert copies[node] in wanted, f"{copies[node]} of {source} to {node} after {command}"

    def subscribe(self, memberships: Mapping[NodeIndex, SourceFilter]) -> None:
        for node in NODES:
            wanted = memberships.get(node, NO_SOURCE)
            self.topology.subscribe(self.now, node, GROUP, None if wanted.wants_nothing else wanted)
        self.settle()
        for source, copies in self.tables.served().items():
            assert copies == Counter(node for node, wanted in memberships.items() if wanted.accepts(source))

    def keys_are_taken(self) -> None:
        """Frames have come on every tree, and the members have its key: the next change finds next hops, not copies."""
        for stream, members in list(self.tables.members.items()):
            self.trees.used(self.now, stream)
            offers = [command for command in self.trees.commands if isinstance(command, c.OfferKey)]
            for offer in offers:
                if offer.stream == stream and offer.peer in members:
                    take(self.trees, self.now, offer.peer, stream, offer.key_id)
            self.settle()

    def time_passes(self, seconds: float) -> None:
        self.now = Instant(self.now + seconds)
        self.settle()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(MEMBERSHIPS, st.booleans(), st.sampled_from([0.0, 0.5, 3.0])), max_size=6))
def test_every_command_keeps_what_is_wanted_before_and_after(
    turns: list[tuple[dict[NodeIndex, SourceFilter], bool, float]],
) -> None:
    root = Root()
    for memberships, keys, seconds in turns:
        root.subscribe(memberships)
        if keys:
            root.keys_are_taken()
        root.time_passes(seconds)


@settings(max_examples=300, deadline=None)
@given(MEMBERSHIPS, MEMBERSHIPS, st.sets(st.sampled_from(NODES)))
def test_links_that_go_and_come_meanwhile_change_nothing_for_the_others(
    first: dict[NodeIndex, SourceFilter], then: dict[NodeIndex, SourceFilter], lost: set[NodeIndex]
) -> None:
    root = Root()
    root.subscribe(first)
    for node in sorted(lost):
        root.topology.link_down(node)
        root.tables.forget(node)
        root.trees.forget(node)
    root.settle()
    root.subscribe({node: wanted for node, wanted in then.items() if node not in lost})
    for node in sorted(lost):
        root.topology.link_up(node)
    root.settle()
    root.subscribe(then)


def tap_gets(commands: list[c.Command]) -> list[bool]:
    """Whether a frame of the first source to GROUP goes out by the TAP, after each command."""
    selective, accepting, got = False, NO_SOURCE, []
    for command in commands:
        match command:
            case c.SetPortSelective(port=port, on=on) if port == TAP:
                selective = on
            case c.SetPortGroup(port=port, filter=filter_) if port == TAP:
                accepting = filter_
        got.append(not selective or accepting.accepts(SOURCES[0]))
    return got


@given(FILTERS, st.lists(st.one_of(FILTERS, st.sampled_from([1, 2])), max_size=8))
def test_a_port_gets_what_its_hosts_want_while_others_come_and_go(
    first: SourceFilter, steps: list[SourceFilter | int]
) -> None:
    """A number opens or closes the packet port with it; a filter is what the TAP's hosts want from then on."""
    ports, wanted, told = PortGroups(), first, list[c.Command]()
    open_ports: set[int] = set()
    for step in steps:
        before = wanted
        if isinstance(step, SourceFilter):
            wanted = step
            for port in ports.ports():
                ports.want(port, GROUP, wanted if port == TAP else NO_SOURCE)
        elif step in open_ports:
            open_ports.remove(step)
            ports.close(step)
        else:
            open_ports.add(step)
            ports.open(step, {GROUP: wanted} if not wanted.wants_nothing else {})
        told += ports.commands
        got = tap_gets(told)[len(told) - len(ports.commands) :]
        ports.commands.clear()
        if before.accepts(SOURCES[0]) and wanted.accepts(SOURCES[0]):
            assert all(got)
