"""Prefixes of groups: whose trees their subscribers are on, also while groups are joined and left."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from treecast.base.addresses import IPNetwork
from treecast.base.flows import Flow, GroupKey
from treecast.base.ids import NodeIndex
from treecast.base.limits import MAX_KEPT_GROUPS
from treecast.base.membership import ANY_SOURCE, FilterMode, SourceFilter
from treecast.base.time import Instant, after
from treecast.topology.group_plan import KEPT_FOR
from treecast.topology.topology import Topology

ALL, SOME = IPv4Network("239.0.0.0/8"), IPv4Network("239.1.0.0/16")
GROUP: GroupKey = (0, IPv4Address("239.1.1.1"))
A, B, C = NodeIndex(2), NodeIndex(3), NodeIndex(4)
NOW = Instant(0.0)


def linked(*nodes: NodeIndex) -> Topology:
    topology = Topology()
    for node in nodes:
        topology.link_up(node)
    topology.changed_trees(NOW)
    return topology


def subscribe(topology: Topology, node: NodeIndex, prefix: IPNetwork, *, wanted: bool = True) -> bool:
    return topology.subscribe_prefix(NOW, node, (0, prefix), wanted=wanted)


def trees(topology: Topology) -> dict[str, tuple[NodeIndex, ...] | None]:
    """Changed trees: members by group or prefix, and source."""
    found = {}
    for tree in topology.changed_trees(NOW):
        if tree.flow is not None:
            name = str(tree.flow.prefix or tree.flow.group)
            found[name if tree.flow.source is None else f"{name} {tree.flow.source}"] = tree.members
    return found


def test_the_tree_of_a_prefix_has_the_subscribers_of_all_prefixes_that_contain_it() -> None:
    topology = linked(A, B)
    subscribe(topology, A, ALL)
    subscribe(topology, B, SOME)
    assert trees(topology) == {"239.0.0.0/8": (A,), "239.1.0.0/16": (A, B)}
    subscribe(topology, A, ALL, wanted=False)
    assert trees(topology) == {"239.0.0.0/8": None, "239.1.0.0/16": (B,)}


def test_a_joined_group_has_a_tree_with_the_subscribers_of_its_prefixes_until_nobody_joins_it() -> None:
    topology = linked(A, B, C)
    subscribe(topology, A, ALL)
    topology.subscribe(NOW, B, GROUP, ANY_SOURCE)
    assert trees(topology) == {"239.0.0.0/8": (A,), "239.1.1.1": (A, B)}
    source = IPv4Address("192.0.2.1")
    topology.subscribe(NOW, B, GROUP, SourceFilter(FilterMode.INCLUDE, frozenset({source})))
    assert trees(topology) == {"239.1.1.1": (A,), "239.1.1.1 192.0.2.1": (A, B)}
    subscribe(topology, C, SOME)
    assert trees(topology) == {"239.1.0.0/16": (A, C), "239.1.1.1": (A, C), "239.1.1.1 192.0.2.1": (A, B, C)}
    topology.subscribe(NOW, B, GROUP, None)
    assert trees(topology) == {"239.1.1.1": None, "239.1.1.1 192.0.2.1": None}, "the prefix's tree stands"


def test_a_subscriber_of_prefixes_is_on_trees_while_it_is_linked() -> None:
    topology = linked(B)
    subscribe(topology, A, ALL)
    topology.subscribe(NOW, B, GROUP, ANY_SOURCE)
    assert trees(topology) == {"239.1.1.1": (B,)}
    topology.link_up(A)
    assert trees(topology) == {"239.0.0.0/8": (A,), "239.1.1.1": (A, B)}
    topology.link_down(A)
    assert trees(topology) == {"239.0.0.0/8": None, "239.1.1.1": (B,)}
    topology.link_up(A)
    assert trees(topology) == {"239.0.0.0/8": (A,), "239.1.1.1": (A, B)}


def test_prefixes_are_per_vlan_and_ip_version() -> None:
    topology = linked(A, B)
    topology.subscribe_prefix(NOW, A, (7, ALL), wanted=True)
    topology.subscribe_prefix(NOW, A, (0, IPv6Network("ff00::/8")), wanted=True)
    topology.subscribe(NOW, B, GROUP, ANY_SOURCE)
    assert trees(topology)["239.1.1.1"] == (B,)
    topology.subscribe(NOW, B, (7, GROUP[1]), ANY_SOURCE)
    flows = {tree.flow: tree.members for tree in topology.changed_trees(NOW)}
    assert flows == {Flow(7, GROUP[1], None): (A, B)}


def test_prefixes_are_bounded_per_node_and_in_all() -> None:
    topology = linked(A)
    prefixes = [IPv4Network((0xEF000000 + 256 * number, 24)) for number in range(65)]
    assert [subscribe(topology, A, prefix) for prefix in prefixes] == [True] * 64 + [False]
    assert subscribe(topology, A, prefixes[0]), "it has that one"
    others = [
        subscribe(topology, NodeIndex(10 + number), IPv4Network((0xE1000000 + 256 * (64 * number + own), 24)))
        for number in range(20)
        for own in range(64)
    ]
    assert others.count(True) == 1024 - 64
    assert subscribe(topology, NodeIndex(99), prefixes[0]), "a prefix that is there already"
    subscribe(topology, A, prefixes[1], wanted=False)
    assert subscribe(topology, A, prefixes[64]), "the room came back"


def test_who_joins_a_group_instead_of_its_prefix_or_the_other_way_round_is_on_one_tree_all_the_time() -> None:
    topology = linked(A, B)
    subscribe(topology, A, ALL)
    subscribe(topology, B, ALL)
    topology.changed_trees(NOW)
    subscribe(topology, A, ALL, wanted=False)
    topology.subscribe(NOW, A, GROUP, ANY_SOURCE)
    prefix, group = Flow.of_prefix((0, ALL)), Flow(*GROUP, None)
    steps = [(tree.flow, tree.members) for tree in topology.changed_trees(NOW)]
    assert steps == [(group, (A, B)), (prefix, (B,))]
    subscribe(topology, A, ALL)
    topology.subscribe(NOW, A, GROUP, None)
    steps = [(tree.flow, tree.members) for tree in topology.changed_trees(NOW)]
    assert steps == [(prefix, (A, B)), (group, None)]


def in_use(*groups: GroupKey) -> Topology:
    """A node whose hosts send to these groups; A gets them by a prefix, B joins them and leaves them again."""
    topology = Topology(in_use=groups)
    for node in (A, B, C):
        topology.link_up(node)
    subscribe(topology, A, ALL)
    for group in groups:
        topology.subscribe(NOW, B, group, ANY_SOURCE)
    trees(topology)
    for group in groups:
        topology.subscribe(NOW, B, group, None)
    return topology


def test_who_joins_and_leaves_what_others_get_by_a_prefix_makes_no_tree_anew() -> None:
    topology, now = in_use(GROUP), NOW
    assert trees(topology) == {"239.1.1.1": (A,)}
    for _ in range(3):
        topology.subscribe(NOW, B, GROUP, ANY_SOURCE)
        assert trees(topology) == {"239.1.1.1": (A, B)}
        topology.subscribe(NOW, B, GROUP, None)
        assert trees(topology) == {"239.1.1.1": (A,)}
    assert list(topology.table.groups()) == topology.table.groups_in((0, ALL)) == []
    end = topology.next_deadline(now)
    assert end == after(NOW, KEPT_FOR)
    assert [tree.members for tree in topology.changed_trees(end)] == [None]
    assert topology.next_deadline(end) is None
    topology = Topology()
    topology.link_up(A)
    topology.link_up(B)
    subscribe(topology, A, ALL)
    topology.subscribe(NOW, B, GROUP, ANY_SOURCE)
    trees(topology)
    topology.subscribe(NOW, B, GROUP, None)
    assert trees(topology) == {"239.1.1.1": None}, "no frame has taken it, so nobody is disturbed"


def test_so_many_groups_are_kept_and_each_follows_links_prefixes_and_permits() -> None:
    groups = [(0, IPv4Address("239.1.0.0") + number) for number in range(MAX_KEPT_GROUPS + 1)]
    found = trees(in_use(*groups))
    assert [members for members in found.values() if members is None] == [None]
    topology = in_use(GROUP)
    trees(topology)
    subscribe(topology, C, SOME)
    assert trees(topology)["239.1.1.1"] == (A, C)
    topology.permit(C, (IPv4Network("232.0.0.0/8"),))
    assert trees(topology)["239.1.1.1"] == (A,)
    topology.permit(C, None)
    assert trees(topology)["239.1.1.1"] == (A, C)
    topology.link_down(A)
    assert trees(topology)["239.1.1.1"] == (C,)
    subscribe(topology, C, SOME, wanted=False)
    assert trees(topology)["239.1.1.1"] is None
    topology.subscribe(NOW, B, GROUP, ANY_SOURCE)
    assert trees(topology)["239.1.1.1"] == (B,)
