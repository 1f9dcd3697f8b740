"""Prefixes that contain many groups: these are planned some at a time, by turns, and each change once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from random import Random

from treecast.base.flows import GroupKey, PrefixKey
from treecast.base.ids import NodeIndex
from treecast.base.membership import ANY_SOURCE
from treecast.base.time import Instant, after
from treecast.topology.prefix_work import AT_A_TIME, PLANS_BURST, PLANS_PER_S, positions
from treecast.topology.topology import Topology

NOW = Instant(1.0)
A, B, C = NodeIndex(2), NodeIndex(3), NodeIndex(4)
ALL: PrefixKey = (0, IPv4Network("224.0.0.0/4"))
GROUPS: list[GroupKey] = [(0, IPv4Address("239.0.0.0") + number) for number in range(2000)]


def with_groups(*linked: NodeIndex) -> Topology:
    """All groups are joined by one node."""
    topology = Topology()
    for node in (A, *linked):
        topology.link_up(node)
    for group in GROUPS:
        topology.subscribe(NOW, A, group, ANY_SOURCE)
    topology.changed_trees(NOW)
    return topology


def joined(topology: Topology, now: Instant) -> dict[GroupKey, tuple[NodeIndex, ...]]:
    """Groups whose tree has changed, with its members."""
    trees = topology.changed_trees(now)
    return {(t.flow.vlan, t.flow.group): t.members or () for t in trees if t.flow is not None and t.flow.prefix is None}


def test_of_a_prefix_with_many_groups_some_are_planned_at_once_and_the_rest_in_their_time() -> None:
    topology = with_groups(B)
    assert topology.next_deadline(NOW) is None
    topology.subscribe_prefix(NOW, B, ALL, wanted=True)
    found = joined(topology, NOW)
    assert list(found) == GROUPS[: int(PLANS_BURST)], "in order"
    deadline = topology.next_deadline(NOW)
    assert deadline is not None and NOW < deadline < after(NOW, 0.1)
    now, seconds = NOW, 0
    while topology.next_deadline(now) is not None:
        now, seconds = after(now, 0.05), seconds + 1
        more = joined(topology, now)
        assert len(more) <= PLANS_PER_S * 0.05 + PLANS_BURST
        found |= more
    assert found == dict.fromkeys(GROUPS, (A, B))
    assert len(GROUPS) / PLANS_PER_S * 0.8 < seconds * 0.05 < len(GROUPS) / PLANS_PER_S * 1.6


def test_who_wants_all_and_nothing_over_and_over_makes_no_more_of_that() -> None:
    topology = with_groups(B)
    changed = 0
    for number in range(100):
        topology.subscribe_prefix(NOW, B, ALL, wanted=number % 2 == 0)
        changed += len(joined(topology, NOW))
    assert changed <= PLANS_BURST


def test_a_prefix_that_changes_nothing_plans_nothing() -> None:
    topology = with_groups(B)
    for _ in range(10):
        topology.subscribe_prefix(NOW, B, ALL, wanted=False)
    assert topology.next_deadline(NOW) is None
    topology.subscribe_prefix(NOW, B, (0, IPv6Network("ff0e::/16")), wanted=True)
    assert joined(topology, NOW) == {}
    assert topology.next_deadline(NOW) is None


def test_nodes_have_their_turns() -> None:
    topology = with_groups(B, C)
    topology.subscribe_prefix(NOW, B, ALL, wanted=True)
    topology.subscribe_prefix(NOW, C, ALL, wanted=True)
    topology.changed_trees(NOW)
    later = after(NOW, 0.05)
    members = list(joined(topology, later).values())
    of_c = sum(C in nodes for nodes in members)
    assert of_c >= AT_A_TIME and sum(B in nodes and C not in nodes for nodes in members) >= AT_A_TIME


def test_a_node_that_is_lost_meanwhile_is_on_no_tree() -> None:
    for wanted in (True, False):
        topology = with_groups(B)
        now = NOW
        if not wanted:
            topology.subscribe_prefix(now, B, ALL, wanted=True)
            for _ in range(40):
                now = after(now, 0.05)
                topology.changed_trees(now)
        topology.subscribe_prefix(now, B, ALL, wanted=wanted)
        topology.changed_trees(now)
        topology.link_down(B)
        assert topology.next_deadline(now) is None
        topology.subscribe(now, A, GROUPS[-1], None)
        topology.subscribe(now, A, GROUPS[-1], ANY_SOURCE)
        assert all(B not in members for members in joined(topology, after(now, 10.0)).values())


def test_in_the_end_all_is_as_if_it_had_been_planned_at_once() -> None:
    random, topology = Random(7), with_groups(B, C)
    prefixes: list[PrefixKey] = [ALL, (0, IPv4Network("239.0.0.0/22")), (0, IPv4Network("239.0.4.0/23"))]
    now = NOW
    members: dict[GroupKey, tuple[NodeIndex, ...]] = dict.fromkeys(GROUPS, (A,))
    for _ in range(60):
        node, prefix = random.choice((B, C)), random.choice(prefixes)
        topology.subscribe_prefix(now, node, prefix, wanted=random.random() < 0.5)
        members |= joined(topology, now)
        now = after(now, random.random() * 0.1)
    while topology.next_deadline(now) is not None:
        now = after(now, 0.05)
        members |= joined(topology, now)
    assert members == {group: tuple(node for node, _ in topology.members(group)) for group in GROUPS}
    assert len({*members.values()}) > 1


def test_positions_of_a_prefix_are_those_of_its_first_and_last_group() -> None:
    assert positions((7, IPv4Network("239.1.0.0/16"))) == ((7, 4, 0xEF010000), (7, 4, 0xEF01FFFF))
    first, last = positions((0, IPv6Network("ff0e::/16")))
    assert (first[1], last[2] - first[2]) == (6, 2**112 - 1)


def test_who_wants_a_prefix_no_more_leaves_the_trees_in_use_at_once() -> None:
    """A node that leaves holds their keys; the other groups of the prefix take their time."""
    used = [GROUPS[-1], (0, IPv4Address("232.1.1.1"))]
    topology = Topology(in_use=lambda: used)
    for node in (A, B):
        topology.link_up(node)
    for group in GROUPS:
        topology.subscribe(NOW, A, group, ANY_SOURCE)
    topology.subscribe_prefix(NOW, B, ALL, wanted=True)
    now = NOW
    while topology.next_deadline(now) is not None:
        now = after(now, 0.05)
        joined(topology, now)
    topology.subscribe_prefix(now, B, ALL, wanted=False)
    found = joined(topology, now)
    assert found[GROUPS[-1]] == (A,)
    assert len(found) <= PLANS_BURST + 1
